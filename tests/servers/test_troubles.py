"""The guide's troubleshooting pages, each trouble made on the real servers: the message has to name the remedy, and the remedy, typed as the message gives it,
has to work where it is a command of Hadoop's."""

import re
import socket

import case
import cluster


class Troubles(case.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = cls.folder / "images"
        case.subprocess.run([case.PROGRAM, "phantom", cls.images, "--count", "2", "--size", "64", "--quiet"], check=True, timeout=120)
        cls.hdfs_url = cls.environment["CLUSTER_HDFS"]

    def setUp(self):
        self.place = f"/user/{self.environment['CLUSTER_USER']}/{self.id().rsplit('.', 1)[1]}"
        self.url = self.hdfs_url + self.place

    def remedies(self, message):
        """The `hdfs ...` commands that a message names."""
        return [one.strip(" ;,.)'") for one in re.findall(r"hdfs (?:dfs|dfsadmin|fsck) -[^;()'&]+", message)]

    def type(self, command):
        """Types one of them, as HDFS's administrator would."""
        self.hdfs(*command.split()[1:])

    def put(self, **options):
        return self.call("data", "put", self.images, self.url, **options)

    def put_fails(self, *says, **options):
        return self.fails("data", "put", self.images, self.url, says=says, **options).stderr

    def test_connection_refused(self):
        port = cluster.free_ports(1)[0]
        self.fails("data", "ls", f"webhdfs://127.0.0.1:{port}/user", says=["onnection refused", "start-dfs.sh", "jps", f"127.0.0.1:{port}"])

    def test_the_port_for_java_programs(self):
        port = self.hdfs_url.rsplit(":", 1)[1]
        done = self.call("data", "ls", f"webhdfs://127.0.0.1:{port}/user", code=None)
        self.assertIn(done.returncode, (1, 2))
        self.assertIn("9870", done.stderr)

    def test_another_server_has_the_port(self):
        """The guide's "port 9000 is in use": something answers, but not HDFS."""
        page = self.environment["SPARK_MASTER_UI"]
        message = self.fails("data", "ls", f"webhdfs://{page}/user").stderr
        self.assertIn("WebHDFS", message)
        self.assertIn(page, message)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            port = silent.getsockname()[1]  # bound, but nobody listens
            self.fails("data", "ls", f"webhdfs://127.0.0.1:{port}/user", says="onnection refused")

    def test_no_home_directory(self):
        self.url = f"{self.hdfs_url}/user/newcomer/images"
        message = self.put_fails("hdfs dfs -mkdir -p /user/newcomer", HADOOP_USER_NAME="newcomer")
        for command in self.remedies(message):
            self.type(command)
        self.put(HADOOP_USER_NAME="newcomer")

    def test_permission_denied(self):
        self.hdfs("dfs", "-mkdir", "-p", self.place)
        self.url += "/images"
        message = self.put_fails("ermission denied", "stranger", "-chmod", HADOOP_USER_NAME="stranger")
        self.assertIn("hdfs dfs", message)
        self.hdfs("dfs", "-chmod", "-R", "777", self.place)
        self.put(HADOOP_USER_NAME="stranger")

    def test_a_file_that_may_not_be_read(self):
        self.put()
        self.hdfs("dfs", "-chmod", "-R", "700", self.place)
        self.fails("data", "get", self.url, self.folder / "back", says=["ermission denied", "-chmod"], HADOOP_USER_NAME="stranger")

    def test_safe_mode(self):
        self.hdfs("dfsadmin", "-safemode", "enter")
        self.addCleanup(self.hdfs, "dfsadmin", "-safemode", "leave")
        message = self.put_fails("safe mode", "hdfs dfsadmin -safemode leave")
        self.type(next(one for one in self.remedies(message) if "safemode" in one))
        self.put()

    def test_no_space(self):
        self.hdfs("dfs", "-mkdir", "-p", self.place)
        self.hdfs("dfsadmin", "-setSpaceQuota", "1m", self.place)
        self.url += "/images"
        message = self.put_fails("no space left", "hdfs dfs -count -q")
        self.assertEqual(self.summary(self.place)["length"], 0)
        self.assertTrue(self.remedies(message))
        self.hdfs("dfsadmin", "-clrSpaceQuota", self.place)
        self.put()

    def test_no_more_names(self):
        self.hdfs("dfs", "-mkdir", "-p", self.place)
        self.hdfs("dfsadmin", "-setQuota", "8", self.place)
        self.url += "/images"
        self.put_fails("quota", "hdfs dfs -count -q", "pack")
        self.hdfs("dfsadmin", "-clrQuota", self.place)
        self.put()

    def test_no_datanode(self):
        self.put()
        self.addCleanup(self.servers.wait_hdfs)
        for name in ("datanode-1", "datanode-2"):
            self.servers.stop([name])
            self.addCleanup(self.servers.again, name)
        self.until(lambda: self.servers.jmx("FSNamesystemState")["NumLiveDataNodes"] == 0, "the NameNode notices")
        message = self.fails("data", "get", self.url, self.folder / "none").stderr
        self.assertIn("DataNode", message)
        self.assertIn("hdfs dfsadmin -report", message)
        self.assertFalse(any(one.is_file() for one in (self.folder / "none").rglob("*.png")))

    def test_wrong_counts(self):
        """The guide's first cause of a low accuracy."""
        self.put()
        name = sorted(self.files(self.place))[0]
        self.hdfs("dfs", "-rm", "-skipTrash", f"{self.place}/{name}")
        done = self.fails("data", "verify", self.images, self.url, says="brainmri data put")
        self.assertIn(name.rsplit("/", 1)[1], done.stdout + done.stderr)
        self.put()
        self.call("data", "verify", self.images, self.url)

    def test_nothing_there(self):
        message = self.fails("data", "ls", self.url).stderr
        self.assertIn(self.place, message)
        self.fails("data", "put", self.folder / "nowhere", self.url, says="nowhere")
