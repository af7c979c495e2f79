/* A pack: what preprocessing leaves. A folder with
 *   images.npy    uint8 [count][side][side], grey, C order: NumPy opens it with one call, C maps it
 *   manifest.csv  index,label,class,source,hash,width,height
 *   pack.json     count, side, classes, content hash of the data set and of the settings
 * [0,1] floats and three channels are made per batch. */
#ifndef DATA_PACK_H
#define DATA_PACK_H

#include "base/file.h"
#include "data/set.h"

#define DATA_PACK_SIDE 224

typedef struct data_pack {
	size_t count;
	int side;	       /* pixels */
	const uint8_t *images; /* [count][side][side], mapped read-only */
	int *labels;	       /* [count] */
	char **sources;	       /* [count], paths below the data set's root */
	base_hash *hashes;     /* [count], of the source files */
	int class_count;
	char *class_names[DATA_CLASSES_MAX];
	base_hash content; /* of the data set that it was made from (data_set.hash) */
	base_map map;
} data_pack;

/* Writing: images are put in any order by several threads, then committed. Nothing stands under `folder` before
 * the commit (a temporary folder beside it is renamed). */
typedef struct data_pack_writer data_pack_writer;
bm_status data_pack_writer_open(const char *folder, size_t count, int side, data_pack_writer **out, bm_error *err);
/* Stores one image, [side][side]; threads may store different ones. With several threads cheaper than filling slots,
 * as they get into each other's way at the page faults of the map. BM_ERR_IO: the disk is full or broken. */
bm_status data_pack_writer_put(data_pack_writer *w, size_t index, const uint8_t *pixels, bm_error *err);
uint8_t *data_pack_writer_slot(data_pack_writer *w,
			       size_t index); /* [side][side], mapped; threads may fill different slots */
/* Says that the image of this slot could not be decoded: it is left out at the commit and the later ones move up. */
void data_pack_writer_drop(data_pack_writer *w, size_t index);
/* Writes manifest and pack.json from `set` (which holds the images that were kept, in the order of their slots),
 * renames, and frees w in any case. */
bm_status data_pack_writer_commit(data_pack_writer *w, const data_set *set, bm_error *err);
void data_pack_writer_abort(data_pack_writer *w); /* NULL is allowed */

bm_status data_pack_open(const char *folder, data_pack *out, bm_error *err);
void data_pack_close(data_pack *pack); /* safe on a zeroed pack */
/* True when the folder holds a whole pack made from data with this content hash with this side. */
bool data_pack_holds(const char *folder, base_hash content, int side);

#endif
