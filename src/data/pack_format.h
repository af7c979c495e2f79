/* What the pack's writer and reader share. */
#ifndef DATA_PACK_FORMAT_H
#define DATA_PACK_FORMAT_H

#define DATA_PACK_IMAGES "images.npy"
#define DATA_PACK_MANIFEST "manifest.csv"
#define DATA_PACK_JSON "pack.json"
#define DATA_PACK_FORMAT "brainmri-pack"
#define DATA_PACK_VERSION 1
#define DATA_PACK_PREPROCESSING \
	"grey, foreground, triangle filter, 2" /* a new text makes every older pack be made again */
#define DATA_PACK_COLUMNS "index,label,class,source,hash,width,height"

#define DATA_PACK_NPY_HEADER 128 /* bytes before the first pixel: a multiple of 64, as NumPy's format 1.0 asks for */
#define DATA_PACK_SIDE_MIN 8
#define DATA_PACK_SIDE_MAX 1024

#endif
