"""Preprocessing on a real YARN: images out of HDFS, and the pack of local threads."""

import shutil
import signal

import case
import cluster


class Yarn(case.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.servers.start_yarn()
        cls.environment = cls.servers.client_environment()
        cls.home = f"/user/{cls.environment['CLUSTER_USER']}"
        here = cls()
        url = f"{cls.environment['CLUSTER_HDFS']}{cls.home}/yarn-images"
        here.call("phantom", "data", "--count", "75", "--size", "96", "--quiet")
        here.call("data", "put", "data", url, "--no-verify", "--quiet")
        here.call("explore", url, "--out", "explored", "--quiet")
        here.call("explore", "data", "--out", "threads", "--quiet")
        here.call("preprocess", "threads", "--quiet")

    @classmethod
    def tearDownClass(cls):
        cls.servers.stop(cluster.YARN)
        super().tearDownClass()

    def fresh(self, name, explored="explored"):
        shutil.copytree(self.folder / explored, self.folder / name)
        return name

    def applications(self):
        return (self.servers.yarn("apps")["apps"] or {}).get("app", [])

    def no_containers(self):
        self.until(lambda: self.servers.yarn("metrics")["clusterMetrics"]["allocatedVirtualCores"] == 0, "the end of the containers", 120)

    def nothing_is_left(self):
        self.no_containers()
        for folder in (".brainmri", ".sparkStaging"):
            # Before the first job there is no such folder.
            self.assertEqual(self.files(f"{self.home}/{folder}", missing_ok=True), {})

    def test_the_pack_of_threads(self):
        run = self.fresh("yarn")
        spark = self.json("preprocess", run, "--master", "yarn", "--partitions", "6", timeout=600)["phases"][-1]["result"]["spark"]
        for name in ("images.npy", "manifest.csv", "pack.json"):
            one, other = ((self.folder / folder / "pack" / name).read_bytes() for folder in ("threads", run))
            self.assertTrue(one == other, f"{name} differs")
        self.assertEqual(sum(task["images"] for task in spark["tasks"]), 300)
        application = next(one for one in self.applications() if one["id"] == spark["application"])
        self.assertEqual((application["applicationType"], application["finalStatus"]), ("SPARK", "SUCCEEDED"))
        # All three cores: one has the application's master, the others one executor.
        log = (self.folder / run / "spark.log").read_text(encoding="utf-8", errors="replace")
        self.assertIn("cores -> name: cores, amount: 2,", log)
        self.nothing_is_left()

    def test_the_connection_is_tested(self):
        self.no_containers()
        text = self.call("environment", self.environment["CLUSTER_HDFS"] + self.home, "--master", "yarn").stdout
        self.assertIn("✓ YARN ResourceManager reachable at 127.0.0.1:", text)
        self.assertIn("✓ Live YARN nodes: 1 (3 cores, 0 in use; 4096 MB of memory)", text)

    def test_interrupt_ends_the_application(self):
        run = self.fresh("interrupt")
        before = {one["id"] for one in self.applications()}
        process = self.begin("preprocess", run, "--master", "yarn", BRAINMRI_WORKER=self.worker("slow"))

        def executors_run():
            mine = [one for one in self.applications() if one["id"] not in before]
            return process.poll() is not None or any(one["runningContainers"] > 1 for one in mine)
        self.until(executors_run, "an executor", 400)
        self.assertIsNone(process.poll(), (self.folder / "began.log").read_text())
        process.send_signal(signal.SIGINT)
        self.ends(process, code=1, seconds=120)
        self.until(lambda: all(one["state"] in ("FINISHED", "KILLED", "FAILED") for one in self.applications()), "the end of the application", 120)
        self.nothing_is_left()
        self.assertFalse((self.folder / run / "pack").exists())

    def test_no_node(self):
        """Spark would wait in silence; the program tells why."""
        run = self.fresh("waits")
        self.addCleanup(self.servers.start_yarn)
        self.servers.stop(["nodemanager"])
        self.until(lambda: self.servers.yarn("metrics")["clusterMetrics"]["activeNodes"] == 0, "the node is gone", 120)
        process = self.begin("preprocess", run, "--master", "yarn")

        def told():
            return (self.folder / "began.log").read_text(encoding="utf-8", errors="replace")
        self.until(lambda: process.poll() is not None or "YARN has not begun the job yet" in told(), "the program tells why nothing happens", 300)
        application = next(one["id"] for one in self.applications() if one["state"] == "ACCEPTED")
        self.assertIn(application, told())
        self.assertIn("spark.yarn.queue", told())
        process.send_signal(signal.SIGINT)
        self.ends(process, code=1, seconds=120)
        # There is still no node: nobody but the program has ended it.
        self.until(lambda: next(one["state"] for one in self.applications() if one["id"] == application) == "KILLED", "the end of the application", 60)
        self.assertNotIn("yarn application -kill", told())
        self.nothing_is_left()

    def test_no_configuration(self):
        run = self.fresh("local", "threads")
        shutil.rmtree(self.folder / run / "pack")
        self.fails("preprocess", run, "--master", "yarn", says=("set HADOOP_CONF_DIR", "yarn-site.xml"), HADOOP_CONF_DIR=None, HADOOP_HOME=None)
        (self.folder / "conf").mkdir()
        self.fails("preprocess", run, "--master", "yarn", says=("no yarn-site.xml", "set HADOOP_CONF_DIR"), HADOOP_CONF_DIR=str(self.folder / "conf"))
        port = cluster.free_ports(1)[0]
        (self.folder / "conf" / "yarn-site.xml").write_text(
            "<configuration><property><name>yarn.resourcemanager.address</name>"
            f"<value>127.0.0.1:{port}</value></property></configuration>")
        self.fails("preprocess", run, "--master", "yarn", says=(f"127.0.0.1:{port}", "Connection refused", "start-yarn.sh", "jps"),
                   HADOOP_CONF_DIR=str(self.folder / "conf"))

    def test_a_container_that_is_too_large(self):
        run = self.fresh("large")
        self.fails("preprocess", run, "--master", "yarn", "--spark-conf", "spark.executor.memory=9g", says=("no container of this size", "spark.executor.memory=512m"),
                   timeout=400)
        self.nothing_is_left()
