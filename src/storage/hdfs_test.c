/* WebHDFS against a server that answers as the test wants: redirects, servers that fail, standby, truncated and stalled transfers. The real one is asked in tests/hdfs. */
#include "storage/test_play.h"

/* ---- writing ---- */

static bool act_create(void *arg, int fd, const test_request *r)
{
	play *p = arg;
	if (strncmp(r->target, "/data", 5) == 0) {
		test_answer(fd, "201 Created", "", "");
		return false;
	}
	assert_non_null(strstr(r->target, "op=CREATE"));
	assert_non_null(strstr(r->target, "user.name=tester"));
	assert_non_null(strstr(r->target, "/root/a%20b%C3%A4%3F%23%25?"));
	assert_int_equal(r->size, 0); /* the bytes are for the DataNode */
	assert_null(strstr(r->headers, "Expect:"));
	redirect(fd, p->server, "/data/x?op=CREATE");
	return true;
}

static bm_status source_next(void *arg, uint8_t *bytes, size_t room, size_t *got, bm_error *err)
{
	const char **text = arg;
	(void)err;
	size_t length = strlen(*text);
	*got = length < room ? length : room;
	memcpy(bytes, *text, *got);
	*text += *got;
	return BM_OK;
}

typedef struct memory {
	const char *bytes;
	size_t size, at;
} memory;

static bm_status memory_next(void *arg, uint8_t *bytes, size_t room, size_t *got, bm_error *err)
{
	memory *m = arg;
	(void)err;
	*got = m->size - m->at < room ? m->size - m->at : room;
	memcpy(bytes, m->bytes + m->at, *got);
	m->at += *got;
	return BM_OK;
}

static bm_status memory_again(void *arg, bm_error *err)
{
	(void)err;
	((memory *)arg)->at = 0;
	return BM_OK;
}

static void test_create(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	const char *text = "some bytes";
	begin(&p, act_create);
	storage *s = open_at(&p, NULL);
	storage_source source = {.next = source_next, .arg = &text, .size = 10};
	assert_int_equal(storage_create(s, "a bä?#%", &source, &err), BM_OK);
	assert_string_equal(p.body, "some bytes");
	assert_non_null(strstr(p.seen, "Content-Length: 10"));
	assert_int_equal(p.count, 2);
	/* Of unknown length: in chunks. */
	text = "more";
	source.size = STORAGE_SIZE_UNKNOWN;
	assert_int_equal(storage_create(s, "a bä?#%", &source, &err), BM_OK);
	assert_non_null(strstr(p.body, "more"));
	assert_non_null(strstr(p.seen, "chunked"));
	/* A source that is shorter than it said. */
	text = "short";
	source.size = 10;
	assert_int_equal(storage_create(s, "a bä?#%", &source, &err), BM_ERR_IO);
	says(&err, "changed");
	storage_close(s);
	/* The NameNode's connection is used again: status, three creates. The DataNode's are closed by it. */
	assert_true(test_server_connections(p.server) <= 4);
	test_server_stop(p.server);
}

/* A DataNode that the NameNode sent to is asked directly for other files, until something does not work there. */
typedef struct routes {
	play p;
	int namenode, datanode;
	bool broken, refusing;
} routes;

static bool act_routes(void *arg, int fd, const test_request *r)
{
	routes *x = arg; /* the play is its first member */
	if (!strstr(r->target, "namenoderpcaddress=")) {
		x->namenode++;
		const char *query = strchr(r->target, '?');
		char address[512];
		snprintf(address, sizeof address, "/webhdfs/v1/root/x%s&namenoderpcaddress=nn:8020&createflag=", query);
		redirect(fd, x->p.server, address);
		return true;
	}
	static const char closing[] = "Connection: close\r\n"; /* as a DataNode does */
	x->datanode++;
	assert_non_null(strstr(r->target, "user.name=tester"));
	if (x->broken && x->datanode == 1)
		return false;
	if (x->refusing && x->datanode == 1)
		test_answer(fd, "403 Forbidden", closing, REMOTE("SecurityException", "token expired"));
	else if (strstr(r->target, "op=CREATE"))
		test_answer(fd, "201 Created", closing, "");
	else
		test_answer(fd, "200 OK", closing,
			    "{\"FileChecksum\":{\"algorithm\":\"COMPOSITE-CRC32C\",\"bytes\":\"01020304\"}}");
	return false;
}

