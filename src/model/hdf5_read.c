#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/hdf5_file.h"
#include "model/hdf5_lock.h"

#define ARRAYS_MAX 8192
#define VARS_MAX 64			/* of one layer */
#define ELEMENTS_MAX ((hsize_t)1 << 30) /* of one array */
#define NAME_MAX_BYTES 96
#define PATH_MAX_BYTES 400
#define DEPTH_MAX 4 /* of groups in the older layout */
#define GROUPS_MAX 8192

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* At exit libhdf5 would try to close what it could not close in damaged files, and print that it fails. */
static void begin(void)
{
	H5dont_atexit();
}

void model_hdf5_enter(model_hdf5_lock *lock)
{
	pthread_once(&once, begin);
	pthread_mutex_lock(&mutex);
	lock->print = NULL;
	lock->data = NULL;
	H5Eget_auto2(H5E_DEFAULT, &lock->print, &lock->data);
	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void model_hdf5_leave(const model_hdf5_lock *lock)
{
	H5Eset_auto2(H5E_DEFAULT, lock->print, lock->data);
	pthread_mutex_unlock(&mutex);
}

const char *model_hdf5_new_name(char buffer[MODEL_HDF5_NAME_SIZE])
{
	static unsigned long long number;

	snprintf(buffer, MODEL_HDF5_NAME_SIZE, "brainmri-weights-%llu", number++);
	return buffer;
}

typedef struct item {
	model_array array;
	char path[PATH_MAX_BYTES]; /* in the file */
} item;

struct model_hdf5_reader {
	hid_t file;
	void *bytes; /* the caller's; HDF5 wants it without const, and only reads */
	char name[256];
	item *items;
	size_t count, capacity;
	bool legacy;
	bm_status status; /* of the listing */
	bm_error error;
};

/* ---- the file image: HDF5 uses the caller's bytes where they are ---- */

static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *self)
{
	(void)size;
	(void)op;
	return ((model_hdf5_reader *)self)->bytes;
}

static void *image_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *self)
{
	(void)size;
	(void)op;
	(void)self;
	return to == from ? to : NULL;
}

static void *image_realloc(void *block, size_t size, H5FD_file_image_op_t op, void *self)
{
	(void)block;
	(void)size;
	(void)op;
	(void)self;
	return NULL; /* nothing is written */
}

static herr_t image_free(void *block, H5FD_file_image_op_t op, void *self)
{
	(void)block;
	(void)op;
	(void)self;
	return 0;
}

static void *self_copy(void *self)
{
	return self;
}

static herr_t self_free(void *self)
{
	(void)self;
	return 0;
}

static hid_t open_image(model_hdf5_reader *r, size_t size)
{
	H5FD_file_image_callbacks_t callbacks = {
		image_malloc, image_memcpy, image_realloc, image_free, self_copy, self_free, r};
	hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = -1;
	char name[MODEL_HDF5_NAME_SIZE];

	if (access >= 0 && H5Pset_fapl_core(access, (size_t)1 << 20, false) >= 0 &&
	    H5Pset_file_image_callbacks(access, &callbacks) >= 0 && H5Pset_file_image(access, r->bytes, size) >= 0)
		file = H5Fopen(model_hdf5_new_name(name), H5F_ACC_RDONLY, access);
	if (access >= 0)
		H5Pclose(access);
	return file;
}

/* ---- listing ---- */

