#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/csv.h"
#include "data/pack.h"
#include "data/pack_format.h"

struct data_pack_writer {
	char *folder;	 /* the final name */
	char *temporary; /* the folder that becomes it; NULL when it is not there */
	size_t count;
	int side;
	int fd; /* images.npy, locked while it is written; -1: closed */
	uint8_t *map;
	size_t map_size;
	bool *dropped; /* [count] */
};

static bm_status fail_write(bm_error *err, const char *path, int number)
{
	return base_fail(err, BM_ERR_IO, "cannot write the pack '%s': %s%s", path, strerror(number),
			 number == ENOSPC || number == EDQUOT ? "; free some space or choose another folder" : "");
}

/* Only a pack's own files, so that a folder that the user named by mistake is never emptied. */
static void remove_pack(const char *folder)
{
	static const char *const names[] = {DATA_PACK_IMAGES, DATA_PACK_MANIFEST, DATA_PACK_JSON};
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlinkat(fd, names[i], 0);
	close(fd);
	rmdir(folder);
}

/* Locks the images of a pack that is being made: its process may run on another computer, where an id says nothing.
 * On a file system without locks none is had. */
static bool lock_images(int fd, int how)
{
	int result;
	do {
		result = flock(fd, how);
	} while (result != 0 && errno == EINTR);
	return result == 0;
}

/* Removes a folder that nobody writes into any more. */
static void remove_left_over(const char *folder)
{
	struct stat status;
	char *path = base_path_join(folder, DATA_PACK_IMAGES, NULL);
	int fd = path ? open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
	/* Empty: it was made just now and is about to be locked. */
	if (fd >= 0 && lock_images(fd, LOCK_EX | LOCK_NB) && fstat(fd, &status) == 0 && status.st_size > 0)
		remove_pack(folder);
	if (fd >= 0)
		close(fd);
	base_free(path);
}

/* Removes what killed processes have left beside the pack: folders "NAME.PID-N.part". */
static void remove_leftovers(const char *parent, const char *name)
{
	DIR *folder = opendir(parent);
	size_t length = strlen(name);
	struct dirent *entry;
	if (!folder)
		return;
	while ((entry = readdir(folder)) != NULL) {
		const char *tail = entry->d_name + length;
		char *end;
		if (strncmp(entry->d_name, name, length) != 0 || *tail != '.')
			continue;
		long pid = strtol(tail + 1, &end, 10);
		if (pid <= 1 || *end != '-')
			continue;
		strtol(end + 1, &end, 10);
		if (strcmp(end, ".part") != 0)
			continue;
		char *path = base_path_join(parent, entry->d_name, NULL);
		if (path)
			remove_left_over(path);
		base_free(path);
	}
	closedir(folder);
}

/* Fails when `folder` holds what a pack does not. */
static bm_status check_target(const char *path, bm_error *err)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	bm_status status = BM_OK;
	if (!folder && errno == ENOENT)
		return BM_OK;
	if (!folder)
		return base_fail(err, BM_ERR_IO, "cannot write the pack '%s': %s; choose another name", path,
				 strerror(errno));
	while (status == BM_OK && (entry = readdir(folder)) != NULL) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, DATA_PACK_IMAGES) != 0 &&
		    strcmp(name, DATA_PACK_MANIFEST) != 0 && strcmp(name, DATA_PACK_JSON) != 0)
			status = base_fail(
				err, BM_ERR_IO,
				"cannot write the pack '%s': the folder holds '%s', which is no part of a pack; "
				"choose another folder or empty this one",
				path, name);
	}
	closedir(folder);
	return status;
}

