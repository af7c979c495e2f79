#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "storage/hadoop_config.h"

static void parse(storage_hadoop_config *config, const char *xml)
{
	bm_error err = {0};
	assert_int_equal(storage_hadoop_config_parse("test.xml", xml, strlen(xml), config, &err), BM_OK);
}

#define PROPERTY(name, value) "<property><name>" name "</name><value>" value "</value></property>\n"

static void check_get(const storage_hadoop_config *config, const char *name, const char *expected)
{
	char *value;
	assert_int_equal(storage_hadoop_config_get(config, name, &value, NULL), BM_OK);
	if (expected)
		assert_string_equal(value, expected);
	else
		assert_null(value);
	base_free(value);
}

static void test_properties(void **state)
{
	(void)state;
	storage_hadoop_config c = {0};
	parse(&c, "<?xml version=\"1.0\"?>\n<configuration>\n<!-- comment -->"
		  "<property>\n<name> a </name><value>\n one &amp; two </value><final>true</final></property>"
		  "<property><name>b</name><value>first</value></property>"
		  "<property><name>empty</name><value/></property>"
		  "<property name=\"attribute\" value=\"short\"/>"
		  "<property><description><name>not "
		  "me</name></description><name>c</name><value>${b}/${c}/${env.NAME}</value>"
		  "</property></configuration>");
	parse(&c, "<configuration>" PROPERTY("a", "changed") PROPERTY("b", "second") "</configuration>");
	setenv("NAME", "environment", 1);
	check_get(&c, "a", "one & two"); /* it was final */
	check_get(&c, "b", "second");
	check_get(&c, "empty", NULL);
	check_get(&c, "none", NULL);
	check_get(&c, "attribute", "short");
	assert_string_equal(storage_hadoop_config_raw(&c, "c"), "${b}/${c}/${env.NAME}");
	char *value; /* a circle ends */
	assert_int_equal(storage_hadoop_config_get(&c, "c", &value, NULL), BM_OK);
	assert_memory_equal(value, "second/second/", 14);
	base_free(value);
	storage_hadoop_config_free(&c);
}

static void test_hostile_xml(void **state)
{
	(void)state;
	static const char laughs[] =
		"<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c "
		"\"&b;&b;&b;&b;&b;&b;&b;&b;\">]><x>&c;</x>";
	static const char *const texts[] = {
		"",
		"no xml",
		"<configuration>",
		"<other/>",
		"<configuration><property></configuration>",
		laughs,
		"<configuration>\xff</configuration>",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		storage_hadoop_config c = {0};
		bm_error err = {0};
		assert_int_equal(storage_hadoop_config_parse("bad.xml", texts[i], strlen(texts[i]), &c, &err),
				 BM_ERR_FORMAT);
		assert_non_null(strstr(err.message, "bad.xml"));
		storage_hadoop_config_free(&c);
	}
}

static void check_nodes(const storage_hadoop_config *c, const char *scheme, const char *authority, const char *webhdfs,
			const char *filesystem, const char *first, const char *second)
{
	storage_namenodes nodes;
	bm_error err = {0};
	assert_int_equal(storage_find_namenodes(c, scheme, authority, webhdfs, &nodes, &err), BM_OK);
	assert_string_equal(nodes.filesystem, filesystem);
	assert_int_equal(nodes.count, second ? 2 : 1);
	assert_string_equal(nodes.http[0], first);
	if (second)
		assert_string_equal(nodes.http[1], second);
}

static void test_one_namenode(void **state)
{
	(void)state;
	storage_hadoop_config none = {0}, c = {0};
	check_nodes(&none, "hdfs", "host:9000", NULL, "hdfs://host:9000", "http://host:9870", NULL);
	check_nodes(&none, "hdfs", "host", NULL, "hdfs://host", "http://host:9870", NULL);
	check_nodes(&none, "webhdfs", "host:50070", NULL, "webhdfs://host:50070", "http://host:50070", NULL);
	check_nodes(&none, "swebhdfs", "host", NULL, "swebhdfs://host", "https://host:9871", NULL);
	check_nodes(&none, "swebhdfs", "host", "a:1,http://b", "swebhdfs://host", "https://a:1", "http://b:9870");
	check_nodes(&none, "hdfs", "[::1]:9000", NULL, "hdfs://[::1]:9000", "http://[::1]:9870", NULL);
	check_nodes(&none, "hdfs", "host:9000", "a:1", "hdfs://host:9000", "http://a:1", NULL);
	check_nodes(&none, "hdfs", "host:9000", "http://a, https://b:2/", "hdfs://host:9000", "http://a:9870",
		    "https://b:2");
	parse(&c, "<configuration>" PROPERTY("fs.defaultFS", "hdfs://127.0.0.1:9000/")
			  PROPERTY("dfs.namenode.http-address", "0.0.0.0:1234") "</configuration>");
	c.folder = base_strdup("/conf", NULL);
	check_nodes(&c, "hdfs", "", NULL, "hdfs://127.0.0.1:9000", "http://127.0.0.1:1234", NULL);
	check_nodes(&c, "hdfs", "127.0.0.1:9000", NULL, "hdfs://127.0.0.1:9000", "http://127.0.0.1:1234", NULL);
	/* Another file system than the configuration's. */
	check_nodes(&c, "hdfs", "other:9000", NULL, "hdfs://other:9000", "http://other:9870", NULL);
	storage_hadoop_config_free(&c);
}