static void test_routes(void **state)
{
	(void)state;
	routes x = {0};
	bm_error err = {0};
	storage_checksum sum;
	begin(&x.p, act_routes);
	storage *s = open_at(&x.p, NULL);
	memory m = {.bytes = "content", .size = 7};
	storage_source source = {.next = memory_next, .again = memory_again, .arg = &m, .size = 7};
	assert_int_equal(storage_create(s, "a", &source, &err), BM_OK);
	assert_int_equal(x.namenode + 10 * x.datanode, 11);
	assert_int_equal(storage_checksum_of(s, "a", &sum, &err), BM_OK);
	assert_int_equal(x.namenode + 10 * x.datanode, 21);
	assert_non_null(strstr(x.p.seen, "/webhdfs/v1/root/a?op=GETFILECHECKSUM&user.name=tester"));
	assert_null(strstr(x.p.seen, "createflag"));
	m.at = 0;
	assert_int_equal(storage_create(s, "b c", &source, &err), BM_OK);
	assert_int_equal(x.namenode + 10 * x.datanode, 31);
	assert_non_null(strstr(x.p.seen, "/webhdfs/v1/root/b%20c?op=CREATE&"));
	assert_non_null(strstr(x.p.seen, "&overwrite=true&createparent=false"));
	assert_string_equal(x.p.body, "content");
	/* It breaks off, or says no, in the middle: the NameNode is asked, and the whole file goes again. */
	for (int i = 0; i < 2; i++) {
		x.broken = i == 0;
		x.refusing = i == 1;
		x.namenode = x.datanode = 0;
		m.at = 0;
		assert_int_equal(storage_create(s, "d", &source, &err), BM_OK);
		assert_true(x.namenode >= 1);
		assert_int_equal(x.datanode, 2);
		assert_string_equal(x.p.body, "content");
	}
	/* And it is not asked without end. */
	x = (routes){.p = x.p};
	for (int i = 0; i < 100; i++)
		assert_int_equal(storage_checksum_of(s, "a", &sum, &err), BM_OK);
	assert_in_range(x.namenode, 2, 5);
	/* A file of unknown length, or one that cannot be sent twice, goes by the NameNode. */
	x = (routes){.p = x.p};
	m.at = 0;
	source.again = NULL;
	assert_int_equal(storage_create(s, "e", &source, &err), BM_OK);
	assert_int_equal(x.namenode, 1);
	storage_close(s);
	test_server_stop(x.p.server);
}

/* The first DataNode breaks off; the NameNode is told, and names another. */
static bool act_broken_datanode(void *arg, int fd, const test_request *r)
{
	play *p = arg;
	if (strncmp(r->target, "/bad", 4) == 0)
		return false;
	if (strncmp(r->target, "/good", 5) == 0) {
		test_answer(fd, "201 Created", "", "");
		return false;
	}
	if (strstr(r->target, "op=RENAME")) {
		test_answer(fd, "200 OK", "", "");
		return true;
	}
	redirect(fd, p->server, p->count == 1 ? "/bad" : "/good");
	return true;
}

static void test_datanode_fails(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	begin(&p, act_broken_datanode);
	storage *s = open_at(&p, NULL);
	assert_int_equal(storage_write(s, "x", "content", 7, &err), BM_OK);
	assert_int_equal(p.count, 5); /* two redirects, two DataNodes, one rename */
	storage_close(s);
	test_server_stop(p.server);
}

static bool act_rename_lost(void *arg, int fd, const test_request *r)
{
	play *p = arg;
	if (strstr(r->target, "op=GETFILESTATUS"))
		test_answer(fd, "200 OK", "", "{\"FileStatus\":" FILE_ENTRY("", "3") "}");
	else if (p->count == 1)
		return false; /* done, but nobody hears of it */
	else
		test_answer(fd, "404 Not Found", "",
			    REMOTE("FileNotFoundException", "rename source /root/a is not found."));
	return true;
}

