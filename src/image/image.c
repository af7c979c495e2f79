#include "image/image.h"

#include <string.h>

#include "base/memory.h"
#include "image/codec.h"

static const uint8_t jpeg_magic[] = {0xFF, 0xD8, 0xFF};
static const uint8_t png_magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

static bool starts_with(const uint8_t *bytes, size_t size, const void *magic, size_t length)
{
	return size >= length && memcmp(bytes, magic, length) == 0;
}

image_format image_sniff(const void *bytes, size_t size)
{
	if (starts_with(bytes, size, jpeg_magic, sizeof jpeg_magic))
		return IMAGE_JPEG;
	if (starts_with(bytes, size, png_magic, sizeof png_magic))
		return IMAGE_PNG;
	return IMAGE_UNKNOWN;
}

const char *image_format_name(image_format format)
{
	switch (format) {
	case IMAGE_JPEG:
		return "JPEG";
	case IMAGE_PNG:
		return "PNG";
	case IMAGE_UNKNOWN:
		break;
	}
	return "unknown";
}

/* Says what the bytes are instead, when that helps. */
static bm_status fail_unknown(const uint8_t *bytes, size_t size, bm_error *err)
{
	static const struct {
		const char *name, *magic;
		size_t at, length;
	} others[] = {
		{"a GIF image", "GIF8", 0, 4},	      {"a TIFF image", "II*\0", 0, 4},
		{"a TIFF image", "MM\0*", 0, 4},      {"a WebP image", "WEBP", 8, 4},
		{"a BMP image", "BM", 0, 2},	      {"a DICOM file", "DICM", 128, 4},
		{"a gzip archive", "\x1F\x8B", 0, 2}, {"a zip archive", "PK\3\4", 0, 4},
		{"a PDF file", "%PDF", 0, 4},	      {"a NIfTI file", "n+1\0", 344, 4},
		{"a HEIC image", "ftyp", 4, 4},
	};
	if (size == 0)
		return base_fail(err, BM_ERR_FORMAT, "the file is empty; get it anew or leave it out");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		if (size >= others[i].at + others[i].length &&
		    memcmp(bytes + others[i].at, others[i].magic, others[i].length) == 0)
			return base_fail(err, BM_ERR_FORMAT, "it is %s, not a JPEG or PNG; convert it to PNG",
					 others[i].name);
	}
	return base_fail(err, BM_ERR_FORMAT, "not a JPEG or PNG image; convert it to PNG or leave it out");
}

static bm_status check_file(const void *bytes, size_t size, image_format *format, bm_error *err)
{
	if (size > IMAGE_FILE_LIMIT)
		return base_fail(err, BM_ERR_LIMIT,
				 "the file has %zu MiB, at most %zu MiB are accepted; save it smaller",
				 (size + ((size_t)1 << 20) - 1) >> 20, IMAGE_FILE_LIMIT >> 20);
	*format = image_sniff(bytes, size);
	return *format == IMAGE_UNKNOWN ? fail_unknown(bytes, size, err) : BM_OK;
}

bm_status image_check_size(uint64_t width, uint64_t height, bm_error *err)
{
	if (width == 0 || height == 0)
		return base_fail(err, BM_ERR_FORMAT,
				 "the header says %llu x %llu pixels; get the file anew or leave it out",
				 (unsigned long long)width, (unsigned long long)height);
	if (width > IMAGE_PIXEL_LIMIT || height > IMAGE_PIXEL_LIMIT || width * height > IMAGE_PIXEL_LIMIT)
		return base_fail(err, BM_ERR_LIMIT,
				 "%llu x %llu pixels, at most %zu megapixels are accepted; save it smaller",
				 (unsigned long long)width, (unsigned long long)height, IMAGE_PIXEL_LIMIT >> 20);
	return BM_OK;
}

bm_status image_allocate(image *out, bm_error *err)
{
	out->pixels = base_malloc((size_t)out->width * (size_t)out->height, (size_t)out->channels, "an image", err);
	return out->pixels ? BM_OK : BM_ERR_MEMORY;
}

void image_free(image *img)
{
	if (!img)
		return;
	base_free(img->pixels);
	*img = (image){0};
}

bm_status image_inspect(const void *bytes, size_t size, image_info *info, bm_error *err)
{
	image_format format;
	*info = (image_info){0};
	bm_status status = check_file(bytes, size, &format, err);
	if (status != BM_OK)
		return status;
	info->orientation = 1;
	status = format == IMAGE_JPEG ? image_jpeg_inspect(bytes, size, info, err)
				      : image_png_inspect(bytes, size, info, err);
	if (status != BM_OK)
		return status;
	info->format = format;
	if (info->orientation >= 5) {
		int swap = info->width;
		info->width = info->height;
		info->height = swap;
	}
	return BM_OK;
}

bm_status image_decode(const void *bytes, size_t size, int channels, int min_width, int min_height, image *out,
		       bm_error *err)
{
	image_format format;
	*out = (image){0};
	if (channels != 1 && channels != 3)
		return base_fail(err, BM_ERR_USAGE, "an image is decoded to 1 or 3 channels, not %d", channels);
	bm_status status = check_file(bytes, size, &format, err);
	if (status != BM_OK)
		return status;
	int orientation = 1;
	if (format == IMAGE_JPEG) {
		orientation = image_exif_jpeg(bytes, size);
		if (orientation >= 5) { /* the decoder counts in stored columns and rows */
			int swap = min_width;
			min_width = min_height;
			min_height = swap;
		}
		status = image_jpeg_decode(bytes, size, channels, min_width, min_height, out, err);
	} else {
		status = image_png_decode(bytes, size, channels, out, &orientation, err);
	}
	if (status == BM_OK)
		status = image_orient(out, orientation, err);
	if (status != BM_OK)
		image_free(out);
	return status;
}

bm_status image_orient(image *img, int orientation, bm_error *err)
{
	if (orientation < 2 || orientation > 8)
		return BM_OK;
	bool turned = orientation >= 5; /* rows become columns */
	int w = img->width, h = img->height, c = img->channels;
	image to = {.width = turned ? h : w, .height = turned ? w : h, .channels = c};
	if (image_allocate(&to, err) != BM_OK)
		return BM_ERR_MEMORY;
	bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
	bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
	uint8_t *target = to.pixels;
	for (int y = 0; y < to.height; y++) {
		for (int x = 0; x < to.width; x++, target += c) {
			int from_x = turned ? y : x, from_y = turned ? x : y;
			if (flip_x)
				from_x = w - 1 - from_x;
			if (flip_y)
				from_y = h - 1 - from_y;
			memcpy(target, img->pixels + ((size_t)from_y * (size_t)w + (size_t)from_x) * (size_t)c,
			       (size_t)c);
		}
	}
	image_free(img);
	*img = to;
	return BM_OK;
}
