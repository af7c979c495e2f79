/* A local folder. Its descriptor is kept, so that the paths below it hold whatever becomes of the working folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "storage/backend.h"

typedef struct local {
	int root;
} local;

bm_status storage_local_fail(bm_error *err, const char *verb, const char *url, const char *path, int number)
{
	const char *slash = path[0] ? "/" : "";
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return base_fail(err, BM_ERR_NOT_FOUND, "cannot %s '%s%s%s': %s; check the path", verb, url, slash,
				 path,
				 number == ENOENT ? "no such file or folder" : "a part of the path is not a folder");
	case ELOOP:
		return base_fail(err, BM_ERR_IO, "cannot %s '%s%s%s': its symbolic links go round in a circle", verb,
				 url, slash, path);
	case EACCES:
	case EPERM:
		return base_fail(err, BM_ERR_IO, "cannot %s '%s%s%s': %s; check who may read and write there", verb,
				 url, slash, path, strerror(number));
	case ENOSPC:
	case EDQUOT:
		return base_fail(err, BM_ERR_IO, "cannot %s '%s%s%s': %s; free some space or choose another folder",
				 verb, url, slash, path, strerror(number));
	case EMFILE:
	case ENFILE:
		return base_fail(err, BM_ERR_IO, "cannot %s '%s%s%s': %s; use fewer threads or raise 'ulimit -n'", verb,
				 url, slash, path, strerror(number));
	default:
		return base_fail(err, BM_ERR_IO, "cannot %s '%s%s%s': %s", verb, url, slash, path, strerror(number));
	}
}

static int open_below(int root, const char *path, int flags)
{
	int fd;
	do {
		fd = openat(root, path[0] ? path : ".", O_RDONLY | O_CLOEXEC | flags);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

static void fill_info(const struct stat *what, storage_info *info)
{
	bool folder = S_ISDIR(what->st_mode);
	struct passwd user, *found_user = NULL;
	struct group group, *found_group = NULL;
	char room[2048];
	*info = (storage_info){.folder = folder,
			       .size = S_ISREG(what->st_mode) ? (uint64_t)what->st_size : 0,
			       .modified = (int64_t)what->st_mtim.tv_sec * 1000 + what->st_mtim.tv_nsec / 1000000,
			       .permission = (int)(what->st_mode & 07777),
			       .replication = folder ? 0 : 1};
	if (getpwuid_r(what->st_uid, &user, room, sizeof room, &found_user) == 0 && found_user)
		snprintf(info->owner, sizeof info->owner, "%s", user.pw_name);
	else
		snprintf(info->owner, sizeof info->owner, "%u", (unsigned)what->st_uid);
	if (getgrgid_r(what->st_gid, &group, room, sizeof room, &found_group) == 0 && found_group)
		snprintf(info->group, sizeof info->group, "%s", group.gr_name);
	else
		snprintf(info->group, sizeof info->group, "%u", (unsigned)what->st_gid);
}

static bm_status local_look(void *state, const char *url, const char *path, storage_info *info, bm_error *err)
{
	const local *place = state;
	struct stat what;
	if (fstatat(place->root, path[0] ? path : ".", &what, 0) != 0)
		return storage_local_fail(err, "look at", url, path, errno);
	fill_info(&what, info);
	return BM_OK;
}

static bm_status local_list(void *state, const char *url, const char *path, bool hidden, storage_list *list,
			    bm_error *err)
{
	const local *place = state;
	int fd = open_below(place->root, path, O_DIRECTORY);
	if (fd < 0)
		return storage_local_fail(err, "list", url, path, errno);
	DIR *folder = fdopendir(fd);
	if (!folder) {
		int number = errno;
		close(fd);
		return storage_local_fail(err, "list", url, path, number);
	}
	bm_status status = BM_OK;
	size_t capacity = 0;
	while (status == BM_OK) {
		errno = 0;
		const struct dirent *entry = readdir(folder);
		if (!entry) {
			if (errno != 0)
				status = storage_local_fail(err, "list", url, path, errno);
			break;
		}
		const char *name = entry->d_name;
		if (name[0] == '.' && (!hidden || strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
			continue;
		/* A link counts as what it points to; a dangling one as a file, so that reading it names it. */
		struct stat what;
		storage_info info = {0};
		if (fstatat(fd, name, &what, 0) == 0)
			fill_info(&what, &info);
		status = storage_list_add(list, &capacity, name, &info, err);
	}
	closedir(folder);
	return status;
}