static void test_lost_answer(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	begin(&p, act_rename_lost);
	storage *s = open_at(&p, NULL);
	assert_int_equal(storage_rename(s, "a", "b", true, &err), BM_OK);
	assert_int_equal(p.count, 3);
	p.count = 1; /* and with no answer lost it is an error */
	assert_int_equal(storage_rename(s, "a", "b", true, &err), BM_ERR_NOT_FOUND);
	storage_close(s);
	test_server_stop(p.server);
}

/* ---- several NameNodes ---- */

static bool act_standby(void *arg, int fd, const test_request *r)
{
	(void)arg;
	(void)r;
	test_answer(fd, "403 Forbidden", "",
		    REMOTE("StandbyException", "Operation category READ is not supported in state standby."));
	return true;
}

static bool act_mkdirs(void *arg, int fd, const test_request *r)
{
	(void)arg;
	(void)r;
	test_answer(fd, "200 OK", "", "{\"boolean\":true}");
	return true;
}

static void test_standby(void **state)
{
	(void)state;
	play standby, active;
	bm_error err = {0};
	begin(&standby, act_standby);
	begin(&active, act_mkdirs);
	storage *s = open_at(&standby, &active);
	assert_int_equal(storage_make_folders(s, "x", &err), BM_OK);
	assert_int_equal(standby.count, 1);
	assert_int_equal(storage_make_folders(s, "y", &err), BM_OK);
	assert_int_equal(standby.count, 1); /* the active one is asked first from now on */
	assert_int_equal(active.count, 2);
	/* Both on standby, as in the middle of a change. */
	active.act = act_standby;
	assert_int_equal(storage_make_folders(s, "z", &err), BM_ERR_IO);
	says(&err, "standby");
	says(&err, "--webhdfs");
	assert_int_equal(standby.count, 4); /* three attempts */
	/* The active one dies, the other takes over. */
	test_server_stop(active.server);
	standby.act = act_mkdirs;
	assert_int_equal(storage_make_folders(s, "z", &err), BM_OK);
	storage_close(s);
	test_server_stop(standby.server);
}

static void test_refused(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	storage *s;
	char webhdfs[64];
	begin(&p, act_mkdirs);
	snprintf(webhdfs, sizeof webhdfs, "127.0.0.1:%d", test_server_port(p.server));
	test_server_stop(p.server);
	storage_options options = {.webhdfs = webhdfs, .wait = 0.01};
	assert_int_equal(storage_open_with("hdfs://name:9000/root", &options, &s, &err), BM_ERR_IO);
	assert_null(s);
	says(&err, "connection refused by the NameNode");
	says(&err, webhdfs);
	says(&err, "start-dfs.sh");
	says(&err, "jps");
	options.webhdfs = "no-such-host.invalid:1";
	assert_int_equal(storage_open_with("hdfs://name:9000/root", &options, &s, &err), BM_ERR_IO);
	says(&err, "no-such-host.invalid");
}

/* ---- reading ---- */

/* A body that is cut short `p->answer[0]` times, then whole. */
static bool act_truncated(void *arg, int fd, const test_request *r)
{
	play *p = arg;
	if (strncmp(r->target, "/data", 5) != 0) {
		redirect(fd, p->server, "/data");
		return true;
	}
	test_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n%s",
		 p->count / 2 <= atoi(p->answer) ? "01234" : "0123456789");
	return false;
}

