/* The storage's operations on a real HDFS. usage: real URL, a folder that may be filled and is removed afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "storage/storage.h"

static int failures, checks;

#define CHECK(condition)                                                                         \
	do {                                                                                     \
		checks++;                                                                        \
		if (!(condition)) {                                                              \
			failures++;                                                              \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, err.message); \
		}                                                                                \
	} while (0)

static bm_error err;

static void check_file(storage *s, const char *name, size_t size)
{
	uint8_t *bytes = base_malloc(size + 1, 1, "a test", NULL), *back = NULL;
	size_t got = 0;
	storage_checksum there, here;
	storage_info info;
	if (!bytes)
		exit(1);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	CHECK(storage_write(s, name, bytes, size, &err) == BM_OK);
	CHECK(storage_look(s, name, &info, &err) == BM_OK && info.size == size && !info.folder);
	CHECK(storage_read(s, name, size, &back, &got, &err) == BM_OK && got == size && memcmp(back, bytes, size) == 0);
	base_free(back);
	if (size > 0)
		CHECK(storage_read(s, name, size - 1, &back, &got, &err) == BM_ERR_LIMIT);
	CHECK(storage_checksum_of(s, name, &there, &err) == BM_OK);
	CHECK(storage_checksum_bytes(&there, bytes, size, &here, &err) == BM_OK);
	CHECK(storage_checksum_equal(&there, &here));
	if (!storage_checksum_equal(&there, &here)) {
		char a[65], b[65];
		storage_checksum_text(&there, a);
		storage_checksum_text(&here, b);
		fprintf(stderr, "%s %s\n%s %s\n", there.algorithm, a, here.algorithm, b);
	}
	if (size > 1) {
		bytes[size / 2] ^= 1;
		CHECK(storage_checksum_bytes(&there, bytes, size, &here, &err) == BM_OK);
		CHECK(!storage_checksum_equal(&there, &here));
		bytes[size / 2] ^= 1;
	}
	if (size > 100) {
		uint8_t piece[50];
		CHECK(storage_read_range(s, name, size / 2, 50, piece, &got, &err) == BM_OK && got == 50 &&
		      memcmp(piece, bytes + size / 2, 50) == 0);
		CHECK(storage_read_range(s, name, size - 20, 50, piece, &got, &err) == BM_OK && got == 20);
		CHECK(storage_read_range(s, name, size + 20, 50, piece, &got, &err) == BM_OK && got == 0);
	}
	base_free(bytes);
}

int main(int argc, char **argv)
{
	storage *s = NULL, *parent = NULL;
	storage_list list;
	storage_info info;
	storage_summary summary;
	storage_service service;
	bool was;
	if (argc < 2)
		return 2;
	CHECK(storage_open(argv[1], &s, &err) == BM_ERR_NOT_FOUND);
	CHECK(storage_open_with(argv[1], &(storage_options){.make = true}, &s, &err) == BM_OK);
	if (!s)
		return 1;
	check_file(s, "empty", 0);
	check_file(s, "one", 1);
	check_file(s, "chunk", 512);
	check_file(s, "odd name ä%20+&?#=;x", 1000);
	check_file(s, "large", 3000001);
	CHECK(storage_make_folders(s, "a/b c/d", &err) == BM_OK);
	CHECK(storage_make_folders(s, "a/b c/d", &err) == BM_OK);
	CHECK(storage_make_folders(s, "one/x", &err) == BM_ERR_NOT_FOUND);
	check_file(s, "a/b c/d/x", 10);
	CHECK(storage_write(s, "a/.hidden", "1", 1, &err) == BM_OK);
	CHECK(storage_list_folder(s, "", &list, &err) == BM_OK && list.count == 6);
	CHECK(list.count == 6 && strcmp(list.items[0].name, "a") == 0 && list.items[0].info.folder);
	CHECK(list.count == 6 && strcmp(list.items[3].name, "large") == 0 && list.items[3].info.size == 3000001);
	storage_list_free(&list);
	CHECK(storage_list_folder(s, "a", &list, &err) == BM_OK && list.count == 1);
	storage_list_free(&list);
	CHECK(storage_list_all(s, "a", &list, &err) == BM_OK && list.count == 2);
	storage_list_free(&list);
	CHECK(storage_list_folder(s, "one", &list, &err) == BM_ERR_NOT_FOUND);
	CHECK(storage_list_folder(s, "none", &list, &err) == BM_ERR_NOT_FOUND);
	CHECK(storage_summarize(s, "", &summary, &err) == BM_OK);
	CHECK(summary.files == 7 && summary.folders == 4 && summary.bytes == 3000001 + 1000 + 512 + 1 + 10 + 1);
	CHECK(summary.quota == -1 && summary.space_quota == -1);
	CHECK(storage_rename(s, "one", "chunk", false, &err) == BM_ERR_IO);
	CHECK(storage_rename(s, "one", "chunk", true, &err) == BM_OK);
	CHECK(storage_look(s, "chunk", &info, &err) == BM_OK && info.size == 1);
	CHECK(storage_look(s, "one", &info, &err) == BM_ERR_NOT_FOUND);
	CHECK(storage_rename(s, "none", "x", true, &err) == BM_ERR_NOT_FOUND);
	CHECK(storage_rename(s, "a", "z", false, &err) == BM_OK);
	CHECK(storage_set_permission(s, "chunk", 0640, &err) == BM_OK);
	CHECK(storage_look(s, "chunk", &info, &err) == BM_OK && info.permission == 0640);
	CHECK(storage_set_replication(s, "chunk", 2, &err) == BM_OK);
	storage_describe(s, &service, &err);
	if (service.hdfs) {
		CHECK(storage_look(s, "chunk", &info, &err) == BM_OK && info.replication == 2);
		CHECK(service.live_datanodes > 0 && service.safe_mode == 0 && service.capacity > 0);
		printf("NameNode %s, HTTP %s, %s, Hadoop %s, home %s%s\n", service.namenode, service.http,
		       service.filesystem, service.version, service.home, service.home_exists ? "" : " (missing)");
	}
	CHECK(storage_remove(s, "z", false, &was, &err) == BM_ERR_IO);
	CHECK(storage_remove(s, "z", true, &was, &err) == BM_OK && was);
	CHECK(storage_remove(s, "z", true, &was, &err) == BM_OK && !was);
	uint8_t *bytes;
	size_t size;
	CHECK(storage_read(s, "none", 10, &bytes, &size, &err) == BM_ERR_NOT_FOUND);
	puts(err.message);
	CHECK(storage_make_folders(s, "folder", &err) == BM_OK);
	CHECK(storage_read(s, "folder", 10, &bytes, &size, &err) == BM_ERR_IO);
	puts(err.message);
	/* The folder itself is removed from its parent. */
	char *slash = strrchr(argv[1], '/');
	*slash = '\0';
	CHECK(storage_open(argv[1], &parent, &err) == BM_OK);
	if (parent)
		CHECK(storage_remove(parent, slash + 1, true, &was, &err) == BM_OK && was);
	storage_close(parent);
	storage_close(s);
	printf("%d checks, %d failed\n", checks, failures);
	return failures ? 1 : 0;
}