static bm_status make_temporary(data_pack_writer *w, bm_error *err)
{
	static atomic_uint serial;
	bm_status status = BM_ERR_MEMORY;
	base_text path = {0};
	char *parent = base_strdup(w->folder, err);
	if (!parent)
		return BM_ERR_MEMORY;
	char *slash = strrchr(parent, '/');
	if (!slash)
		strcpy(parent, "."); /* a name has at least one character */
	else if (slash == parent)
		slash[1] = '\0';
	else
		*slash = '\0';
	status = base_make_folders(parent, err);
	if (status != BM_OK)
		goto end;
	remove_leftovers(parent, base_path_name(w->folder));
	for (int attempt = 0;; attempt++) {
		base_text_clear(&path);
		base_text_add(&path, "%s.%ld-%u.part", w->folder, (long)getpid(), atomic_fetch_add(&serial, 1));
		if (path.failed) {
			status = base_fail(err, BM_ERR_MEMORY, "cannot write the pack '%s': no memory", w->folder);
			goto end;
		}
		if (mkdir(base_text_string(&path), 0777) == 0)
			break;
		/* A process with the same id was killed here before. */
		if (errno != EEXIST || attempt > 1000) {
			status = fail_write(err, w->folder, errno);
			goto end;
		}
	}
	w->temporary = base_strdup(base_text_string(&path), err);
	if (!w->temporary) {
		rmdir(base_text_string(&path));
		status = BM_ERR_MEMORY;
	}
end:
	base_text_free(&path);
	base_free(parent);
	return status;
}

/* NumPy's format 1.0: magic, version, length of the header, the header as a Python literal padded with blanks. */
static void npy_header(uint8_t header[DATA_PACK_NPY_HEADER], size_t count, int side)
{
	char text[DATA_PACK_NPY_HEADER];
	int length = snprintf(text, sizeof text, "{'descr': '|u1', 'fortran_order': False, 'shape': (%zu, %d, %d), }",
			      count, side, side);
	memset(header, ' ', DATA_PACK_NPY_HEADER);
	memcpy(header, "\x93NUMPY\x01\x00", 8);
	header[8] = DATA_PACK_NPY_HEADER - 10;
	header[9] = 0;
	memcpy(header + 10, text, (size_t)length);
	header[DATA_PACK_NPY_HEADER - 1] = '\n';
}