static void test_truncated(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	uint8_t *bytes, room[10];
	size_t size;
	begin(&p, act_truncated);
	storage *s = open_at(&p, NULL);
	p.answer = "2";
	assert_int_equal(storage_read(s, "x", 100, &bytes, &size, &err), BM_OK);
	assert_int_equal(size, 10);
	assert_string_equal((char *)bytes, "0123456789");
	base_free(bytes);
	assert_int_equal(p.count, 6);
	p.count = 0;
	assert_int_equal(storage_read_range(s, "x", 5, 10, room, &size, &err), BM_OK);
	assert_int_equal(size, 10);
	assert_memory_equal(room, "0123456789", 10);
	assert_non_null(strstr(p.seen, "GET /data"));
	p.count = 0;
	p.answer = "100";
	assert_int_equal(storage_read(s, "x", 100, &bytes, &size, &err), BM_ERR_IO);
	assert_null(bytes);
	says(&err, "broke");
	p.count = 0;
	p.answer = "0";
	assert_int_equal(storage_read(s, "x", 9, &bytes, &size, &err), BM_ERR_LIMIT);
	assert_int_equal(p.count, 2); /* not tried again */
	storage_close(s);
	test_server_stop(p.server);
}

/* Without a length the end of the connection looks like the end of the file: the NameNode is asked. */
static bool act_unframed(void *arg, int fd, const test_request *r)
{
	play *p = arg;
	if (strstr(r->target, "op=GETFILESTATUS")) {
		test_answer(fd, "200 OK", "", "{\"FileStatus\":" FILE_ENTRY("", "10") "}");
		return true;
	}
	if (strncmp(r->target, "/data", 5) != 0) {
		redirect(fd, p->server, "/data");
		return true;
	}
	test_say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s", p->answer);
	return false;
}

static void test_unframed(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	uint8_t *bytes;
	size_t size;
	begin(&p, act_unframed);
	storage *s = open_at(&p, NULL);
	p.answer = "0123456789";
	assert_int_equal(storage_read(s, "x", 100, &bytes, &size, &err), BM_OK);
	base_free(bytes);
	p.answer = "0123456";
	assert_int_equal(storage_read(s, "x", 100, &bytes, &size, &err), BM_ERR_IO);
	says(&err, "broke off");
	storage_close(s);
	test_server_stop(p.server);
}

static bool act_stall(void *arg, int fd, const test_request *r)
{
	play *p = arg;
	if (strncmp(r->target, "/data", 5) != 0) {
		redirect(fd, p->server, "/data");
		return true;
	}
	test_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01");
	return true; /* and nothing more */
}

static void test_stall(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	uint8_t *bytes;
	size_t size;
	char webhdfs[64];
	storage *s;
	begin(&p, act_stall);
	snprintf(webhdfs, sizeof webhdfs, "127.0.0.1:%d", test_server_port(p.server));
	storage_options options = {.webhdfs = webhdfs, .idle_timeout = 1, .attempts = 1};
	assert_int_equal(storage_open_with("hdfs:///root", &options, &s, &err), BM_OK);
	assert_int_equal(storage_read(s, "x", 100, &bytes, &size, &err), BM_ERR_IO);
	says(&err, "stopped answering");
	storage_close(s);
	test_server_stop(p.server);
}

static atomic_bool cancel;

static bool act_cancel(void *arg, int fd, const test_request *r)
{
	(void)arg, (void)fd, (void)r;
	atomic_store(&cancel, true);
	sleep(3);
	return false;
}

static void test_cancel(void **state)
{
	(void)state;
	play p;
	bm_error err = {0};
	char webhdfs[64];
	storage *s;
	begin(&p, act_cancel);
	snprintf(webhdfs, sizeof webhdfs, "127.0.0.1:%d", test_server_port(p.server));
	storage_options options = {.webhdfs = webhdfs, .cancel = &cancel};
	assert_int_equal(storage_open_with("hdfs:///root", &options, &s, &err), BM_OK);
	double start = base_now();
	assert_int_equal(storage_make_folders(s, "x", &err), BM_ERR_CANCELLED);
	assert_true(base_now() - start < 2.5);
	storage_close(s);
	test_server_stop(p.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),	       cmocka_unit_test(test_routes),
		cmocka_unit_test(test_datanode_fails), cmocka_unit_test(test_lost_answer),
		cmocka_unit_test(test_standby),	       cmocka_unit_test(test_refused),
		cmocka_unit_test(test_truncated),      cmocka_unit_test(test_unframed),
		cmocka_unit_test(test_stall),	       cmocka_unit_test(test_cancel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
