/* The image decoders. The last byte chooses how the picture is decoded. */
#include "fuzz.h"
#include "image/image.h"

/* Larger ones only take time. */
enum { PIXELS_MAX = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	image_info info;
	image img;
	bm_error err;
	int how = size > 0 ? bytes[size - 1] : 0, channels = how & 1 ? 3 : 1, least = how & 2 ? 8 : 0;
	bm_status status = image_inspect(bytes, size, &info, &err);
	if (status != BM_OK) {
		FUZZ_CHECK(err.message[0]);
		return 0;
	}
	FUZZ_CHECK(info.width > 0 && info.height > 0);
	FUZZ_CHECK((size_t)info.width * (size_t)info.height <= IMAGE_PIXEL_LIMIT);
	if ((size_t)info.width * (size_t)info.height > PIXELS_MAX)
		return 0;
	status = image_decode(bytes, size, channels, least, least, &img, &err);
	if (status != BM_OK) {
		FUZZ_CHECK(err.message[0] && !img.pixels);
		return 0;
	}
	FUZZ_CHECK(img.channels == channels && img.width > 0 && img.height > 0);
	if (!least)
		FUZZ_CHECK(img.width == info.width && img.height == info.height);
	image out = {.width = 16, .height = 16, .channels = channels};
	if (image_resize(&img, &out, &err) == BM_OK)
		image_free(&out);
	image_free(&img);
	return 0;
}
