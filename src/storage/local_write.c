/* Writing below a local folder's descriptor. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "storage/backend.h"

enum { PIECE = 1 << 18, DEPTH_MAX = 64 };

static bool write_fully(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, bytes, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		bytes += done;
		size -= (size_t)done;
	}
	return true;
}

bm_status storage_local_create(int root, const char *url, const char *path, const storage_source *source, bm_error *err)
{
	uint8_t *piece = base_malloc(PIECE, 1, "a file", err);
	if (!piece)
		return BM_ERR_MEMORY;
	bm_status status = BM_OK;
	uint64_t total = 0;
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		status = storage_local_fail(err, "write", url, path, errno);
	for (size_t got = 1; status == BM_OK && got > 0; total += got) {
		status = source->next(source->arg, piece, PIECE, &got, err);
		if (status == BM_OK && !write_fully(fd, piece, got))
			status = storage_local_fail(err, "write", url, path, errno);
	}
	if (status == BM_OK && source->size != STORAGE_SIZE_UNKNOWN && total != source->size)
		status = base_fail(err, BM_ERR_IO,
				   "cannot write '%s/%s': its source changed while it was being read; try again", url,
				   path);
	if (status == BM_OK && fsync(fd) != 0 && errno != EINVAL)
		status = storage_local_fail(err, "write", url, path, errno);
	if (fd >= 0 && close(fd) != 0 && status == BM_OK)
		status = storage_local_fail(err, "write", url, path, errno);
	if (fd >= 0 && status != BM_OK)
		unlinkat(root, path, 0);
	base_free(piece);
	return status;
}

bm_status storage_local_make_folders(int root, const char *url, const char *path, bm_error *err)
{
	bm_status status = BM_OK;
	struct stat what;
	char *part = base_strdup(path, err);
	if (!part)
		return BM_ERR_MEMORY;
	for (char *at = part; status == BM_OK && *at;) {
		at += strcspn(at, "/");
		char kept = *at;
		*at = '\0';
		if (mkdirat(root, part, 0777) != 0 && errno != EEXIST)
			status = storage_local_fail(err, "make", url, part, errno);
		else if (fstatat(root, part, &what, 0) == 0 && !S_ISDIR(what.st_mode))
			status = storage_local_fail(err, "make", url, part, ENOTDIR);
		*at = kept;
		at += kept != '\0';
	}
	base_free(part);
	return status;
}

/* Empties a folder; links in it are removed, not followed. */
static int empty_folder(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), failed = 0;
	if (fd < 0)
		return errno;
	DIR *folder = fdopendir(fd);
	if (!folder) {
		failed = errno;
		close(fd);
		return failed;
	}
	for (const struct dirent *entry; !failed && (errno = 0, entry = readdir(folder)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0)
			continue;
		failed = errno;
		if (failed == EISDIR)
			failed = depth > DEPTH_MAX ? ELOOP : empty_folder(fd, entry->d_name, depth + 1);
		if (!failed && unlinkat(fd, entry->d_name, AT_REMOVEDIR) != 0)
			failed = errno;
	}
	closedir(folder);
	return failed;
}

bm_status storage_local_remove(int root, const char *url, const char *path, bool all, bool *was, bm_error *err)
{
	int failed = unlinkat(root, path, 0) == 0 ? 0 : errno;
	*was = failed != ENOENT;
	if (failed == ENOENT)
		return BM_OK;
	if (failed == EISDIR) {
		failed = all ? empty_folder(root, path, 0) : 0;
		if (!failed && unlinkat(root, path, AT_REMOVEDIR) != 0)
			failed = errno;
	}
	return failed ? storage_local_fail(err, "remove", url, path, failed) : BM_OK;
}