static bm_status map_images(data_pack_writer *w, bm_error *err)
{
	bm_status status = BM_OK;
	char *path = base_path_join(w->temporary, DATA_PACK_IMAGES, err);
	if (!path)
		return BM_ERR_MEMORY;
	w->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (w->fd < 0) {
		status = fail_write(err, w->folder, errno);
		goto end;
	}
	lock_images(w->fd, LOCK_EX); /* before it has any size: see remove_left_over() */
	/* Takes the space now: writing to a mapped hole of a full disk would be SIGBUS. */
	int number = posix_fallocate(w->fd, 0, (off_t)w->map_size);
	if (number != 0) {
		status = fail_write(err, w->folder, number);
		goto end;
	}
	void *map = mmap(NULL, w->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	if (map == MAP_FAILED) {
		status = fail_write(err, w->folder, errno);
		goto end;
	}
	w->map = map;
	npy_header(w->map, w->count, w->side);
end:
	base_free(path);
	return status;
}

/* Where a link leads to: a folder cannot be renamed to a link's name. */
static bm_status follow_link(data_pack_writer *w, bm_error *err)
{
	struct stat status;
	char real[PATH_MAX];
	if (lstat(w->folder, &status) != 0 || !S_ISLNK(status.st_mode))
		return BM_OK;
	if (!realpath(w->folder, real))
		return base_fail(err, BM_ERR_IO,
				 "cannot write the pack '%s': it is a link that leads nowhere (%s); make the folder it "
				 "names, or choose another name",
				 w->folder, strerror(errno));
	base_free(w->folder);
	w->folder = base_strdup(real, err);
	return w->folder ? BM_OK : BM_ERR_MEMORY;
}

bm_status data_pack_writer_open(const char *folder, size_t count, int side, data_pack_writer **out, bm_error *err)
{
	bm_status status;
	*out = NULL;
	if (*folder == '\0')
		return base_fail(err, BM_ERR_USAGE, "a pack needs the name of a folder");
	if (side < DATA_PACK_SIDE_MIN || side > DATA_PACK_SIDE_MAX)
		return base_fail(err, BM_ERR_USAGE,
				 "images of %d x %d pixels cannot be packed; choose a side from %d to %d", side, side,
				 DATA_PACK_SIDE_MIN, DATA_PACK_SIDE_MAX);
	if (count == 0 || count > (SIZE_MAX / 2 - DATA_PACK_NPY_HEADER) / ((size_t)side * (size_t)side))
		return base_fail(err, BM_ERR_USAGE, "a pack of %zu images cannot be made", count);
	data_pack_writer *w = base_calloc(1, sizeof *w, "a pack", err);
	if (!w)
		return BM_ERR_MEMORY;
	w->fd = -1;
	w->count = count;
	w->side = side;
	w->map_size = DATA_PACK_NPY_HEADER + count * (size_t)side * (size_t)side;
	status = BM_ERR_MEMORY;
	w->folder = base_strdup(folder, err);
	if (!w->folder)
		goto failed;
	for (size_t n = strlen(w->folder); n > 1 && w->folder[n - 1] == '/'; n--)
		w->folder[n - 1] = '\0';
	w->dropped = base_calloc(count, sizeof *w->dropped, "a pack", err);
	if (!w->dropped)
		goto failed;
	status = follow_link(w, err);
	if (status == BM_OK)
		status = check_target(w->folder, err);
	if (status == BM_OK)
		status = make_temporary(w, err);
	if (status == BM_OK)
		status = map_images(w, err);
	if (status != BM_OK)
		goto failed;
	*out = w;
	return BM_OK;
failed:
	data_pack_writer_abort(w);
	return status;
}

static uint8_t *slot(data_pack_writer *w, size_t index)
{
	return w->map + DATA_PACK_NPY_HEADER + index * (size_t)w->side * (size_t)w->side;
}

uint8_t *data_pack_writer_slot(data_pack_writer *w, size_t index)
{
	return slot(w, index);
}

bm_status data_pack_writer_put(data_pack_writer *w, size_t index, const uint8_t *pixels, bm_error *err)
{
	size_t size = (size_t)w->side * (size_t)w->side, done = 0;
	while (done < size) {
		ssize_t wrote =
			pwrite(w->fd, pixels + done, size - done, (off_t)(DATA_PACK_NPY_HEADER + index * size + done));
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return fail_write(err, w->folder, wrote < 0 ? errno : ENOSPC);
		done += (size_t)wrote;
	}
	return BM_OK;
}

void data_pack_writer_drop(data_pack_writer *w, size_t index)
{
	w->dropped[index] = true;
}

/* Moves the kept images up and cuts the file behind them. */
static bm_status close_gaps(data_pack_writer *w, bm_error *err)
{
	size_t kept = 0, size = (size_t)w->side * (size_t)w->side;
	for (size_t i = 0; i < w->count; i++) {
		if (w->dropped[i])
			continue;
		if (kept != i)
			memcpy(slot(w, kept), slot(w, i), size);
		kept++;
	}
	w->count = kept;
	npy_header(w->map, kept, w->side);
	if (ftruncate(w->fd, (off_t)(DATA_PACK_NPY_HEADER + kept * size)) != 0)
		return fail_write(err, w->folder, errno);
	return BM_OK;
}

static bm_status write_part(data_pack_writer *w, const char *name, const base_text *text, bm_error *err)
{
	char *path = base_path_join(w->temporary, name, err);
	if (!path)
		return BM_ERR_MEMORY;
	bm_status status = base_file_write(path, text->data, text->length, err);
	base_free(path);
	return status;
}

static bm_status write_manifest(data_pack_writer *w, const data_set *set, bm_error *err)
{
	base_text text = {0};
	bm_status status;
	base_text_add(&text, "%s\n", DATA_PACK_COLUMNS);
	for (size_t i = 0; i < set->count; i++) {
		const data_item *item = &set->items[i];
		char hash[33];
		base_hash_text(item->hash, hash);
		base_text_add(&text, "%zu,%d,", i, item->label);
		data_csv_add(&text, set->class_names[item->label]);
		base_text_append(&text, ",", 1);
		data_csv_add(&text, item->path);
		base_text_add(&text, ",%s,%d,%d\n", hash, item->info.width, item->info.height);
	}
	if (text.failed)
		status = base_fail(err, BM_ERR_MEMORY, "cannot write the pack '%s': no memory for its manifest",
				   w->folder);
	else
		status = write_part(w, DATA_PACK_MANIFEST, &text, err);
	base_text_free(&text);
	return status;
}

static bm_status write_json(data_pack_writer *w, const data_set *set, bm_error *err)
{
	char content[33], images[33];
	base_text text = {0};
	char *dump = NULL;
	bm_status status = BM_ERR_MEMORY;
	json_t *classes = json_array(), *root;
	base_hash_text(set->hash, content);
	base_hash_text(base_hash_bytes(slot(w, 0), w->count * (size_t)w->side * (size_t)w->side), images);
	for (int i = 0; i < set->class_count; i++)
		json_array_append_new(classes, json_string(set->class_names[i]));
	root = json_pack("{s:s, s:i, s:I, s:i, s:O, s:s, s:s, s:s}", "format", DATA_PACK_FORMAT, "version",
			 DATA_PACK_VERSION, "count", (json_int_t)w->count, "side", w->side, "classes", classes,
			 "content", content, "images", images, "preprocessing", DATA_PACK_PREPROCESSING);
	dump = root && json_array_size(classes) == (size_t)set->class_count ? json_dumps(root, JSON_INDENT(2)) : NULL;
	if (!dump) {
		base_fail(err, BM_ERR_MEMORY, "cannot write the pack '%s': no memory for its description", w->folder);
		goto end;
	}
	base_text_add(&text, "%s\n", dump);
	if (text.failed)
		base_fail(err, BM_ERR_MEMORY, "cannot write the pack '%s': no memory for its description", w->folder);
	else
		status = write_part(w, DATA_PACK_JSON, &text, err);
end:
	base_text_free(&text);
	free(dump);
	json_decref(root);
	json_decref(classes);
	return status;
}

/* Puts the temporary folder in the place of whatever pack stands there. */
static bm_status put_in_place(data_pack_writer *w, bm_error *err)
{
	if (rename(w->temporary, w->folder) == 0) {
		base_free(w->temporary);
		w->temporary = NULL;
		return BM_OK;
	}
	if (errno != ENOTEMPTY && errno != EEXIST)
		return fail_write(err, w->folder, errno);
	/* In one step where the file system can: no moment without a whole pack. What then has the temporary name
	 * is the old one. */
	if (renameat2(AT_FDCWD, w->temporary, AT_FDCWD, w->folder, RENAME_EXCHANGE) == 0)
		return BM_OK;
	remove_pack(w->folder);
	if (rename(w->temporary, w->folder) != 0)
		return fail_write(err, w->folder, errno);
	base_free(w->temporary);
	w->temporary = NULL;
	return BM_OK;
}

bm_status data_pack_writer_commit(data_pack_writer *w, const data_set *set, bm_error *err)
{
	bm_status status = BM_OK;
	size_t kept = 0;
	for (size_t i = 0; i < w->count; i++)
		kept += !w->dropped[i];
	if (kept != set->count || kept == 0) {
		status = base_fail(err, BM_ERR_INTERNAL,
				   "a pack of %zu images is committed with a list of %zu; please report this", kept,
				   set->count);
		goto end;
	}
	if (kept != w->count)
		status = close_gaps(w, err);
	if (status == BM_OK)
		status = write_manifest(w, set, err);
	if (status == BM_OK)
		status = write_json(w, set, err);
	if (status != BM_OK)
		goto end;
	if (msync(w->map, w->map_size, MS_SYNC) != 0 && errno != ENOMEM) {
		status = fail_write(err, w->folder, errno);
		goto end;
	}
	if (fsync(w->fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
		status = fail_write(err, w->folder, errno);
		goto end;
	}
	status = check_target(w->folder, err);
	if (status == BM_OK)
		status = put_in_place(w, err);
end:
	data_pack_writer_abort(w);
	return status;
}

void data_pack_writer_abort(data_pack_writer *w)
{
	if (!w)
		return;
	if (w->map)
		munmap(w->map, w->map_size);
	if (w->fd >= 0)
		close(w->fd);
	if (w->temporary)
		remove_pack(w->temporary);
	base_free(w->temporary);
	base_free(w->folder);
	base_free(w->dropped);
	base_free(w);
}
