"""Preprocessing on a real Spark cluster: the pack of local threads, whatever happens to the workers."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import time
import unittest
import urllib.request

import case

JAR = pathlib.Path(case.PROGRAM).parents[1] / "spark" / "brainmri-spark.jar"
PACK = ("images.npy", "manifest.csv", "pack.json")


@unittest.skipUnless(JAR.exists(), f"no {JAR}: 'make spark' makes it")
class Spark(case.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = cls.folder / "data"
        here = cls()
        here.call("phantom", cls.data, "--count", 30, "--size", 64)
        # Its header is whole: it is found out when it is decoded.
        (cls.data / "glioma" / "cut.jpg").write_bytes(next((cls.data / "glioma").iterdir()).read_bytes()[:-300])
        cls.explored, cls.reference = cls.folder / "explored", cls.folder / "reference"
        here.call("explore", cls.data, "--out", cls.explored)
        shutil.copytree(cls.explored, cls.reference)
        here.call("preprocess", cls.reference)
        cls.count = len((cls.reference / "pack" / "manifest.csv").read_text().splitlines()) - 1
        cls.name = (cls.reference / "pack" / "manifest.csv").read_text().splitlines()[20].split(",")[3]
        cls.master = cls.environment["SPARK_MASTER"]

    def fresh(self, name):
        """A run folder that is explored and not yet preprocessed."""
        run = self.folder / name
        shutil.copytree(self.explored, run)
        return run

    def preprocess(self, run, *arguments, master=None, **options):
        """Preprocesses on Spark and returns the phase's figures."""
        result = self.json("preprocess", run, "--master", master or self.master, *arguments, **({"timeout": 600} | options))
        return result["phases"][-1]["result"]

    def same_pack(self, run, reference=None):
        for name in PACK:
            one, other = ((folder / "pack" / name).read_bytes() for folder in (reference or self.reference, run))
            self.assertEqual(one, other, name)
        left = [path.name for path in run.iterdir() if path.name.startswith("pack.")]
        self.assertEqual(left, [], "the job's folder is left")

    def applications(self):
        with urllib.request.urlopen(f"http://{self.environment['SPARK_MASTER_UI']}/json/", timeout=20) as answer:
            return json.load(answer)["activeapps"]

    def test_cluster_makes_the_pack_of_threads(self):
        run = self.fresh("cluster")
        result = self.preprocess(run, "--partitions", 5)
        self.same_pack(run)
        spark = result["spark"]
        self.assertEqual(spark["partitions"], 5)
        self.assertEqual(sorted(task["partition"] for task in spark["tasks"]), list(range(5)))
        self.assertEqual(sum(task["images"] + task["rejected"] for task in spark["tasks"]), self.count + 1)
        self.assertIn("http://127.0.0.1:", spark["ui"])
        self.assertTrue(self.preprocess(run)["reused"])
        text = (run / "phases" / "06-preprocess.txt").read_text()
        self.assertIn("PHASE 6: DISTRIBUTED PREPROCESSING WITH SPARK", text)

    def test_local_mode_makes_the_pack_of_threads(self):
        run = self.fresh("local")
        self.preprocess(run, master="local[2]")
        self.same_pack(run)

    def in_hdfs(self, name, user, **variables):
        """A run folder that is explored in HDFS."""
        url = f"{self.environment['CLUSTER_HDFS']}/user/{user}/spark"
        self.call("data", "put", self.data, url, "--quiet", **variables)
        self.call("explore", url, "--out", self.folder / name, **variables)
        return self.folder / name

    def test_data_in_hdfs(self):
        user = self.environment["CLUSTER_USER"]
        run = self.in_hdfs("hdfs", user)
        self.preprocess(run)
        self.same_pack(run)
        self.assertEqual(self.files(f"/user/{user}/.brainmri"), {})

    def test_over_rest_without_spark_here(self):
        run = self.fresh("rest")
        self.preprocess(run, master=f"rest://{self.environment['SPARK_REST']}", SPARK_HOME=None, JAVA_HOME=None, PATH="/usr/bin:/bin")
        self.same_pack(run)

    def test_over_rest_with_data_in_hdfs(self):
        """As another user than the one that Spark's servers run as: nothing of it is made or read as anybody else."""
        self.hdfs("dfs", "-mkdir", "-p", "/user/reader")
        self.hdfs("dfs", "-chown", "reader", "/user/reader")
        run = self.in_hdfs("rest-hdfs", "reader", HADOOP_USER_NAME="reader")
        log = self.servers.logs / "namenode.log"
        before = len(log.read_bytes())
        self.preprocess(run, master=f"rest://{self.environment['SPARK_REST']}", SPARK_HOME=None, JAVA_HOME=None, PATH="/usr/bin:/bin",
                        HADOOP_USER_NAME="reader")
        self.same_pack(run)
        told = [line for line in log.read_bytes()[before:].decode(errors="replace").splitlines() if "FSNamesystem.audit" in line and "src=/user/reader" in line]
        self.assertTrue(any("cmd=rename" in line and "/part-" in line for line in told))
        # Spark's worker fetches the jar for the driver before there is a driver.
        self.assertEqual([line for line in told if "ugi=reader " not in line and "/brainmri-spark.jar" not in line], [])
        self.assertEqual(self.files("/user/reader/.brainmri"), {})

    def test_worker_that_crashes_costs_its_task(self):
        run = self.fresh("crash")
        result = self.preprocess(run, "--partitions", 3, BRAINMRI_WORKER=self.worker("crash", self.name))
        self.same_pack(run)
        self.assertEqual(sum(task["attempt"] > 0 for task in result["spark"]["tasks"]), 1)

    def test_image_that_always_crashes_is_left_out(self):
        run = self.fresh("poison")
        done = self.call("preprocess", run, "--master", self.master, timeout=600, BRAINMRI_WORKER=self.worker("crash-always", self.name))
        self.assertIn(f"left out '{self.name}'", done.stderr)
        self.assertIn("signal 11", done.stderr)
        lines = (run / "pack" / "manifest.csv").read_text().splitlines()
        self.assertEqual(len(lines) - 1, self.count - 1)
        self.assertFalse(any(self.name in line for line in lines))

    def test_worker_that_hangs_costs_its_task(self):
        run = self.fresh("hang")
        result = self.preprocess(run, "--image-seconds", 15, BRAINMRI_WORKER=self.worker("hang", self.name))
        self.same_pack(run)
        self.assertEqual(sum(task["attempt"] > 0 for task in result["spark"]["tasks"]), 1)

    def test_worker_of_another_version(self):
        """It would make other pixels, and says so before it has made any."""
        worker = self.folder / "worker-of-another-version"
        worker.write_text("#!/usr/bin/env python3\nimport sys\n"
                          "begin = sys.stdin.buffer.read(16)\n"
                          "sys.stdout.buffer.write(b'BMPART02' + begin[8:12] + bytes(4))\n"
                          "sys.stdout.buffer.flush()\n"
                          "sys.stdin.buffer.read()\n")
        worker.chmod(0o755)
        run = self.fresh("version")
        self.fails("preprocess", run, "--master", self.master, says=("another version of brainmri runs as the worker on 127.0.0.1", "BRAINMRI_WORKER"),
                   timeout=300, BRAINMRI_WORKER=str(worker))
        self.assertFalse((run / "pack").exists())

    def test_executor_killed_in_the_middle(self):
        run = self.fresh("killed")
        process = self.begin("preprocess", run, "--master", self.master, "--partitions", 8, BRAINMRI_WORKER=self.worker("slow"))
        job = []

        def a_part_is_done():
            job[:] = run.glob("pack.spark-*/part-*")
            return bool(job) or process.poll() is not None
        self.until(a_part_is_done, "the first part", 600)
        killed = self.executors()
        self.assertTrue(killed)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(process.wait(600), 0, (self.folder / "began.log").read_text())
        self.same_pack(run)

    def test_interrupt_ends_the_job_in_the_cluster(self):
        run = self.fresh("interrupt")
        process = self.begin("preprocess", run, "--master", self.master, BRAINMRI_WORKER=self.worker("slow"))
        self.until(lambda: self.executors() or process.poll() is not None, "an executor", 600)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(120), 1)
        self.until(lambda: not self.applications(), "the end of the application")
        self.until(lambda: not self.executors(), "the end of the executors")
        self.assertFalse((run / "pack").exists())
        self.assertEqual(list(run.glob("pack.*")), [])
        self.assertIn("stopped", (self.folder / "began.log").read_text())

    def test_the_live_page_shows_the_tasks(self):
        run = self.fresh("watched")
        process = self.begin("preprocess", run, "--master", self.master, "--partitions", 4, "--ui=0", BRAINMRI_WORKER=self.worker("slow"))
        states = []

        def look():
            said = re.search(r"Live page: (http://127\.0\.0\.1:\d+/)", (self.folder / "began.log").read_text())
            if said and process.poll() is None:
                with urllib.request.urlopen(f"{said[1]}state.json", timeout=20) as answer:
                    states.append(json.load(answer))
            return process.poll() is not None or bool(states and states[-1]["cluster"] and states[-1]["cluster"]["numbers"]["running"])
        self.until(look, "a running task on the page", 600)
        self.assertEqual(process.wait(600), 0, (self.folder / "began.log").read_text())
        seen = states[-1]["cluster"]
        self.assertRegex(seen["page"], r"^http://127\.0\.0\.1:\d+")
        self.assertEqual((seen["numbers"]["tasks"], seen["numbers"]["failed"]), (4, 0))
        self.same_pack(run)

    def test_nobody_listens(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        run = self.fresh("refused")
        self.fails("preprocess", run, "--master", f"spark://127.0.0.1:{port}", says=("Connection refused", "start-all.sh", "jps"))
        self.fails("environment", "--master", f"spark://127.0.0.1:{port}", says="Connection refused")

    def test_no_java_and_no_spark(self):
        run = self.fresh("nothing")
        self.fails("preprocess", run, "--master", "local[2]", JAVA_HOME="/nowhere", says=("JAVA_HOME", "echo $JAVA_HOME"))
        self.fails("preprocess", run, "--master", "local[2]", SPARK_HOME=None, PATH="/usr/bin:/bin", says=("Spark not found", "SPARK_HOME"))
        self.fails("preprocess", run, "--master", "local[2]", SPARK_HOME="/nowhere", says=("Spark not found", "/nowhere"))
        self.fails("preprocess", run, "--master", "local[2]", BRAINMRI_SPARK_JAR="/nowhere.jar", says=("jar", "make spark"))

    def test_too_little_memory_and_a_port_in_use(self):
        run = self.fresh("small")
        self.fails("preprocess", run, "--master", "local[2]", "--spark-conf", "spark.driver.memory=200m", says="spark.driver.memory=1g", timeout=300)
        # Java's own error, not Spark's refusal: there too little memory is let through.
        self.fails("preprocess", run, "--master", "local[2]", "--spark-conf", "spark.driver.memory=14m,spark.testing.reservedMemory=1000",
                   says=("Java ran out of memory", "OutOfMemoryError", "--partitions"), timeout=300)
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            self.fails("preprocess", run, "--master", "local[2]", "--spark-conf", f"spark.ui.port={busy.getsockname()[1]},spark.port.maxRetries=0",
                       says=("a port is in use", "spark.ui.port"), timeout=300)

    @case.needs_images
    def test_all_real_images(self):
        reference, run = self.folder / "real-threads", self.folder / "real-spark"
        self.call("explore", case.IMAGES, "--out", reference, timeout=1200)
        shutil.copytree(reference, run)
        self.call("preprocess", reference, timeout=1200)
        begun = time.monotonic()
        result = self.preprocess(run, timeout=1200)
        self.same_pack(run, reference)
        self.assertEqual(result["images"], 5712)
        print(f"spark: {result['images_per_second']:.0f} images/s, {time.monotonic() - begun:.1f} s with Spark's start")
