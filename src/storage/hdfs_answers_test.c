/* WebHDFS against a server that answers as the test wants: listings, hostile answers, errors, tokens. The real one is asked in tests/hdfs. */
#include "storage/test_play.h"

/* ---- listings ---- */

static bool act_list(void *arg, int fd, const test_request *r)
{
	(void)arg;
	assert_non_null(strstr(r->target, "op=LISTSTATUS&"));
	test_answer(fd, "200 OK", "",
		    "{\"FileStatuses\":{\"FileStatus\":[" FILE_ENTRY("b", "1") "," FILE_ENTRY(
			    ".hidden", "2") "," FILE_ENTRY("c &d", "3") "," FILE_ENTRY("a", "4") "]}}");
	return true;
}

static void test_list(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	storage_list list;
	begin(&p, act_list);
	storage *s = open_at(&p, NULL);
	assert_int_equal(storage_list_folder(s, "", &list, &err), BM_OK);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0].name, "a");
	assert_string_equal(list.items[2].name, "c &d");
	assert_int_equal(list.items[2].info.size, 3);
	assert_int_equal(list.items[2].info.permission, 0644);
	assert_string_equal(list.items[2].info.owner, "o");
	storage_list_free(&list);
	assert_int_equal(storage_list_all(s, "", &list, &err), BM_OK);
	assert_int_equal(list.count, 4);
	storage_list_free(&list);
	storage_close(s);
	test_server_stop(p.server);
}

static bool act_answer(void *arg, int fd, const test_request *r)
{
	(void)r;
	test_answer(fd, "200 OK", "", ((play *)arg)->answer);
	return true;
}

#define PAGE(entries) "{\"FileStatuses\":{\"FileStatus\":[" entries "]}}"

static void test_hostile_json(void **state)
{
	(void)state;
	static const char *const answers[] = {
		"",
		"no json",
		"[]",
		"1",
		"{}",
		"{\"DirectoryListing\":1}",

		PAGE("1"),
		PAGE("{}"),
		PAGE(FILE_ENTRY("../x", "1")),
		PAGE(FILE_ENTRY("..", "1")),
		PAGE(FILE_ENTRY("a/b", "1")),
		PAGE(FILE_ENTRY("", "1") "," FILE_ENTRY("b", "1")),
		PAGE(FILE_ENTRY("a", "-1")),
		PAGE(FILE_ENTRY("a", "\"1\"")),
		PAGE(FILE_ENTRY("a", "1e400")),
		PAGE(FILE_ENTRY("a\\u0000b", "1")),
		"{\"DirectoryListing\":{},\"DirectoryListing\":{}}",
		PAGE("") "x",
	};
	play p;
	char deep[4096];
	begin(&p, act_answer);
	storage *s = open_at(&p, NULL);
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	for (size_t i = 0; i <= sizeof answers / sizeof *answers; i++) {
		bm_error err = {0};
		storage_list list;
		storage_info info;
		storage_summary summary;
		storage_checksum sum;
		p.answer = i < sizeof answers / sizeof *answers ? answers[i] : deep;
		if (storage_list_folder(s, "x", &list, &err) != BM_ERR_FORMAT)
			fail_msg("taken as a list: %s", p.answer);
		assert_int_equal(list.count, 0);
		says(&err, "hdfs://name:9000/root/x");
		assert_int_equal(storage_look(s, "x", &info, &err), BM_ERR_FORMAT);
		assert_int_equal(storage_summarize(s, "x", &summary, &err), BM_ERR_FORMAT);
		assert_int_equal(storage_checksum_of(s, "x", &sum, &err), BM_ERR_FORMAT);
		assert_int_equal(storage_make_folders(s, "x", &err), BM_ERR_FORMAT);
	}
	storage_close(s);
	test_server_stop(p.server);
}

/* ---- redirects ---- */

static bool act_redirect(void *arg, int fd, const test_request *r)
{
	char location[512] = "";
	play *p = arg;
	(void)r;
	if (p->answer[0])
		snprintf(location, sizeof location, "Location: %s\r\n", p->answer);
	test_answer(fd, "307 Temporary Redirect", location, "");
	return true;
}

static void test_bad_redirects(void **state)
{
	(void)state;
	static const char *const places[] = {
		"",
		"file:///etc/passwd",
		"ftp://127.0.0.1/x",
		"/relative",
		"http://",
		"http:///x",
		"http://user@127.0.0.1/x",
		"gopher://127.0.0.1:1/x",
		"javascript:1",
		"http://127.0.0.1:1/a b",
	};
	play p;
	bm_error err = {0};
	uint8_t *bytes;
	size_t size;
	begin(&p, act_redirect);
	storage *s = open_at(&p, NULL);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		p.answer = places[i];
		p.count = 0;
		if (storage_read(s, "x", 10, &bytes, &size, &err) != BM_ERR_FORMAT)
			fail_msg("followed: '%s': %s", places[i], err.message);
		assert_int_equal(p.count, 1);
	}
	char self[64]; /* round in a circle */
	snprintf(self, sizeof self, "http://127.0.0.1:%d/x", test_server_port(p.server));
	p.answer = self;
	assert_int_equal(storage_read(s, "x", 10, &bytes, &size, &err), BM_ERR_FORMAT);
	assert_true(p.count < 10);
	/* An operation of the NameNode's own is not redirected. */
	assert_int_equal(storage_make_folders(s, "x", &err), BM_ERR_FORMAT);
	storage_close(s);
	test_server_stop(p.server);
}

/* ---- what servers say ---- */

static const char *status_line;

