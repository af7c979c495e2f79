/* EXIF orientation: the one tag that changes how an image looks. EXIF 2.32, TIFF 6.0. */
#include <string.h>

#include "image/codec.h"

static unsigned get16(const uint8_t *p, bool little)
{
	return little ? (unsigned)p[0] | (unsigned)p[1] << 8 : (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p, bool little)
{
	uint32_t a = get16(p, little), b = get16(p + 2, little);
	return little ? b << 16 | a : a << 16 | b;
}

int image_exif_tiff(const uint8_t *bytes, size_t size)
{
	enum { TAG_ORIENTATION = 0x112, TYPE_SHORT = 3, ENTRY = 12 };
	if (size < 8)
		return 1;
	bool little = bytes[0] == 'I' && bytes[1] == 'I';
	if ((!little && !(bytes[0] == 'M' && bytes[1] == 'M')) || get16(bytes + 2, little) != 42)
		return 1;
	size_t at = get32(bytes + 4, little);
	if (at < 8 || at > size - 2)
		return 1;
	size_t count = get16(bytes + at, little);
	at += 2;
	for (; count > 0 && size - at >= ENTRY; count--, at += ENTRY) {
		const uint8_t *entry = bytes + at;
		if (get16(entry, little) != TAG_ORIENTATION)
			continue;
		unsigned value = get16(entry + 8, little);
		bool good = get16(entry + 2, little) == TYPE_SHORT && get32(entry + 4, little) == 1 && value >= 1 &&
			    value <= 8;
		return good ? (int)value : 1;
	}
	return 1;
}

int image_exif_jpeg(const uint8_t *bytes, size_t size)
{
	enum { SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, APP1 = 0xE1, TEM = 0x01, RST0 = 0xD0, RST7 = 0xD7 };
	size_t at = 2;
	while (at < size && size - at >= 4) {
		if (bytes[at] != 0xFF)
			return 1;
		unsigned marker = bytes[at + 1];
		if (marker == 0xFF) { /* fill byte */
			at++;
			continue;
		}
		if (marker == TEM || marker == SOI || (marker >= RST0 && marker <= RST7)) { /* no length */
			at += 2;
			continue;
		}
		if (marker == SOS || marker == EOI || marker == 0)
			return 1;
		size_t length = get16(bytes + at + 2, false); /* counts itself */
		if (length < 2 || length > size - at - 2)
			return 1;
		const uint8_t *body = bytes + at + 4;
		if (marker == APP1 && length >= 2 + 6 && memcmp(body, "Exif\0\0", 6) == 0)
			return image_exif_tiff(body + 6, length - 2 - 6);
		at += 2 + length;
	}
	return 1;
}
