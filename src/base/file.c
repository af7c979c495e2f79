#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

static bm_status fail_with(bm_error *err, const char *verb, const char *path, int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return base_fail(err, BM_ERR_NOT_FOUND, "cannot %s '%s': no such file or folder; check the path", verb,
				 path);
	case EACCES:
	case EPERM:
	case EROFS:
		return base_fail(err, BM_ERR_IO, "cannot %s '%s': %s; check who may read and write there", verb, path,
				 strerror(number));
	case ENOSPC:
	case EDQUOT:
		return base_fail(err, BM_ERR_IO, "cannot %s '%s': %s; free some space or choose another folder", verb,
				 path, strerror(number));
	default:
		return base_fail(err, BM_ERR_IO, "cannot %s '%s': %s", verb, path, strerror(number));
	}
}

static int open_again(const char *path, int flags, mode_t mode)
{
	int fd;
	do {
		fd = open(path, flags | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

/* Opens a regular file; nothing that would block, such as a pipe, is opened for good. */
static bm_status open_regular(const char *path, int *fd, size_t *size, bm_error *err)
{
	struct stat status;
	*fd = open_again(path, O_RDONLY | O_NONBLOCK, 0);
	if (*fd < 0)
		return fail_with(err, "open", path, errno);
	bm_status result = BM_OK;
	if (fstat(*fd, &status) != 0)
		result = fail_with(err, "look at", path, errno);
	else if (S_ISDIR(status.st_mode))
		result = base_fail(err, BM_ERR_IO, "cannot read '%s': it is a folder; name a file", path);
	else if (!S_ISREG(status.st_mode))
		result = base_fail(err, BM_ERR_IO, "cannot read '%s': it is not a regular file", path);
	if (result != BM_OK) {
		close(*fd);
		*fd = -1;
		return result;
	}
	*size = (size_t)status.st_size;
	return BM_OK;
}

bm_status base_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size, bm_error *err)
{
	int fd;
	size_t expected, done = 0;
	*bytes = NULL;
	*size = 0;
	bm_status status = open_regular(path, &fd, &expected, err);
	if (status != BM_OK)
		return status;
	uint8_t *data = NULL;
	if (expected > limit) {
		char is[32], most[32];
		status = base_fail(err, BM_ERR_LIMIT, "'%s' has %s, more than the limit of %s", path,
				   base_format_bytes((double)expected, is), base_format_bytes((double)limit, most));
		goto end;
	}
	data = base_malloc(expected + 1, 1, path, err);
	if (!data) {
		status = BM_ERR_MEMORY;
		goto end;
	}
	while (done < expected) {
		ssize_t n = read(fd, data + done, expected - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			status = fail_with(err, "read", path, errno);
			goto end;
		}
		if (n == 0)
			break; /* it became shorter meanwhile */
		done += (size_t)n;
	}
	data[done] = '\0';
	*bytes = data;
	*size = done;
	data = NULL;
end:
	base_free(data);
	close(fd);
	return status;
}

bm_status base_file_write(const char *path, const void *bytes, size_t size, bm_error *err)
{
	base_writer writer;
	bm_status status = base_writer_open(&writer, path, err);
	if (status != BM_OK)
		return status;
	base_writer_write(&writer, bytes, size);
	return base_writer_commit(&writer, err);
}

/* Does the name still stand for the open file? */
static bool is_same_file(int fd, const char *path)
{
	struct stat open_one, named;
	return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 && open_one.st_dev == named.st_dev &&
	       open_one.st_ino == named.st_ino;
}

/* Opens PATH.part, so that what a killed process has left is used again and not left to pile up; when another writer holds
 * it, a name of its own. Unlike mkstemp's, the file's mode is the umask's matter. */
static int open_temporary(const char *path, base_text *name)
{
	static atomic_uint serial;
	base_text_add(name, "%s.part", path);
	int fd = open_again(base_text_string(name), O_WRONLY | O_CREAT | O_NOFOLLOW, 0666);
	if (fd >= 0) {
		/* Between opening and locking its holder may have renamed it: then it is no temporary file any more. */
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_same_file(fd, base_text_string(name)) &&
		    ftruncate(fd, 0) == 0)
			return fd;
		close(fd);
	} else if (errno != EACCES && errno != ELOOP) {
		return -1;
	}
	base_text_clear(name);
	base_text_add(name, "%s.%ld-%u.part", path, (long)getpid(), atomic_fetch_add(&serial, 1));
	return open_again(base_text_string(name), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0666);
}

bm_status base_writer_open(base_writer *writer, const char *path, bm_error *err)
{
	*writer = (base_writer){0};
	base_text name = {0};
	bm_status status = BM_ERR_MEMORY;
	int fd = -1;
	writer->path = base_strdup(path, err);
	if (!writer->path)
		goto failed;
	fd = open_temporary(path, &name);
	int number = errno;
	if (name.failed) {
		base_fail(err, BM_ERR_MEMORY, "cannot write '%s': no memory", path);
		goto failed;
	}
	if (fd < 0) {
		status = fail_with(err, "write", path, number);
		goto failed;
	}
	writer->temporary = base_strdup(base_text_string(&name), err);
	if (!writer->temporary)
		goto failed;
	writer->file = fdopen(fd, "wb");
	if (!writer->file) {
		status = fail_with(err, "write", path, errno);
		goto failed;
	}
	base_text_free(&name);
	return BM_OK;
failed:
	if (fd >= 0) {
		unlink(base_text_string(&name));
		close(fd);
	}
	base_text_free(&name);
	base_free(writer->path);
	base_free(writer->temporary);
	*writer = (base_writer){0};
	return status;
}

/* Flushes by name: a library may have put another file there. Some file systems cannot flush: no error. */
static int flush_path(const char *path, int flags)
{
	int fd = open_again(path, O_RDONLY | flags, 0), number = 0;
	if (fd < 0)
		return errno == EACCES ? 0 : errno; /* may be written to but not read */
	while (fsync(fd) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != EINVAL && errno != ENOTSUP)
			number = errno;
		break;
	}
	close(fd);
	return number;
}

