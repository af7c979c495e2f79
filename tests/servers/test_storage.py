"""Every operation of the storage on the real HDFS, and on a local folder, with the same answers."""

import pathlib
import subprocess

import case

BUILD = pathlib.Path(case.PROGRAM).parents[1]


class Storage(case.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        subprocess.run(["ninja", "-C", str(BUILD), "--quiet", "tests/hdfs/storage-real"], check=True)

    def same(self, url, **variables):
        done = self.command([BUILD / "tests" / "hdfs" / "storage-real", url], **variables)
        self.assertIn(" 0 failed", done.stdout)

    def test_hdfs(self):
        self.same(self.environment["CLUSTER_HDFS"] + "/user/storage/x")

    def test_over_the_http_address(self):
        self.same(f"webhdfs://{self.environment['CLUSTER_WEBHDFS']}/user/storage/y", HADOOP_CONF_DIR=None, HADOOP_HOME=None)

    def test_a_local_folder(self):
        self.same(self.folder / "local" / "x")
