"""The whole way: images in HDFS, preprocessed on Spark while an executor or a DataNode is killed, and the pack byte for byte that of threads on local files."""

import os
import shutil
import signal

import case


class Pipeline(case.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.home = f"/user/{cls.environment['CLUSTER_USER']}/.brainmri"
        cls.url = f"{cls.environment['CLUSTER_HDFS']}/user/{cls.environment['CLUSTER_USER']}/{case.ALL_IMAGES}"
        cls.master = cls.environment["SPARK_MASTER"]

    def log(self):
        return (self.folder / "began.log").read_text(encoding="utf-8", errors="replace")

    def both(self, images):
        """Run folders "threads", preprocessed from local files, and "spark", explored in HDFS."""
        for run in ("threads", "spark"):
            shutil.rmtree(self.folder / run, ignore_errors=True)
        self.call("explore", images, "--out", "threads", "--quiet", timeout=900)
        self.call("preprocess", "threads", "--quiet", timeout=900)
        # Equal packs prove the content; all images may be there from test_data.
        self.call("data", "put", images, self.url, "--no-verify", "--quiet", timeout=900)
        self.call("explore", self.url, "--out", "spark", "--quiet", timeout=900)

    def both_of_few(self, name, count):
        """The same with `count` phantoms of each class."""
        self.call("phantom", name, "--count", count, "--size", "96", "--quiet")
        self.url += "-" + name
        self.servers.webhdfs("DELETE", self.url.removeprefix(self.environment["CLUSTER_HDFS"]), "DELETE", recursive="true")
        self.both(self.folder / name)

    def begin_parts(self, **variables):
        """Spark's job of many parts, caught when some are done and others are not."""
        process = self.begin("preprocess", "spark", "--master", self.master, "--partitions", "24", **variables)

        def some_parts_are_done():
            try:
                return process.poll() is not None or any("/part-" in name for name in self.files(self.home))
            except OSError:
                return False
        self.until(some_parts_are_done, "the first part is written", 400)
        self.assertIsNone(process.poll(), self.log())
        return process

    def same(self, total):
        lines = (self.folder / "spark" / "pack" / "manifest.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(lines) - 1, total, "images were lost or doubled")
        for name in ("images.npy", "manifest.csv", "pack.json"):
            one, other = ((self.folder / run / "pack" / name).read_bytes() for run in ("threads", "spark"))
            self.assertTrue(one == other, f"{name} differs")
        self.assertEqual(self.files(self.home), {}, "the job left files in HDFS")

    @case.needs_images
    def test_all_images_while_an_executor_is_killed(self):
        self.both(case.IMAGES)
        process = self.begin_parts()
        killed = self.executors()
        self.assertTrue(killed, self.log())
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        self.ends(process, seconds=900)
        self.same(sum(1 for one in case.IMAGES.rglob("*") if one.is_file()))

    def test_a_datanode_is_killed(self):
        """Images are read from it and parts are written to it: each has its other copy on the one that stays."""
        self.both_of_few("copies", 40)
        self.addCleanup(self.servers.wait_hdfs)
        process = self.begin_parts(BRAINMRI_WORKER=self.worker("slow"))
        self.servers.kill("datanode-1")
        self.addCleanup(self.servers.again, "datanode-1")
        done = sum("/part-" in name for name in self.files(self.home))
        self.assertLess(done, 20, "nearly all was done before the DataNode was killed")
        self.ends(process, seconds=600)
        self.same(160)

    def test_a_pack_in_hdfs(self):
        """Images out of one zip file, as `data pack` makes it in HDFS."""
        self.both_of_few("zipped", 20)
        self.call("data", "pack", self.url, self.url + ".zip")
        shutil.rmtree(self.folder / "spark")
        self.call("explore", self.url + ".zip", "--out", "spark", "--quiet")
        result = self.json("preprocess", "spark", "--master", self.master, timeout=600)["phases"][-1]["result"]
        self.assertEqual(sum(task["images"] for task in result["spark"]["tasks"]), 80)
        self.same(80)

    def test_no_worker(self):
        """Spark would wait in silence; the program tells why, and goes on when a worker comes."""
        self.both_of_few("few", 5)
        self.addCleanup(self.servers.wait_spark)
        self.servers.stop(["worker-1"])
        process = self.begin("preprocess", "spark", "--master", self.master)
        try:
            self.until(lambda: process.poll() is not None or "no executor yet" in self.log(), "the program tells why nothing happens", 300)
            self.assertIn("--spark-conf", self.log())
        finally:
            self.servers.again("worker-1")
        self.ends(process, seconds=400)
        self.same(20)