/* True for a link inside the file to a thing of this type: soft and external links could lead anywhere. */
static bool leads_to(hid_t group, const char *name, H5O_type_t type)
{
	H5L_info_t link;
	H5O_info_t object;

	if (H5Lget_info(group, name, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
		return false;
	return H5Oget_info_by_name2(group, name, &object, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 && object.type == type;
}

/* An array of floats whose bytes are in the file, neither virtual nor in another file nor behind a plugin. */
static bool acceptable(hid_t set, hid_t space, hsize_t count)
{
	hid_t type = H5Dget_type(set), create = H5Dget_create_plist(set);
	size_t width = type >= 0 ? H5Tget_size(type) : 0;
	bool good = type >= 0 && create >= 0 && H5Tget_class(type) == H5T_FLOAT &&
		    (width == 2 || width == 4 || width == 8) && H5Pget_external_count(create) == 0 &&
		    H5Sis_simple(space) > 0;
	H5D_layout_t layout = good ? H5Pget_layout(create) : H5D_LAYOUT_ERROR;
	hsize_t chunk[MODEL_RANK_MAX] = {0}, elements = 1;

	if (layout == H5D_CONTIGUOUS || layout == H5D_COMPACT) {
		good = H5Dget_storage_size(set) == count * width;
	} else if (layout == H5D_CHUNKED) {
		int rank = H5Pget_chunk(create, MODEL_RANK_MAX, chunk);

		good = rank > 0 && rank <= MODEL_RANK_MAX && H5Dget_storage_size(set) > 0;
		for (int i = 0; good && i < rank; i++) {
			elements *= chunk[i];
			good = chunk[i] > 0 && elements <= 8 * count + 4096;
		}
	} else {
		good = false;
	}
	if (create >= 0)
		H5Pclose(create);
	if (type >= 0)
		H5Tclose(type);
	return good;
}

static bm_status describe_array(model_hdf5_reader *r, hid_t vars, const char *name, model_array *array)
{
	hsize_t shape[MODEL_RANK_MAX] = {0}, count = 1;
	hid_t set = H5Dopen2(vars, name, H5P_DEFAULT), space = set >= 0 ? H5Dget_space(set) : -1;
	bool good = space >= 0;

	if (good) {
		array->rank = H5Sget_simple_extent_ndims(space);
		good = array->rank >= 0 && array->rank <= MODEL_RANK_MAX &&
		       H5Sget_simple_extent_dims(space, shape, NULL) >= 0;
	}
	for (int i = 0; good && i < array->rank; i++) {
		good = shape[i] > 0 && shape[i] <= ELEMENTS_MAX && count * shape[i] <= ELEMENTS_MAX;
		count *= shape[i];
		array->shape[i] = (int)shape[i];
	}
	good = good && acceptable(set, space, count);
	if (space >= 0)
		H5Sclose(space);
	if (set >= 0)
		H5Dclose(set);
	if (!good)
		return base_fail(&r->error, BM_ERR_FORMAT,
				 "array '%s' in '%s' is damaged or no plain array of floats: take another file",
				 array->name, r->name);
	return BM_OK;
}

typedef struct visit {
	model_hdf5_reader *reader;
	const char *layer; /* NULL while the layers are visited */
	int vars;
} visit;

static bool is_number(const char *text)
{
	return text[0] && strspn(text, "0123456789") == strlen(text) && strlen(text) < 4;
}

static herr_t too_many(model_hdf5_reader *r)
{
	r->status =
		base_fail(&r->error, BM_ERR_LIMIT, "'%s' holds more arrays than any model of this program", r->name);
	return -1;
}

/* Adds the array `name` of `group` to the list. */
static herr_t add_array(model_hdf5_reader *r, hid_t group, const char *name, const char *listed, const char *path)
{
	item *added;

	if (r->count >= ARRAYS_MAX)
		return too_many(r);
	r->status = base_grow(&r->items, &r->capacity, r->count, sizeof(*r->items), "the list of weights", &r->error);
	if (r->status != BM_OK)
		return -1;
	added = &r->items[r->count];
	memset(added, 0, sizeof(*added));
	snprintf(added->array.name, sizeof(added->array.name), "%s", listed);
	snprintf(added->path, sizeof(added->path), "%s", path);
	r->status = describe_array(r, group, name, &added->array);
	if (r->status != BM_OK)
		return -1;
	r->count++;
	return 0;
}

static herr_t visit_var(hid_t vars, const char *name, const H5L_info_t *info, void *data)
{
	visit *v = data;
	char path[MODEL_ARRAY_NAME_SIZE];

	(void)info;
	if (!is_number(name) || !leads_to(vars, name, H5O_TYPE_DATASET))
		return 0;
	if (++v->vars > VARS_MAX)
		return too_many(v->reader);
	snprintf(path, sizeof(path), "layers/%s/vars/%s", v->layer, name);
	return add_array(v->reader, vars, name, path, path);
}

static herr_t visit_layer(hid_t layers, const char *name, const H5L_info_t *info, void *data)
{
	visit inner = {.reader = ((visit *)data)->reader, .layer = name};
	herr_t result = 0;
	hid_t layer, vars;

	(void)info;
	if (strlen(name) > NAME_MAX_BYTES || !leads_to(layers, name, H5O_TYPE_GROUP))
		return 0;
	layer = H5Gopen2(layers, name, H5P_DEFAULT);
	if (layer < 0)
		return -1;
	if (leads_to(layer, "vars", H5O_TYPE_GROUP)) {
		vars = H5Gopen2(layer, "vars", H5P_DEFAULT);
		result = vars < 0 ? -1 : H5Literate(vars, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_var, &inner);
		if (vars >= 0)
			H5Gclose(vars);
	}
	H5Gclose(layer);
	return result < 0 ? -1 : 0;
}

/* ---- the older layout: "LAYER/SCOPE/ROLE:0", with one more group around it in a whole model ---- */

typedef struct walk {
	model_hdf5_reader *reader;
	char path[PATH_MAX_BYTES]; /* of the group that is visited, with a slash behind it */
	size_t root;		   /* bytes of path that lead to the first group of a layer */
	int depth, groups;
} walk;

/* "conv1_conv/conv1_conv/kernel:0" -> "conv1_conv/kernel". The scope is the layer's name, but may have got a number ("conv1_conv_1") or, in a
 * nested model, be the only place where it stands. */
static void legacy_name(const char *below_root, const char *role, char *name, size_t size)
{
	size_t layer = strcspn(below_root, "/"), scope_length, role_length = strcspn(role, ":");
	const char *scope = below_root;

	for (const char *slash = strchr(scope, '/'); slash && slash[1]; slash = strchr(scope, '/'))
		scope = slash + 1;
	scope_length = strcspn(scope, "/");
	if (scope_length > layer + 1 && strncmp(scope, below_root, layer) == 0 && scope[layer] == '_' &&
	    strspn(scope + layer + 1, "0123456789") == scope_length - layer - 1)
		scope_length = layer;
	snprintf(name, size, "%.*s/%.*s", (int)scope_length, scope, (int)role_length, role);
}

static herr_t visit_legacy(hid_t group, const char *name, const H5L_info_t *info, void *data)
{
	walk *w = data;
	size_t length = strlen(w->path);
	char listed[MODEL_ARRAY_NAME_SIZE], path[PATH_MAX_BYTES];
	herr_t result;
	hid_t inner;

	(void)info;
	if (strlen(name) > NAME_MAX_BYTES || length + strlen(name) + 2 > sizeof(w->path))
		return 0;
	if (w->depth > 0 && leads_to(group, name, H5O_TYPE_DATASET)) {
		legacy_name(w->path + w->root, name, listed, sizeof(listed));
		snprintf(path, sizeof(path), "%s%.*s", w->path, NAME_MAX_BYTES, name);
		return add_array(w->reader, group, name, listed, path);
	}
	if (w->depth >= DEPTH_MAX || !leads_to(group, name, H5O_TYPE_GROUP))
		return 0;
	if (++w->groups > GROUPS_MAX)
		return too_many(w->reader);
	inner = H5Gopen2(group, name, H5P_DEFAULT);
	if (inner < 0)
		return -1;
	snprintf(w->path + length, sizeof(w->path) - length, "%s/", name);
	w->depth++;
	result = H5Literate(inner, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_legacy, w);
	w->depth--;
	w->path[length] = '\0';
	H5Gclose(inner);
	return result < 0 ? -1 : 0;
}

/* H5_ITER_ERROR is -1, and so is what a visitor returns after it has said why. */
static herr_t list_legacy(model_hdf5_reader *r, const char *root)
{
	walk w = {.reader = r, .root = strlen(root)};
	hid_t group = H5Gopen2(r->file, root[0] ? root : "/", H5P_DEFAULT);
	herr_t result;

	r->legacy = true;
	if (group < 0)
		return -1;
	snprintf(w.path, sizeof(w.path), "%s", root);
	result = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_legacy, &w);
	H5Gclose(group);
	return result;
}

static bm_status list_arrays(model_hdf5_reader *r)
{
	visit outer = {.reader = r};
	herr_t result = -1;
	hid_t layers;

	if (leads_to(r->file, "layers", H5O_TYPE_GROUP)) {
		layers = H5Gopen2(r->file, "layers", H5P_DEFAULT);
		if (layers >= 0) {
			result = H5Literate(layers, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_layer, &outer);
			H5Gclose(layers);
		}
	} else if (leads_to(r->file, "model_weights", H5O_TYPE_GROUP)) {
		result = list_legacy(r, "model_weights/");
	} else if (H5Aexists(r->file, "layer_names") > 0 || H5Aexists(r->file, "layer_names0") > 0) {
		result = list_legacy(r, "");
	} else {
		return base_fail(
			&r->error, BM_ERR_FORMAT,
			"'%s' has neither a group 'layers' nor a list of layer names: it is no weights file of Keras",
			r->name);
	}
	if (result < 0 && r->status == BM_OK)
		return base_fail(&r->error, BM_ERR_FORMAT, "the HDF5 structure of '%s' is damaged: take another file",
				 r->name);
	return r->status;
}

bm_status model_hdf5_open(const void *bytes, size_t size, const char *name, model_hdf5_reader **out, bm_error *err)
{
	model_hdf5_reader *r = base_calloc(1, sizeof(*r), "an HDF5 reader", err);
	model_hdf5_lock lock;
	bm_status status;

	*out = NULL;
	if (!r)
		return BM_ERR_MEMORY;
	r->bytes = (void *)(uintptr_t)bytes;
	snprintf(r->name, sizeof(r->name), "%s", name);
	model_hdf5_enter(&lock);
	H5PLset_loading_state(0); /* no filter code from the file system */
	r->file = open_image(r, size);
	if (r->file < 0)
		r->status = base_fail(&r->error, BM_ERR_FORMAT,
				      "'%s' is not an HDF5 file, or a damaged one: take another", name);
	else
		r->status = list_arrays(r);
	model_hdf5_leave(&lock);
	status = r->status;
	if (status != BM_OK) {
		if (err)
			*err = r->error;
		model_hdf5_close(r);
		return status;
	}
	*out = r;
	return BM_OK;
}

bool model_hdf5_is_legacy(const model_hdf5_reader *r)
{
	return r->legacy;
}

int model_hdf5_count(const model_hdf5_reader *r)
{
	return (int)r->count;
}

const model_array *model_hdf5_get(const model_hdf5_reader *r, int index)
{
	return &r->items[index].array;
}

int model_hdf5_find(const model_hdf5_reader *r, const char *array)
{
	for (size_t i = 0; i < r->count; i++) {
		if (strcmp(r->items[i].array.name, array) == 0)
			return (int)i;
	}
	return -1;
}

bm_status model_hdf5_read(model_hdf5_reader *r, int index, float *values, bm_error *err)
{
	const char *path = r->items[index].path;
	model_hdf5_lock lock;
	bool good = false;
	hid_t set;

	model_hdf5_enter(&lock);
	set = H5Dopen2(r->file, path, H5P_DEFAULT);
	if (set >= 0) {
		good = H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
		H5Dclose(set);
	}
	model_hdf5_leave(&lock);
	if (!good)
		return base_fail(err, BM_ERR_FORMAT,
				 "array '%s' in '%s' cannot be read: the file is damaged, take another", path, r->name);
	return BM_OK;
}

void model_hdf5_close(model_hdf5_reader *r)
{
	model_hdf5_lock lock;

	if (!r)
		return;
	if (r->file >= 0) {
		model_hdf5_enter(&lock);
		H5Fclose(r->file);
		model_hdf5_leave(&lock);
	}
	base_free(r->items);
	base_free(r);
}
