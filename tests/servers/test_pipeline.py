"""The whole way: all real images in HDFS, preprocessed on Spark while an executor is killed, and the pack byte for byte that of threads on local files."""

import os
import pathlib
import shutil
import signal

import case
import keeper


class Pipeline(case.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.url = f"{cls.environment['CLUSTER_HDFS']}/user/{cls.environment['CLUSTER_USER']}/{case.ALL_IMAGES}"
        cls.master = cls.environment["SPARK_MASTER"]

    def executors(self):
        """Ids of the executors of the cluster's worker, which are in the process group of its keeper."""
        found = []
        for pid in keeper.members(keeper.read_pid(self.servers.pids / "worker-1.keeper")):
            try:
                if b"CoarseGrainedExecutorBackend" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
            except OSError:
                pass
        return found

    def log(self):
        return (self.folder / "began.log").read_text(encoding="utf-8", errors="replace")

    def both(self, images):
        """Run folders "threads", preprocessed from local files, and "spark", explored in HDFS."""
        self.call("explore", images, "--out", "threads", "--quiet", timeout=900)
        self.call("preprocess", "threads", "--quiet", timeout=900)
        # Equal packs prove the content; all images may be there from test_data.
        self.call("data", "put", images, self.url, "--no-verify", "--quiet", timeout=900)
        self.call("explore", self.url, "--out", "spark", "--quiet", timeout=900)

    def same(self, total):
        lines = (self.folder / "spark" / "pack" / "manifest.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(lines) - 1, total, "images were lost or doubled")
        for name in ("images.npy", "manifest.csv", "pack.json"):
            one, other = ((self.folder / run / "pack" / name).read_bytes() for run in ("threads", "spark"))
            self.assertTrue(one == other, f"{name} differs")

    @case.needs_images
    def test_all_images_while_an_executor_is_killed(self):
        self.both(case.IMAGES)
        # Many parts, so that some are done when the executor is killed and others are not.
        process = self.begin("preprocess", "spark", "--master", self.master, "--partitions", "24")
        home = f"/user/{self.environment['CLUSTER_USER']}/.brainmri"

        def some_parts_are_done():
            try:
                return process.poll() is not None or any("/part-" in name for name in self.files(home))
            except OSError:
                return False
        self.until(some_parts_are_done, "the first part is written", 400)
        killed = self.executors()
        self.assertTrue(killed, self.log())
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        self.ends(process, seconds=900)
        self.same(sum(1 for one in case.IMAGES.rglob("*") if one.is_file()))
        self.assertEqual(self.files(home), {}, "the job left files in HDFS")

    def test_no_worker(self):
        """Spark would wait in silence; the program tells why, and goes on when a worker comes."""
        self.call("phantom", "few", "--count", "5", "--size", "64", "--quiet")
        self.url += "-few"
        self.servers.webhdfs("DELETE", self.url.removeprefix(self.environment["CLUSTER_HDFS"]), "DELETE", recursive="true")
        shutil.rmtree(self.folder / "threads", ignore_errors=True)
        shutil.rmtree(self.folder / "spark", ignore_errors=True)
        self.both(self.folder / "few")
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