/* A new name is on the disk once its folder is. */
static int flush_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	if (!slash)
		folder = strdup(".");
	else if (slash == path)
		folder = strdup("/");
	else
		folder = strndup(path, (size_t)(slash - path));
	if (!folder)
		return ENOMEM;
	int number = flush_path(folder, O_DIRECTORY);
	free(folder);
	return number;
}

void base_writer_write(base_writer *writer, const void *bytes, size_t size)
{
	if (size == 0 || writer->failed)
		return;
	errno = 0;
	if (fwrite(bytes, 1, size, writer->file) != size)
		writer->failed = errno ? errno : EIO;
}

bm_status base_writer_commit(base_writer *writer, bm_error *err)
{
	int number = writer->failed;
	if (!writer->file)
		return base_fail(err, BM_ERR_INTERNAL, "a file is committed that is not open; please report this");
	errno = 0;
	if (number == 0 && (fflush(writer->file) != 0 || ferror(writer->file)))
		number = errno ? errno : EIO;
	/* The lock has to outlive the rename: whoever gets it may empty the file. */
	int lock = fcntl(fileno(writer->file), F_DUPFD_CLOEXEC, 0);
	if (lock < 0 && number == 0)
		number = errno;
	if (fclose(writer->file) != 0 && number == 0)
		number = errno;
	writer->file = NULL;
	if (number == 0)
		number = flush_path(writer->temporary, 0);
	if (number == 0 && rename(writer->temporary, writer->path) != 0)
		number = errno;
	if (number == 0) {
		/* The temporary name is gone: abort must not remove anything any more. */
		base_free(writer->temporary);
		writer->temporary = NULL;
		number = flush_folder(writer->path);
	}
	bm_status status = number == 0 ? BM_OK : fail_with(err, "write", writer->path, number);
	base_writer_abort(writer);
	if (lock >= 0)
		close(lock);
	return status;
}

void base_writer_abort(base_writer *writer)
{
	if (writer->temporary)
		unlink(writer->temporary);
	if (writer->file)
		fclose(writer->file);
	base_free(writer->path);
	base_free(writer->temporary);
	*writer = (base_writer){0};
}

bm_status base_make_folders(const char *path, bm_error *err)
{
	if (*path == '\0')
		return base_fail(err, BM_ERR_USAGE, "cannot make a folder without a name");
	char *partial = base_strdup(path, err);
	if (!partial)
		return BM_ERR_MEMORY;
	bm_status status = BM_OK;
	for (char *p = partial + 1;; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		char rest = *p;
		*p = '\0';
		/* mkdir of what exists may also fail with EROFS or EACCES. */
		if (mkdir(partial, 0777) != 0) {
			int number = errno;
			if (!base_is_folder(partial)) {
				if (number == EEXIST || number == ENOTDIR)
					status = base_fail(
						err, BM_ERR_IO,
						"cannot make the folder '%s': '%s' is a file; choose another name",
						path, partial);
				else
					status = fail_with(err, "make the folder", path, number);
				break;
			}
		}
		*p = rest;
		if (rest == '\0')
			break;
	}
	base_free(partial);
	return status;
}

bool base_is_folder(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool base_is_file(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

char *base_path_join(const char *folder, const char *name, bm_error *err)
{
	size_t left = strlen(folder), right = strlen(name);
	bool slash = left > 0 && folder[left - 1] != '/';
	char *path = base_malloc(left + slash + right + 1, 1, "a path", err);
	if (!path)
		return NULL;
	memcpy(path, folder, left);
	if (slash)
		path[left] = '/';
	memcpy(path + left + slash, name, right + 1);
	return path;
}

const char *base_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

bm_status base_map_open(base_map *map, const char *path, bm_error *err)
{
	int fd;
	size_t size;
	*map = (base_map){0};
	bm_status status = open_regular(path, &fd, &size, err);
	if (status != BM_OK)
		return status;
	if (size == 0) {
		/* Nothing can be mapped; a pointer that may be read nowhere. */
		map->bytes = (const uint8_t *)"";
	} else {
		void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes == MAP_FAILED) {
			status = fail_with(err, "map", path, errno);
		} else {
			map->bytes = bytes;
			map->size = size;
		}
	}
	close(fd);
	return status;
}

void base_map_close(base_map *map)
{
	if (map->size > 0)
		munmap((void *)(uintptr_t)map->bytes, map->size);
	*map = (base_map){0};
}
