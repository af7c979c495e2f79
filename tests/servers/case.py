"""What the cluster tests share: one running cluster, and the program."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error

import cluster
import keeper

PROGRAM = os.path.abspath(os.environ.get("BRAINMRI", "build/cli/brainmri"))
SHARED = pathlib.Path(os.environ.get("BRAINMRI_SHARED") or pathlib.Path(__file__).resolve().parents[3] / "shared").absolute()
IMAGES = SHARED / "data" / "brain_Tumor_Types"
CLASSES = {"glioma": 1321, "meningioma": 1339, "notumor": 1595, "pituitary": 1457}
ALL_IMAGES = "all-images"  # the folder in HDFS, below the home, that test_data fills and others go on with
# How much longer than usual everything may take, for a machine that is busy with other things.
PATIENCE = float(os.environ.get("BRAINMRI_TEST_PATIENCE", "1"))
needs_images = unittest.skipUnless(IMAGES.is_dir(), f"no real images at {IMAGES}")

# Stands in for brainmri's worker and hands everything on to it, except that one image makes it fail.
WORKER = """#!/usr/bin/env python3
import os, resource, signal, struct, subprocess, sys, time
mode, name, mark = {mode!r}, {name!r}, {mark!r}
worker = subprocess.Popen([{real!r}, "worker"], stdin=subprocess.PIPE)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def first():
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


data = sys.stdin.buffer
worker.stdin.write(data.read(16))
while True:
    head = data.read(40)
    if len(head) < 40:
        break
    names, body = struct.unpack_from("<II", head, 16)
    rest = data.read(names + body)
    kind = struct.unpack_from("<I", head, 4)[0]
    if mode == "slow":
        time.sleep(0.1)
    if kind == 0 and rest[:names].decode() == name and (mode == "crash-always" or first()):
        if mode.startswith("crash"):
            worker.stdin.close()  # what came before is answered, as a worker that crashes itself has done
            worker.wait()
            os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(1000)
    worker.stdin.write(head + rest)
    worker.stdin.flush()
worker.stdin.close()
sys.exit(worker.wait())
"""


class Cluster:
    """The servers that all tests share, started by the first one that asks; or those in BRAINMRI_CLUSTER_DIR, which then stay."""
    folder = None
    running = None

    @classmethod
    def get(cls):
        if cls.running is None and os.environ.get("BRAINMRI_CLUSTER_DIR"):
            cls.running = cluster.Cluster(os.environ["BRAINMRI_CLUSTER_DIR"])
            cls.running.wait_hdfs()
        if cls.running is None:
            cls.folder = tempfile.mkdtemp(prefix="brainmri-cluster-")
            cls.running = cluster.start(cls.folder, "--datanodes", "2", "--replication", "2", "--workers", "1", "--cores", "2", "--memory", "3g")
        return cls.running

    @classmethod
    def end(cls):
        if cls.folder is None:
            return
        try:
            if (pathlib.Path(cls.folder) / "cluster.json").exists():
                cluster.Cluster(cls.folder).stop()
        finally:
            shutil.rmtree(cls.folder, ignore_errors=True)
            cls.folder = cls.running = None


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = Cluster.get()
        cls.environment = cls.servers.client_environment()
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="brainmri-test-"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def command(self, arguments, code=0, timeout=240, **variables):
        """Runs a command on the cluster; fails the test when the exit code is another. A variable that is None is taken away."""
        environment = {key: value for key, value in (self.environment | variables).items() if value is not None}
        done = subprocess.run([str(word) for word in arguments], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout * PATIENCE, check=False)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{' '.join(map(str, arguments))}: exit code {done.returncode}, not {code}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def call(self, *arguments, **options):
        return self.command([PROGRAM, *arguments], **options)

    def json(self, *arguments, **options):
        return json.loads(self.call(*arguments, "--json", **options).stdout)

    def fails(self, *arguments, says=(), code=1, **options):
        """The command fails, and its message holds every one of `says`."""
        done = self.call(*arguments, code=code, **options)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, done.stderr)
        return done

    def begin(self, *arguments, **variables):
        """Starts the program and returns at once; it is ended with the test."""
        environment = {key: value for key, value in (self.environment | variables).items() if value is not None}
        with open(self.folder / "began.log", "wb") as log:
            process = subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(self.finish, process)
        return process

    def ends(self, process, code=0, seconds=240):
        """Waits for a program that was begun."""
        try:
            status = process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            status = f"none after {seconds} s"
        self.assertEqual(status, code, (self.folder / "began.log").read_text(encoding="utf-8", errors="replace")[-4000:])

    def finish(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()

    def hdfs(self, *arguments, **options):
        return self.command(["hdfs", *arguments], **({"HADOOP_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"} | options)).stdout

    def until(self, ready, what, seconds=60):
        limit = time.monotonic() + seconds * PATIENCE
        while not ready():
            if time.monotonic() > limit:
                self.fail(f"{what}: not within {seconds} s")
            time.sleep(0.05)

    def summary(self, path):
        return self.servers.webhdfs("GETCONTENTSUMMARY", path)["ContentSummary"]

    def worker(self, mode, name=""):
        """A worker for Spark's tasks that does not do well; BRAINMRI_WORKER names it."""
        path = self.folder / f"worker-{self.id().rsplit('.', 1)[-1]}"
        path.write_text(WORKER.format(mode=mode, name=name, mark=str(path) + ".mark", real=str(pathlib.Path(PROGRAM).parent / "brainmri-worker")))
        path.chmod(0o755)
        return str(path)

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

    def files(self, path, missing_ok=False):
        """Every file below an HDFS folder, by its path relative to it; of no folder none, if that is to pass."""
        found = {}

        def walk(folder, prefix):
            for one in self.servers.webhdfs("LISTSTATUS", folder)["FileStatuses"]["FileStatus"]:
                name = prefix + one["pathSuffix"]
                if one["type"] == "DIRECTORY":
                    walk(f"{folder}/{one['pathSuffix']}", name + "/")
                else:
                    found[name] = one
        try:
            walk(path, "")
        except urllib.error.HTTPError as error:
            if error.code != 404 or not missing_ok:
                raise
        return found


def later(seconds, action):
    """Does something after a while, beside the test; join() waits and tells whether it went well."""
    class Later(threading.Thread):
        error = None

        def run(self):
            time.sleep(seconds)
            try:
                action()
            except Exception as error:  # pylint: disable=broad-except
                self.error = error

        def join(self, timeout=None):
            super().join(timeout)
            if self.error:
                raise self.error
    thread = Later(daemon=True)
    thread.start()
    return thread
