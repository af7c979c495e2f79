/* Hadoop's configuration, and what it says about a NameNode's HTTP address. */
#ifndef STORAGE_HADOOP_CONFIG_H
#define STORAGE_HADOOP_CONFIG_H

#include "storage/storage.h"

typedef struct storage_property {
	char *name, *value;
	bool final;
} storage_property;

typedef struct storage_hadoop_config {
	storage_property *items;
	size_t count, capacity;
	char *folder; /* that it was read from; NULL: none was found */
} storage_hadoop_config;

/* core-site.xml and hdfs-site.xml of `folder`; NULL: HADOOP_CONF_DIR, else $HADOOP_HOME/etc/hadoop, else /etc/hadoop/conf,
 * and an empty configuration when there is none. */
bm_status storage_hadoop_config_read(const char *folder, storage_hadoop_config *out, bm_error *err);
/* The properties of one XML text, added to what is there; later ones win unless an earlier one is final. */
bm_status storage_hadoop_config_parse(const char *name, const char *xml, size_t size, storage_hadoop_config *config,
				      bm_error *err);
void storage_hadoop_config_free(storage_hadoop_config *config);
/* NULL when it is not set or empty. The text is the configuration's, ${...} not replaced. */
const char *storage_hadoop_config_raw(const storage_hadoop_config *config, const char *name);
/* The same with ${other.property}, ${user.name} and ${env.NAME} replaced; *out is the caller's, NULL when not set. */
bm_status storage_hadoop_config_get(const storage_hadoop_config *config, const char *name, char **out, bm_error *err);

/* Who we are for servers that believe it: HADOOP_USER_NAME, else the login. */
void storage_hadoop_user(char *name, size_t size);

enum { STORAGE_NAMENODES_MAX = 8 };

/* Where a file system answers. */
typedef struct storage_namenodes {
	char filesystem[160];		       /* "hdfs://host:9000" */
	char rpc[128];			       /* "host:9000", the nameservice */
	char http[STORAGE_NAMENODES_MAX][160]; /* "http://host:9870" */
	int count;
} storage_namenodes;

/* scheme: "hdfs", "webhdfs" or "swebhdfs"; authority: "host:9000", "nameservice" or "" (fs.defaultFS).
 * webhdfs: addresses given by the user, or NULL. BM_ERR_USAGE when it cannot be found out, saying what to do. */
bm_status storage_find_namenodes(const storage_hadoop_config *config, const char *scheme, const char *authority,
				 const char *webhdfs, storage_namenodes *out, bm_error *err);

#endif
