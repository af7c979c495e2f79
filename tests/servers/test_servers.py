"""The servers themselves: ordinary ones that speak, and that never outlive the test."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from unittest import mock

import case
import cluster
import fetch
import keeper

HERE = pathlib.Path(__file__).resolve().parent


def page(address):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{address}", timeout=20) as answer:
        return answer.read().decode()


class Servers(case.Case):
    def test_hdfs_gives_back_what_it_was_given(self):
        data = os.urandom(3 << 20)
        (self.folder / "blob").write_bytes(data)
        self.hdfs("dfs", "-put", self.folder / "blob", "/user/blob")
        self.hdfs("dfs", "-get", "/user/blob", self.folder / "back")
        self.assertEqual((self.folder / "back").read_bytes(), data)
        status = self.servers.webhdfs("GETFILESTATUS", "/user/blob")["FileStatus"]
        self.assertEqual((status["length"], status["replication"]), (len(data), 2))
        self.assertIn("blob", self.hdfs("fsck", "/user/blob"))

    def test_the_pages_are_there(self):
        self.assertIn("Namenode", page(self.environment["CLUSTER_WEBHDFS"] + "/dfshealth.html"))
        self.assertIn(self.environment["SPARK_MASTER"], page(self.environment["SPARK_MASTER_UI"]))
        self.assertEqual(self.servers.master_state()["aliveworkers"], 1)
        self.assertEqual(self.servers.jmx("FSNamesystemState")["NumLiveDataNodes"], 2)

    def test_a_datanode_comes_back_with_its_blocks(self):
        (self.folder / "small").write_bytes(b"kept")
        self.hdfs("dfs", "-D", "dfs.replication=2", "-put", self.folder / "small", "/user/small")
        old = self.servers.pid("datanode-2")
        self.servers.kill("datanode-2")
        self.assertIsNone(self.servers.pid("datanode-2"))
        self.assertEqual(self.hdfs("dfs", "-cat", "/user/small"), "kept")
        self.servers.again("datanode-2")
        self.servers.wait_hdfs()
        self.assertNotEqual(self.servers.pid("datanode-2"), old)


class Ends(unittest.TestCase):
    """Daemons end with whom they were started for. A shell that sleeps stands for the daemon: only the keeper is looked at."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "pids").mkdir()

    def keep(self, owner=""):
        command = [sys.executable, str(HERE / "keeper.py"), str(self.folder), "one", owner, "sh", "-c", "sleep 600 & echo $! >child; wait"]
        process = subprocess.Popen(command, cwd=self.folder)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait(lambda: (self.folder / "pids" / "one").exists() and (self.folder / "child").exists() and (self.folder / "child").read_text().endswith("\n"))
        daemon = int((self.folder / "pids" / "one").read_text().split()[0])
        return process, daemon, int((self.folder / "child").read_text())

    def wait(self, ready, seconds=30):
        limit = time.monotonic() + seconds
        while not ready():
            self.assertLess(time.monotonic(), limit, "waited for too long")
            time.sleep(0.02)

    def test_when_told(self):
        process, daemon, child = self.keep()
        process.terminate()
        self.wait(lambda: not keeper.birth(daemon) and not keeper.birth(child))
        self.assertEqual(list((self.folder / "pids").iterdir()), [])

    def test_when_the_owner_is_killed(self):
        with subprocess.Popen(["sleep", "600"]) as owner:
            _, daemon, child = self.keep(f"{owner.pid} {keeper.birth(owner.pid)}")
            time.sleep(0.5)
            self.assertTrue(keeper.birth(daemon))
            owner.kill()
        self.wait(lambda: not keeper.birth(daemon) and not keeper.birth(child))

    def test_when_the_keeper_is_killed(self):
        process, daemon, child = self.keep()
        process.kill()
        self.wait(lambda: not keeper.birth(daemon))
        # A child of the daemon has no keeper any more; a real one (an executor) ends itself. This one is ours.
        os.kill(child, signal.SIGKILL)

    def test_an_id_that_another_process_got_is_not_ours(self):
        path = self.folder / "pids" / "x"
        path.write_text(f"{os.getpid()} 1\n")
        self.assertIsNone(keeper.read_pid(path))
        keeper.write_pid(path, os.getpid())
        self.assertEqual(keeper.read_pid(path), os.getpid())


class Fetch(unittest.TestCase):
    """The cache, with a Maven that hands out small files."""

    MAVEN = """#!/bin/sh
for word; do case $word in -DoutputDirectory=*) out=${word#*=} ;; esac; done
echo called >>"$CALLS"
[ "$MODE" != fails ] || { echo "no network"; exit 1; }
mkdir -p "$out"
echo x >"$out/spark-core_2.13-4.2.0.jar"
[ "$MODE" != dies ] || kill -9 $PPID
sleep 0.3
cp "$ARCHIVE" "$out/hadoop-hdfs-3.5.0-tests.jar"
"""

    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "bin").mkdir()
        (folder / "bin" / "mvn").write_text(self.MAVEN)
        (folder / "bin" / "mvn").chmod(0o755)
        import zipfile  # pylint: disable=import-outside-toplevel
        with zipfile.ZipFile(folder / "archive", "w") as archive:
            archive.writestr("webapps/hdfs/index.html", "page")
            archive.writestr("other", "not wanted")
        self.cache = folder / "cache"
        self.calls = folder / "calls"
        self.enterContext(mock.patch.dict(os.environ, {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "CALLS": str(self.calls), "MODE": "",
                                                       "ARCHIVE": str(folder / "archive"), "BRAINMRI_CLUSTER_CACHE": str(self.cache)}))

    def fetch(self, mode="", count=1):
        command = [sys.executable, str(HERE / "cluster.py"), "fetch"]
        all_of_them = [subprocess.Popen(command, env=os.environ | {"MODE": mode}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                       for _ in range(count)]
        return [(*one.communicate(timeout=120), one.returncode) for one in all_of_them]

    def test_two_at_once_fetch_once(self):
        answers = self.fetch(count=3)
        self.assertEqual([code for _, _, code in answers], [0, 0, 0], answers)
        self.assertEqual(self.calls.read_text().count("called"), 2)  # Hadoop and Spark
        programs = pathlib.Path(answers[0][0].strip())
        self.assertEqual((programs / "hadoop" / "webapps" / "hdfs" / "index.html").read_text(), "page")
        self.assertFalse((programs / "hadoop" / "other").exists())
        self.assertTrue(os.access(programs / "spark" / "bin" / "spark-submit", os.X_OK))

    def test_killed_in_the_middle(self):
        self.assertEqual(self.fetch("dies")[0][2], -signal.SIGKILL)
        self.assertFalse((self.cache / fetch.key()).exists())
        self.assertEqual(self.fetch()[0][2], 0)
        self.assertEqual(sorted(one.name for one in self.cache.iterdir()), sorted([fetch.key(), "lock"]))

    def test_without_a_network_it_is_not_available(self):
        out, err, code = self.fetch("fails")[0]
        self.assertEqual((out, code), ("", cluster.UNAVAILABLE))
        self.assertIn("no network", err)
        self.assertFalse((self.cache / fetch.key()).exists())

    def test_without_java_it_is_not_available(self):
        with mock.patch.dict(os.environ, {"JAVA_HOME": "/nowhere"}):
            self.assertRaisesRegex(fetch.Unavailable, "no Java", fetch.java_home)
