"""brainmri data on a real HDFS: everything arrives, only what is missing goes, and what is killed in the middle loses nothing."""

import hashlib
import os
import pathlib
import shutil
import signal
import unittest

import case
import cluster

AMONG = 60  # images of each class in the smaller set


def tree(folder):
    """Size and hash of every file below a local folder."""
    return {str(path.relative_to(folder)): (path.stat().st_size, hashlib.md5(path.read_bytes()).hexdigest())
            for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()}


class Data(case.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.small = cls.folder / "small"
        if case.IMAGES.is_dir():
            for name in case.CLASSES:
                (cls.small / name).mkdir(parents=True)
                for image in sorted((case.IMAGES / name).iterdir())[:AMONG]:
                    shutil.copy(image, cls.small / name / image.name)
        else:
            made = case.subprocess.run([case.PROGRAM, "phantom", cls.small, "--count", str(AMONG), "--size", "64", "--quiet"], check=True, timeout=300)
            assert made.returncode == 0
        cls.expected = tree(cls.small)

    def setUp(self):
        self.place = f"/user/{self.environment['CLUSTER_USER']}/{self.id().rsplit('.', 1)[1]}"
        self.url = self.environment["CLUSTER_HDFS"] + self.place
        self.servers.webhdfs("DELETE", self.place, "DELETE", recursive="true")

    def created(self):
        """How many files the NameNode was ever asked to create: its own audit log."""
        text = (self.servers.logs / "namenode.log").read_text(encoding="utf-8", errors="replace")
        return text.count("cmd=create\t")

    def arrived(self, expected, place=None):
        """Every file is there with its length, complete and under its own name, and there is nothing else."""
        found = self.files(place or self.place)
        self.assertEqual({name: one["length"] for name, one in found.items()}, {name: size for name, (size, _) in expected.items()})

    def count(self):
        try:
            return len(self.files(self.place))
        except OSError:
            return 0

    def begin_put(self, until=40):
        """A put of the small set, caught in the middle: by few transfers, so that there is time for it."""
        process = self.begin("data", "put", self.small, self.url, "--transfers", "4")
        self.until(lambda: process.poll() is not None or self.count() > until, "the put goes on")
        self.assertIsNone(process.poll(), "the put ended before it could be disturbed")
        return process

    @case.needs_images
    def test_all_5712_images(self):
        self.place = self.place.rsplit("/", 1)[0] + "/" + case.ALL_IMAGES
        self.url = self.environment["CLUSTER_HDFS"] + self.place
        self.servers.webhdfs("DELETE", self.place, "DELETE", recursive="true")
        expected = tree(case.IMAGES)
        before = self.created()
        done = self.call("data", "put", case.IMAGES, self.url, timeout=900)
        self.assertGreaterEqual(self.created() - before, len(expected))
        self.arrived(expected)
        for name, count in case.CLASSES.items():
            self.assertIn(f"✓ {name}: {count:,} files", done.stdout)
        self.assertIn("5,712 files transferred", done.stdout)
        before = self.created()
        again = self.call("data", "put", case.IMAGES, self.url, timeout=600)
        self.assertEqual(self.created() - before, 0, "a second put sent something")
        self.assertIn("All 5,712 files are there", again.stdout)
        self.call("data", "verify", case.IMAGES, self.url, timeout=600)
        # A look that shares nothing with the program: HDFS's own count, and a file as its own client reads it.
        self.assertEqual(self.summary(self.place)["fileCount"], len(expected))
        name = "notumor/Tr-no_1005.jpg"
        self.hdfs("dfs", "-get", f"{self.place}/{name}", self.folder / "one")
        self.assertEqual(hashlib.md5((self.folder / "one").read_bytes()).hexdigest(), expected[name][1])

    def test_a_killed_put_goes_on(self):
        process = self.begin_put(80)
        process.send_signal(signal.SIGKILL)
        process.wait()
        half = {name: one for name, one in self.files(self.place).items() if not name.startswith(".") and "/." not in name}
        self.assertLess(len(half), len(self.expected))
        for name, one in half.items():
            self.assertEqual(one["length"], self.expected[name][0], f"{name} is listed but not whole")
        before = self.created()
        self.call("data", "put", self.small, self.url)
        # A file or two may have been whole but not yet renamed, or be sent in a second attempt.
        self.assertLess(self.created() - before, len(self.expected) - len(half) + 10, "what was there already was sent again")
        self.arrived(self.expected)
        self.call("data", "verify", self.small, self.url)

    def test_get_gives_back_every_byte(self):
        self.call("data", "put", self.small, self.url)
        self.call("data", "get", self.url, self.folder / "back")
        self.assertEqual(tree(self.folder / "back"), self.expected)

    def test_what_differs_is_sent_again(self):
        self.call("data", "put", self.small, self.url)
        names = sorted(self.expected)
        gone, other, cut = names[3], names[100], names[-1]
        data = (self.small / other).read_bytes()
        (self.folder / "other").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # of the same length
        (self.folder / "cut").write_bytes(b"x")
        self.hdfs("dfs", "-rm", "-skipTrash", f"{self.place}/{gone}")
        self.hdfs("dfs", "-put", "-f", self.folder / "other", f"{self.place}/{other}")
        self.hdfs("dfs", "-put", "-f", self.folder / "cut", f"{self.place}/{cut}")
        done = self.fails("data", "verify", self.small, self.url, says=["data put"])
        said = done.stdout + done.stderr
        for name in (gone, other, cut):
            self.assertIn(pathlib.PurePath(name).name, said)
        before = self.created()
        self.call("data", "put", self.small, self.url)
        self.assertEqual(self.created() - before, 3)
        self.call("data", "verify", self.small, self.url)

    def test_a_datanode_killed_during_a_put(self):
        self.addCleanup(self.servers.wait_hdfs)
        process = self.begin_put()
        self.servers.kill("datanode-1")
        self.addCleanup(self.servers.again, "datanode-1")
        self.ends(process)
        self.arrived(self.expected)
        self.call("data", "verify", self.small, self.url)

    def test_a_datanode_killed_during_a_get(self):
        self.call("data", "put", self.small, self.url)
        self.addCleanup(self.servers.wait_hdfs)
        process = self.begin("data", "get", self.url, self.folder / "got", "--transfers", "4")
        self.until(lambda: process.poll() is not None or len(list((self.folder / "got").rglob("*.jpg"))) > 20, "the get goes on")
        self.assertIsNone(process.poll(), "the get ended before it could be disturbed")
        self.servers.kill("datanode-2")
        self.addCleanup(self.servers.again, "datanode-2")
        self.ends(process)
        self.assertEqual(tree(self.folder / "got"), self.expected)

    def test_a_folder_and_its_pack_hold_the_same(self):
        self.call("data", "put", self.small, self.url)
        self.call("data", "pack", self.url, self.url + ".zip")
        self.assertEqual(self.servers.webhdfs("GETFILESTATUS", self.place + ".zip")["FileStatus"]["type"], "FILE")
        self.call("data", "verify", self.small, self.url + ".zip")
        listed = self.json("data", "ls", self.url + ".zip")
        self.assertEqual((listed["files"], listed["bytes"]), (len(self.expected), sum(size for size, _ in self.expected.values())))
        self.call("data", "get", self.url + ".zip", self.folder / "unpacked")
        self.assertEqual(tree(self.folder / "unpacked"), self.expected)

    def test_the_forms_of_an_address(self):
        self.call("data", "put", self.small, self.url)
        listed = self.call("data", "ls", self.url).stdout
        web = self.environment["CLUSTER_WEBHDFS"]
        for url, more, variables in (
                (f"webhdfs://{web}{self.place}", [], {"HADOOP_CONF_DIR": None}),
                (f"hdfs://{self.place}", [], {}),  # fs.defaultFS
                (self.url, ["--webhdfs", web], {"HADOOP_CONF_DIR": None})):
            with self.subTest(url):
                self.assertEqual(self.call("data", "ls", url, *more, **variables).stdout, listed)


class Standby(unittest.TestCase):
    """Two NameNodes: whichever is active is found."""

    def test_a_standby_is_passed_over(self):
        folder = self.enterContext(case.tempfile.TemporaryDirectory())
        servers = cluster.start(folder, "--standby", "--workers", "0")
        self.addCleanup(servers.stop)
        environment = servers.client_environment()

        def call(*arguments):
            done = case.subprocess.run([case.PROGRAM, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=240, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done
        call("phantom", folder + "/images", "--count", "5", "--size", "64")
        call("data", "put", folder + "/images", "hdfs://cluster/user/images")
        # By hand, the standby first.
        standby, active = environment["CLUSTER_WEBHDFS_STANDBY"], environment["CLUSTER_WEBHDFS"]
        call("data", "verify", folder + "/images", "hdfs://cluster/user/images", "--webhdfs", f"{standby},{active}")
        servers.kill("namenode")
        servers.activate("standby")
        call("data", "verify", folder + "/images", "hdfs://cluster/user/images")