static void test_nameservice(void **state)
{
	(void)state;
	storage_hadoop_config c = {0};
	parse(&c,
	      "<configuration>" PROPERTY("fs.defaultFS", "hdfs://mri") PROPERTY("dfs.nameservices", "other, mri")
		      PROPERTY("dfs.ha.namenodes.mri", "nn1,nn2") PROPERTY("dfs.namenode.rpc-address.mri.nn1", "a:8020")
			      PROPERTY("dfs.namenode.rpc-address.mri.nn2", "b:8020")
				      PROPERTY("dfs.namenode.http-address.mri.nn1", "a:50070") "</configuration>");
	c.folder = base_strdup("/conf", NULL);
	check_nodes(&c, "hdfs", "mri", NULL, "hdfs://mri", "http://a:50070", "http://b:9870");
	check_nodes(&c, "hdfs", "", NULL, "hdfs://mri", "http://a:50070", "http://b:9870");
	check_nodes(&c, "hdfs", "b:8020", NULL, "hdfs://b:8020", "http://a:50070", "http://b:9870");
	check_nodes(&c, "webhdfs", "mri", NULL, "webhdfs://mri", "http://a:50070", "http://b:9870");
	parse(&c, "<configuration>" PROPERTY("dfs.http.policy", "HTTPS_ONLY")
			  PROPERTY("dfs.namenode.https-address.mri.nn2", "b:7") "</configuration>");
	check_nodes(&c, "hdfs", "mri", NULL, "hdfs://mri", "https://a:9871", "https://b:7");
	check_nodes(&c, "hdfs", "mri", "x", "hdfs://mri", "https://x:9871", NULL);
	storage_hadoop_config_free(&c);
}

static void check_refused(const storage_hadoop_config *c, const char *authority, const char *webhdfs, const char *said)
{
	storage_namenodes nodes;
	bm_error err = {0};
	assert_int_equal(storage_find_namenodes(c, "hdfs", authority, webhdfs, &nodes, &err), BM_ERR_USAGE);
	if (!strstr(err.message, said))
		fail_msg("'%s' does not say '%s'", err.message, said);
}

static void test_refused(void **state)
{
	(void)state;
	storage_hadoop_config none = {0}, c = {0};
	check_refused(&none, "", NULL, "HADOOP_CONF_DIR");
	check_refused(&none, "user@host:9000", NULL, "HOST:PORT");
	check_refused(&none, "ho st", NULL, "HOST:PORT");
	check_refused(&none, "host:9000", "a/b", "HOST:PORT");
	check_refused(&none, "host:9000", " , ", "--webhdfs");
	check_refused(&none, "host:9000", "1,2,3,4,5,6,7,8,9", "more than 8");
	parse(&c, "<configuration>" PROPERTY("fs.defaultFS", "file:///") "</configuration>");
	c.folder = base_strdup("/conf", NULL);
	check_refused(&c, "", NULL, "file:///");
	storage_hadoop_config_free(&c);
}

static void test_files(void **state)
{
	(void)state;
	char folder[] = "/tmp/hadoop_config_test.XXXXXX", path[128];
	static const char core[] = "<configuration>" PROPERTY("fs.defaultFS", "hdfs://x:1") "</configuration>";
	storage_hadoop_config c;
	bm_error err = {0};
	assert_non_null(mkdtemp(folder));
	assert_int_equal(storage_hadoop_config_read("/nowhere/at/all", &c, &err), BM_OK);
	assert_null(c.folder);
	assert_int_equal(storage_hadoop_config_read(folder, &c, &err), BM_OK);
	assert_int_equal(c.count, 0);
	storage_hadoop_config_free(&c);
	snprintf(path, sizeof path, "%s/core-site.xml", folder);
	assert_int_equal(base_file_write(path, core, sizeof core - 1, &err), BM_OK);
	setenv("HADOOP_CONF_DIR", folder, 1);
	assert_int_equal(storage_hadoop_config_read(NULL, &c, &err), BM_OK);
	check_nodes(&c, "hdfs", "", NULL, "hdfs://x:1", "http://x:9870", NULL);
	storage_hadoop_config_free(&c);
	assert_int_equal(remove(path), 0);
	assert_int_equal(remove(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_properties),   cmocka_unit_test(test_hostile_xml),
		cmocka_unit_test(test_one_namenode), cmocka_unit_test(test_nameservice),
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