static bool act_error(void *arg, int fd, const test_request *r)
{
	(void)r;
	test_answer(fd, status_line, "", ((play *)arg)->answer);
	return true;
}

static void test_messages(void **state)
{
	(void)state;
	static const struct {
		const char *line, *body;
		bm_status status;
		int calls;
		const char *said[2];
	} cases[] = {
		{"403 Forbidden",
		 REMOTE("AccessControlException", "Permission denied: user=tester, access=WRITE, inode=\\\"/\\\""),
		 BM_ERR_IO,
		 1,
		 {"permission denied for user 'tester'", "HADOOP_USER_NAME"}},
		{"403 Forbidden",
		 REMOTE("SafeModeException", "Cannot create directory /x. Name node is in safe mode."),
		 BM_ERR_IO,
		 1,
		 {"safe mode", "hdfs dfsadmin -safemode leave"}},
		{"403 Forbidden",
		 REMOTE("DSQuotaExceededException", "The DiskSpace quota of /x is exceeded"),
		 BM_ERR_IO,
		 1,
		 {"no space left", "hdfs dfs -count -q"}},
		{"403 Forbidden",
		 REMOTE("NSQuotaExceededException", "The NameSpace quota"),
		 BM_ERR_IO,
		 1,
		 {"quota of names", "-setQuota"}},
		{"403 Forbidden",
		 REMOTE("IOException", "File /x could only be written to 0 of the 1 minReplication nodes."),
		 BM_ERR_IO,
		 1,
		 {"no space left on the DataNodes", "hdfs dfsadmin -report"}},
		{"403 Forbidden",
		 REMOTE("IOException", "Failed to find datanode, suggest to check cluster health."),
		 BM_ERR_IO,
		 3,
		 {"no DataNode is alive", "start-dfs.sh"}},
		{"403 Forbidden", REMOTE("RetriableException", "busy"), BM_ERR_IO, 3, {"busy", "try again"}},
		{"404 Not Found",
		 REMOTE("FileNotFoundException", "File does not exist: /root/x"),
		 BM_ERR_NOT_FOUND,
		 1,
		 {"no such file or folder", "hdfs://name:9000/root/x"}},
		{"403 Forbidden", REMOTE("InvalidToken", "token expired"), BM_ERR_IO, 1, {"HADOOP_TOKEN", "fetchdt"}},
		{"500 Server Error",
		 REMOTE("SomethingNewException", "first line\\nsecond"),
		 BM_ERR_IO,
		 1,
		 {"SomethingNewException", "first line"}},
		{"503 Service Unavailable", "<html>", BM_ERR_IO, 3, {"503", "--webhdfs"}},
		{"404 Not Found",
		 "<html>It looks like you are making an HTTP request to a Hadoop IPC port.</html>",
		 BM_ERR_USAGE,
		 1,
		 {"9870", "--webhdfs"}},
		{"401 Unauthorized", "<html>", BM_ERR_IO, 1, {"401", "HADOOP_TOKEN"}},
		{"404 Not Found", "{\"RemoteException\":[]}", BM_ERR_IO, 1, {"404", "WebHDFS"}},
	};
	play p;
	begin(&p, act_error);
	storage *s = open_at(&p, NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bm_error err = {0};
		status_line = cases[i].line;
		p.answer = cases[i].body;
		p.count = 0;
		bm_status status = storage_make_folders(s, "x", &err);
		if (status != cases[i].status || p.count != cases[i].calls)
			fail_msg("%s: status %d, %d calls: %s", cases[i].body, (int)status, p.count, err.message);
		says(&err, cases[i].said[0]);
		says(&err, cases[i].said[1]);
		says(&err, "cannot make 'hdfs://name:9000/root/x'");
	}
	storage_close(s);
	test_server_stop(p.server);
}

/* ---- tokens ---- */

static bool act_tokens(void *arg, int fd, const test_request *r)
{
	play *p = arg;
	if (strncmp(r->target, "/data", 5) == 0)
		test_answer(fd, "200 OK", "", "bytes");
	else
		redirect(fd, p->other ? p->other : p->server, "/data");
	return true;
}

static void test_tokens(void **state)
{
	(void)state;
	play p, other;
	bm_error err = {0};
	uint8_t *bytes;
	size_t size;
	begin(&p, act_tokens);
	begin(&other, act_tokens);
	setenv("HADOOP_TOKEN", "to/ken=", 1);
	storage *s = open_at(&p, NULL);
	assert_int_equal(storage_read(s, "x", 100, &bytes, &size, &err), BM_OK);
	base_free(bytes);
	storage_close(s);
	unsetenv("HADOOP_TOKEN");
	setenv("WEBHDFS_BEARER_TOKEN", "secret", 1);
	s = open_at(&p, NULL);
	assert_int_equal(storage_read(s, "x", 100, &bytes, &size, &err), BM_OK);
	base_free(bytes);
	assert_non_null(strstr(p.seen, "Authorization: Bearer secret")); /* a gateway that sends on to itself */
	p.other = other.server;
	assert_int_equal(storage_read(s, "x", 100, &bytes, &size, &err), BM_OK);
	base_free(bytes);
	assert_non_null(strstr(p.seen, "Authorization: Bearer secret"));
	assert_null(strstr(p.seen, "user.name"));
	assert_null(strstr(other.seen, "secret")); /* not for others */
	storage_close(s);
	unsetenv("WEBHDFS_BEARER_TOKEN");
	test_server_stop(p.server);
	test_server_stop(other.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),	      cmocka_unit_test(test_hostile_json),
		cmocka_unit_test(test_bad_redirects), cmocka_unit_test(test_messages),
		cmocka_unit_test(test_tokens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