/* Reads until `room` bytes are there or the file ends; the number of bytes, or -1. */
static ssize_t read_fully(int fd, uint8_t *bytes, size_t room)
{
	size_t done = 0;
	while (done < room) {
		ssize_t got = read(fd, bytes + done, room - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static bm_status local_read(void *state, const char *url, const char *path, size_t limit, uint8_t **bytes, size_t *size,
			    bm_error *err)
{
	const local *place = state;
	uint8_t *block = NULL;
	bm_status status = BM_OK;
	struct stat what;
	char a[32], b[32];
	int fd = open_below(place->root, path, O_NONBLOCK | O_NOCTTY); /* a pipe must not block */
	if (fd < 0)
		return storage_local_fail(err, "open", url, path, errno);
	if (fstat(fd, &what) != 0) {
		status = storage_local_fail(err, "look at", url, path, errno);
		goto done;
	}
	if (!S_ISREG(what.st_mode)) {
		status = base_fail(err, BM_ERR_IO, "cannot read '%s/%s': it is %s, not a file", url, path,
				   S_ISDIR(what.st_mode) ? "a folder" : "a pipe, socket or device");
		goto done;
	}
	if ((uint64_t)what.st_size > limit) {
		status = base_fail(err, BM_ERR_LIMIT, "cannot read '%s/%s': %s, at most %s are accepted", url, path,
				   base_format_bytes((double)what.st_size, a), base_format_bytes((double)limit, b));
		goto done;
	}
	/* One byte more than there should be shows whether the file grew meanwhile. */
	size_t expected = (size_t)what.st_size;
	block = base_malloc(expected + 1, 1, "a file", err);
	if (!block) {
		status = base_prefix(err, BM_ERR_MEMORY, "cannot read '%s/%s'", url, path);
		goto done;
	}
	ssize_t got = read_fully(fd, block, expected + 1);
	if (got < 0) {
		status = storage_local_fail(err, "read", url, path, errno);
		goto done;
	}
	if ((size_t)got != expected) {
		status = base_fail(err, BM_ERR_IO, "cannot read '%s/%s': it changed while it was being read; try again",
				   url, path);
		goto done;
	}
	block[expected] = 0; /* text can be used as such */
	*bytes = block;
	*size = expected;
	block = NULL;
done:
	base_free(block);
	close(fd);
	return status;
}

static bm_status local_read_range(void *state, const char *url, const char *path, uint64_t offset, size_t length,
				  uint8_t *bytes, size_t *got, bm_error *err)
{
	const local *place = state;
	struct stat what;
	bm_status status = BM_OK;
	int fd = open_below(place->root, path, O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return storage_local_fail(err, "open", url, path, errno);
	if (fstat(fd, &what) != 0)
		status = storage_local_fail(err, "look at", url, path, errno);
	else if (!S_ISREG(what.st_mode))
		status = base_fail(err, BM_ERR_IO, "cannot read '%s/%s': it is %s, not a file", url, path,
				   S_ISDIR(what.st_mode) ? "a folder" : "a pipe, socket or device");
	while (status == BM_OK && *got < length) {
		ssize_t some = pread(fd, bytes + *got, length - *got, (off_t)(offset + *got));
		if (some < 0 && errno == EINTR)
			continue;
		if (some < 0)
			status = storage_local_fail(err, "read", url, path, errno);
		if (some <= 0)
			break;
		*got += (size_t)some;
	}
	close(fd);
	return status;
}

static bm_status local_create(void *state, const char *url, const char *path, const storage_source *source,
			      bm_error *err)
{
	return storage_local_create(((local *)state)->root, url, path, source, err);
}

static bm_status local_make_folders(void *state, const char *url, const char *path, bm_error *err)
{
	return storage_local_make_folders(((local *)state)->root, url, path, err);
}

static bm_status local_rename(void *state, const char *url, const char *from, const char *to, bool replace,
			      bm_error *err)
{
	const local *place = state;
	unsigned flags = replace ? 0 : RENAME_NOREPLACE;
	if (renameat2(place->root, from, place->root, to, flags) == 0)
		return BM_OK;
	if (errno == EEXIST || errno == ENOTEMPTY)
		return base_fail(err, BM_ERR_IO, "cannot rename '%s/%s' to '%s': that is there already", url, from, to);
	return storage_local_fail(err, "rename", url, from, errno);
}

static bm_status local_remove(void *state, const char *url, const char *path, bool all, bool *was, bm_error *err)
{
	bool there;
	return storage_local_remove(((local *)state)->root, url, path, all, was ? was : &there, err);
}

static bm_status local_set_permission(void *state, const char *url, const char *path, int permission, bm_error *err)
{
	const local *place = state;
	if (fchmodat(place->root, path[0] ? path : ".", (mode_t)permission, 0) != 0)
		return storage_local_fail(err, "set the permission of", url, path, errno);
	return BM_OK;
}

static void local_close(void *state)
{
	local *place = state;
	if (!place)
		return;
	if (place->root >= 0)
		close(place->root);
	base_free(place);
}

static const storage_backend local_backend = {
	.list = local_list,
	.look = local_look,
	.read = local_read,
	.read_range = local_read_range,
	.create = local_create,
	.make_folders = local_make_folders,
	.rename = local_rename,
	.remove = local_remove,
	.set_permission = local_set_permission,
	.close = local_close,
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool storage_is_local(const char *url)
{
	return !storage_is_url(url) || strncmp(url, "file://", 7) == 0;
}

bm_status storage_local_path(const char *url, char **out, bm_error *err)
{
	const bool plain = strncmp(url, "file://", 7) != 0;
	const char *where = plain ? url : url + 7;
	if (!plain && strncmp(where, "localhost/", 10) == 0)
		where += 9;
	*out = NULL;
	if (!plain && where[0] != '/')
		return base_fail(err, BM_ERR_UNSUPPORTED,
				 "cannot open '%s': files of another computer; write file:///path or just the path",
				 url);
	char *path = *out = base_strdup(where, err);
	if (!path)
		return BM_ERR_MEMORY;
	while (!plain && *where) {
		int high = where[0] == '%' ? hex_digit(where[1]) : -1;
		int low = high >= 0 ? hex_digit(where[2]) : -1;
		if (low >= 0 && (high || low)) {
			*path++ = (char)(high << 4 | low);
			where += 3;
		} else {
			*path++ = *where++;
		}
	}
	if (!plain)
		*path = '\0';
	return BM_OK;
}

bm_status storage_local_open(storage *s, const char *where, const storage_options *options, bm_error *err)
{
	char *path = NULL;
	local *place = base_calloc(1, sizeof *place, "a local folder", err);
	bm_status status = BM_ERR_MEMORY;
	(void)where; /* with the rest of the address it says more */
	if (!place)
		return BM_ERR_MEMORY;
	place->root = -1;
	status = storage_local_path(s->url, &path, err);
	if (status != BM_OK)
		goto fail;
	if (options->make) {
		status = base_make_folders(path, err);
		if (status != BM_OK)
			goto fail;
	}
	place->root = open_below(AT_FDCWD, path, O_DIRECTORY);
	if (place->root < 0) {
		int number = errno;
		struct stat what;
		if (number == ENOTDIR && stat(path, &what) == 0)
			status = base_fail(err, BM_ERR_USAGE,
					   "cannot open '%s': it is a file; name the folder that holds it", s->url);
		else
			status = storage_local_fail(err, "open", s->url, "", number);
		goto fail;
	}
	s->backend = &local_backend;
	s->state = place;
	base_free(path);
	return BM_OK;
fail:
	local_close(place);
	base_free(path);
	return status;
}
