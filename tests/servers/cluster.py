#!/usr/bin/env python3
"""A small real cluster on loopback: an HDFS NameNode with DataNodes, a Spark master with workers. README.md beside this file tells how to use it."""

import argparse
import json
import os
import pathlib
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from xml.sax.saxutils import escape

import fetch
import keeper

HOST = "127.0.0.1"
YARN = ("resourcemanager", "nodemanager")
PATIENCE = 300  # seconds: a daemon is up within 10 s on an idle machine, but this may be a very busy one
UNAVAILABLE = 77  # the exit code by which test runners know "skipped"


class Failed(Exception):
    """The cluster did not do what it was told; the message says which part, and where its log is."""


class PortTaken(Failed):
    """Somebody took a port between our choice and the daemon's start."""


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def get_json(url, timeout=5):
    # Never through a proxy: these are our own servers.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout) as answer:
        return json.load(answer)


class Cluster:
    """One cluster, whose whole state is below `folder`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).absolute()
        self.pids = self.folder / "pids"
        self.logs = self.folder / "logs"
        self.conf = self.folder / "conf"

    # What is known of a cluster that was started.

    @property
    def state(self):
        try:
            return json.loads((self.folder / "cluster.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Failed(f"no cluster was started in '{self.folder}'; start one with: cluster.py start {self.folder}") from None

    def environment(self):
        """The variables that a client of the cluster needs, with the daemons' process ids."""
        variables = dict(self.state["environment"])
        for name in self.state["daemons"]:
            variables["CLUSTER_PID_" + name.upper().replace("-", "_")] = str(self.pid(name) or "")
        return variables

    def client_environment(self):
        """As os.environ, for a process that uses the cluster."""
        return os.environ | self.environment()

    def quick_environment(self):
        """The same for a Java program that lives for seconds."""
        return self.client_environment() | {"HADOOP_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}

    def pid(self, name):
        return keeper.read_pid(self.pids / name)

    def running(self):
        return [name for name in self.state["daemons"] if self.pid(name)]

    # Starting.

    def configure(self, options):
        """Chooses the ports and writes conf/ and cluster.json."""
        programs = fetch.programs(options.say)
        java = fetch.java_home()
        hadoop, spark = programs / "hadoop", pathlib.Path(options.spark_home or programs / "spark")
        for name in ("pids", "logs", "conf", "tmp", "name", "spark/local", "spark/work"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        ports = iter(free_ports(7 + 3 * options.datanodes + 2 * options.workers))
        rpc, web, master, master_ui, rest = (next(ports) for _ in range(5))
        user = pwd.getpwuid(os.getuid()).pw_name
        core = {"fs.defaultFS": f"hdfs://{HOST}:{rpc}", "hadoop.tmp.dir": str(self.folder / "tmp")}
        hdfs = {
            "dfs.namenode.name.dir": (self.folder / "name").as_uri(),
            "dfs.namenode.http-address": f"{HOST}:{web}",
            "dfs.replication": options.replication or min(options.datanodes, 3),
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.datanode.hostname": HOST,
            # A file is complete on one machine within milliseconds; the default first waits 400 ms to see it.
            "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": 10,
            # A lost DataNode is noticed within 12 seconds instead of 10 minutes.
            "dfs.heartbeat.interval": 1,
            "dfs.namenode.heartbeat.recheck-interval": 1000,
            "dfs.namenode.safemode.extension": 0,
        }
        if options.standby:
            # Both NameNodes write their edits into one shared folder; which of them is active is said with `hdfs haadmin`.
            hdfs |= {
                "dfs.nameservices": "cluster", "dfs.ha.namenodes.cluster": "namenode,standby",
                "dfs.client.failover.proxy.provider.cluster": "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
                "dfs.namenode.shared.edits.dir": (self.folder / "edits").as_uri(), "dfs.ha.fencing.methods": "shell(/bin/true)",
                "dfs.ha.tail-edits.period": 1,
            }
            for name, addresses in (("namenode", (rpc, web)), ("standby", (next(ports), next(ports)))):
                hdfs[f"dfs.namenode.rpc-address.cluster.{name}"] = f"{HOST}:{addresses[0]}"
                hdfs[f"dfs.namenode.http-address.cluster.{name}"] = f"{HOST}:{addresses[1]}"
                hdfs[f"dfs.namenode.name.dir.cluster.{name}"] = (self.folder / ("name" if name == "namenode" else "name-standby")).as_uri()
            core["fs.defaultFS"] = "hdfs://cluster"
            del hdfs["dfs.namenode.name.dir"], hdfs["dfs.namenode.http-address"]
        for setting in options.set:
            name, _, value = setting.partition("=")
            (core if name.startswith(("fs.", "hadoop.")) else hdfs)[name] = value
        self.write_site("core-site.xml", core)
        self.write_site("hdfs-site.xml", hdfs)
        (self.conf / "log4j.properties").write_text(
            "hadoop.root.logger=WARN,console\nlog4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR\nlog4j.rootLogger=${hadoop.root.logger}\n"
            "log4j.appender.console=org.apache.log4j.ConsoleAppender\nlog4j.appender.console.target=System.err\n"
            "log4j.appender.console.layout=org.apache.log4j.PatternLayout\n"
            "log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n\n", encoding="utf-8")
        (self.conf / "spark-defaults.conf").write_text(
            f"spark.driver.host {HOST}\nspark.driver.bindAddress {HOST}\nspark.eventLog.enabled false\n"
            # On YARN: no upload of Spark itself for each job, and its processes are as small as the others.
            f"spark.yarn.jars local:{spark}/jars/*\nspark.yarn.am.memory 256m\nspark.yarn.appMasterEnv.SPARK_LOCAL_IP {HOST}\n"
            f"spark.executorEnv.SPARK_LOCAL_IP {HOST}\n", encoding="utf-8")

        environment = {
            "CLUSTER_DIR": str(self.folder), "CLUSTER_USER": user, "JAVA_HOME": java,
            "HADOOP_HOME": str(hadoop), "HADOOP_CONF_DIR": str(self.conf),
            "CLUSTER_HDFS": core["fs.defaultFS"], "CLUSTER_WEBHDFS": f"{HOST}:{web}",
        }
        daemon = {"HADOOP_OPTS": "-XX:+UseSerialGC -Dhadoop.root.logger=INFO,console", "HADOOP_HEAPSIZE_MAX": "256m"}
        script = str(hadoop / "bin" / "hdfs")
        daemons = {"namenode": {"command": [script, "namenode"], "environment": daemon}}
        if options.standby:
            for name in ("namenode", "standby"):
                daemons[name] = {"command": [script, "namenode", "-D", f"dfs.ha.namenode.id={name}"], "environment": daemon}
            environment["CLUSTER_WEBHDFS_STANDBY"] = hdfs["dfs.namenode.http-address.cluster.standby"]
        for number in range(1, options.datanodes + 1):
            own = {"data.dir": (self.folder / f"data-{number}").as_uri(), "address": f"{HOST}:{next(ports)}",
                   "http.address": f"{HOST}:{next(ports)}", "ipc.address": f"{HOST}:{next(ports)}"}
            command = [script, "datanode"] + [word for key, value in own.items() for word in ("-D", f"dfs.datanode.{key}={value}")]
            daemons[f"datanode-{number}"] = {"command": command, "environment": daemon}
            environment[f"CLUSTER_DATANODE_{number}"] = own["http.address"]
        path = [str(hadoop / "bin")]
        if options.workers:
            path.append(str(spark / "bin"))
            environment |= {
                "SPARK_HOME": str(spark), "SPARK_CONF_DIR": str(self.conf), "SPARK_LOCAL_IP": HOST, "SPARK_LOCAL_DIRS": str(self.folder / "spark" / "local"),
                "SPARK_MASTER": f"spark://{HOST}:{master}", "SPARK_REST": f"{HOST}:{rest}", "SPARK_MASTER_UI": f"{HOST}:{master_ui}",
                "SPARK_MASTER_WEBUI_PORT": str(master_ui),
            }
            script = str(spark / "bin" / "spark-class")
            # The page's port, the REST port and SPARK_MASTER_PORT could also come from the caller's environment: these win.
            daemon = {"SPARK_DAEMON_MEMORY": "256m", "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
                      "SPARK_MASTER_OPTS": f"-Dspark.master.rest.enabled=true -Dspark.master.rest.host={HOST} -Dspark.master.rest.port={rest}"}
            command = [script, "org.apache.spark.deploy.master.Master", "--host", HOST, "--port", str(master), "--webui-port", str(master_ui)]
            daemons["master"] = {"command": command, "environment": daemon}
            for number in range(1, options.workers + 1):
                command = [script, "org.apache.spark.deploy.worker.Worker", "--host", HOST, "--port", str(next(ports)), "--webui-port", str(next(ports)),
                           "--cores", str(options.cores), "--memory", options.memory, "--work-dir", str(self.folder / "spark" / "work"),
                           environment["SPARK_MASTER"]]
                daemons[f"worker-{number}"] = {"command": command, "environment": daemon}
        environment["PATH"] = ":".join(path + [os.environ.get("PATH", "/usr/bin:/bin")])
        state = {"environment": environment, "daemons": daemons, "datanodes": options.datanodes, "workers": options.workers, "owner": options.owner}
        (self.folder / "cluster.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    def write_site(self, name, settings):
        lines = [f"  <property><name>{escape(key)}</name><value>{escape(str(value))}</value></property>" for key, value in settings.items()]
        text = '<?xml version="1.0"?>\n<configuration>\n' + "\n".join(lines) + "\n</configuration>\n"
        (self.conf / name).write_text(text, encoding="utf-8")

    def configure_yarn(self):
        """Adds a ResourceManager and a NodeManager of three cores to a cluster that was configured."""
        state = self.state
        ports = iter(free_ports(9))

        def address():
            return f"{HOST}:{next(ports)}"
        rpc, web = address(), address()
        self.write_site("yarn-site.xml", {
            "yarn.resourcemanager.hostname": HOST, "yarn.resourcemanager.address": rpc, "yarn.resourcemanager.scheduler.address": address(),
            "yarn.resourcemanager.resource-tracker.address": address(), "yarn.resourcemanager.admin.address": address(),
            "yarn.resourcemanager.webapp.address": web,
            "yarn.nodemanager.hostname": HOST, "yarn.nodemanager.address": address(), "yarn.nodemanager.localizer.address": address(),
            "yarn.nodemanager.webapp.address": address(),
            "yarn.nodemanager.local-dirs": str(self.folder / "yarn" / "local"), "yarn.nodemanager.log-dirs": str(self.folder / "yarn" / "logs"),
            "yarn.nodemanager.resource.memory-mb": 4096, "yarn.nodemanager.resource.cpu-vcores": 3, "yarn.scheduler.minimum-allocation-mb": 128,
            "yarn.nodemanager.vmem-check-enabled": "false",  # Java asks for far more than it uses
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": 100,
            "yarn.resourcemanager.am.max-attempts": 1,
        })
        self.write_site("capacity-scheduler.xml", {
            "yarn.scheduler.capacity.root.queues": "default", "yarn.scheduler.capacity.root.default.capacity": 100,
            "yarn.scheduler.capacity.maximum-am-resource-percent": 0.5,
            # Cores count, not only memory.
            "yarn.scheduler.capacity.resource-calculator": "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
        })
        script = str(pathlib.Path(state["environment"]["HADOOP_HOME"]) / "bin" / "yarn")
        for name in YARN:
            state["daemons"][name] = {"command": [script, name], "environment": state["daemons"]["namenode"]["environment"]}
        state["environment"] |= {"CLUSTER_YARN": rpc, "CLUSTER_YARN_UI": web}
        (self.folder / "cluster.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    def yarn(self, path):
        """Of the ResourceManager's REST service."""
        return get_json(f"http://{self.state['environment']['CLUSTER_YARN_UI']}/ws/v1/cluster/{path}")

    def wait_yarn(self, nodes=1, seconds=PATIENCE):
        def ready():
            # It takes jobs some time after its page is there.
            host, port = self.state["environment"]["CLUSTER_YARN"].split(":")
            socket.create_connection((host, int(port)), timeout=5).close()
            return self.yarn("metrics")["clusterMetrics"]["activeNodes"] >= nodes
        self.wait("YARN is not ready", ready, [name for name in YARN if self.pid(name)], seconds)

    def start_yarn(self):
        """Beside an HDFS that runs."""
        for attempt in range(3):
            try:
                if YARN[0] not in self.state["daemons"]:
                    self.configure_yarn()
                for name in YARN:
                    if not self.pid(name):
                        self.launch(name)
                self.wait_yarn()
                self.write_env()
                return
            except PortTaken:
                self.stop(YARN)
                if attempt == 2:
                    raise
                self.configure_yarn()

    def launch(self, name):
        """Starts one daemon, and returns before it is ready."""
        if self.pid(name):
            raise Failed(f"'{name}' already runs as process {self.pid(name)}")
        state = self.state
        daemon = state["daemons"][name]
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "HADOOP_"))}
        variables |= state["environment"] | daemon["environment"]
        with open(self.logs / f"{name}.log", "ab") as log:
            subprocess.Popen([sys.executable, str(fetch.HERE / "keeper.py"), str(self.folder), name, state["owner"] or "", *daemon["command"]],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=variables)
        limit = time.monotonic() + 20
        while not (self.pids / f"{name}.keeper").exists():
            if time.monotonic() > limit:
                raise Failed(f"'{name}' did not start: {self.tail(name)}")
            time.sleep(0.02)

    def tail(self, name):
        path = self.logs / f"{name}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        return f"see {path}\n" + "\n".join(lines[-12:])

    def wait(self, what, ready, names, seconds):
        """Polls `ready` until it is true; any of the daemons `names` that ends meanwhile is an error."""
        limit = time.monotonic() + seconds
        while True:
            try:
                if ready():
                    return
            except (OSError, ValueError, LookupError):
                pass
            for name in names:
                if not self.pid(name) and not keeper.read_pid(self.pids / f"{name}.keeper"):
                    text = self.tail(name)
                    raise (PortTaken if "Address already in use" in text or "BindException" in text else Failed)(f"'{name}' ended while starting: {text}")
            if time.monotonic() > limit:
                raise Failed(f"{what} after {seconds} s: " + "\n".join(self.tail(name) for name in names))
            time.sleep(0.1)

    def jmx(self, bean, name="namenode"):
        web = self.state["environment"]["CLUSTER_WEBHDFS" if name == "namenode" else "CLUSTER_WEBHDFS_STANDBY"]
        return get_json(f"http://{web}/jmx?qry=Hadoop:service=NameNode,name={bean}")["beans"][0]

    def datanode_ready(self, name):
        """By its own word: for the NameNode one that has just been killed is alive, and it gives files to it that then have a copy less."""
        web = self.state["environment"]["CLUSTER_" + name.upper().replace("-", "_")]
        info = get_json(f"http://{web}/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo")["beans"]
        actors = json.loads(info[0]["BPServiceActorInfo"]) if info else []
        return any(actor["ActorState"] == "RUNNING" and actor["BlockPoolID"] for actor in actors)

    def hdfs_ready(self, datanodes):
        if not all(self.datanode_ready(name) for name in self.running() if name.startswith("datanode")):
            return False
        state = self.jmx("FSNamesystemState")
        return state["NumLiveDataNodes"] - state.get("NumStaleDataNodes", 0) >= datanodes and state["FSState"] == "Operational"

    def master_state(self):
        return get_json(f"http://{self.state['environment']['SPARK_MASTER_UI']}/json/")

    def webhdfs(self, operation, path, method="GET", user=None, **more):
        """One request; the answer's JSON."""
        environment = self.state["environment"]
        query = urllib.parse.urlencode({"op": operation, "user.name": user or environment["CLUSTER_USER"]} | more)
        request = urllib.request.Request(f"http://{environment['CLUSTER_WEBHDFS']}/webhdfs/v1{urllib.request.pathname2url(path)}?{query}", method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return json.load(answer)

    def wait_hdfs(self, datanodes=None, seconds=PATIENCE):
        state = self.state
        wanted = state["datanodes"] if datanodes is None else datanodes
        names = ["namenode"] + [name for name in state["daemons"] if name.startswith("datanode") and self.pid(name)]
        self.wait("HDFS is not ready", lambda: self.hdfs_ready(wanted), names, seconds)

    def wait_spark(self, workers=None, seconds=PATIENCE):
        state = self.state
        wanted = state["workers"] if workers is None else workers
        names = ["master"] + [name for name in state["daemons"] if name.startswith("worker") and self.pid(name)]
        self.wait("Spark is not ready", lambda: self.master_state()["aliveworkers"] >= wanted, names, seconds)

    def format(self):
        if (self.folder / "name" / "current" / "VERSION").exists():
            return
        command = self.state["daemons"]["namenode"]["command"] + ["-format", "-nonInteractive"]
        done = subprocess.run(command, env=self.quick_environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise Failed("the NameNode's folder could not be formatted:\n" + "\n".join(done.stdout.splitlines()[-12:]))
        if "standby" in self.state["daemons"]:
            shutil.copytree(self.folder / "name", self.folder / "name-standby")

    def start(self, options):
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / "cluster.json").exists() and self.running():
            raise Failed(f"a cluster already runs in '{self.folder}'; end it with: cluster.py stop {self.folder}")
        for attempt in range(3):
            try:
                self.configure(options)
                self.format()
                names = list(self.state["daemons"])
                for name in names:
                    if not name.startswith("worker"):
                        self.launch(name)
                if options.workers:
                    self.wait("the Spark master is not ready", self.master_state, ["master"], PATIENCE)
                    for name in names:
                        if name.startswith("worker"):
                            self.launch(name)
                if options.standby:
                    self.wait("the NameNodes are not ready", lambda: self.jmx("NameNodeStatus") and self.jmx("NameNodeStatus", "standby"),
                              ["namenode", "standby"], PATIENCE)
                    self.activate("namenode")
                self.wait_hdfs()
                if options.workers:
                    self.wait_spark()
                if not options.no_home:
                    self.webhdfs("MKDIRS", f"/user/{self.state['environment']['CLUSTER_USER']}", "PUT")
                if options.yarn:
                    self.start_yarn()
                self.write_env()
                return
            except PortTaken:
                self.stop()
                if attempt == 2:
                    raise
            except BaseException:
                if (self.folder / "cluster.json").exists():
                    self.stop()
                raise

    def write_env(self):
        part = self.folder / "env.part"
        part.write_text("".join(f"export {key}={shlex.quote(value)}\n" for key, value in self.environment().items()), encoding="utf-8")
        part.rename(self.folder / "env")

    # One daemon, as a test wants it.

    def again(self, name):
        """Starts a daemon that ended, at its old ports."""
        limit = time.monotonic() + 40
        while keeper.read_pid(self.pids / f"{name}.keeper") and time.monotonic() < limit:
            time.sleep(0.05)
        self.launch(name)
        self.write_env()

    def activate(self, name):
        """Of two NameNodes, makes this one the active one; the other has to be on standby, or gone (which is why it is forced)."""
        done = subprocess.run(["hdfs", "haadmin", "-transitionToActive", "--forceactive", name], env=self.quick_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise Failed(f"'{name}' did not become active:\n{done.stdout[-2000:]}")

    def signal(self, name, number):
        pid = self.pid(name)
        if not pid:
            raise Failed(f"'{name}' does not run")
        os.kill(pid, number)

    def kill(self, name):
        """kill -9; returns when the daemon and its keeper are gone."""
        self.signal(name, signal.SIGKILL)
        limit = time.monotonic() + 40
        while self.pid(name) and time.monotonic() < limit:
            time.sleep(0.02)

    def stop(self, names=None):
        """Ends the daemons (all by default) and what they started."""
        names = list(self.state["daemons"]) if names is None else names
        keepers = [pid for pid in (keeper.read_pid(self.pids / f"{name}.keeper") for name in names) if pid]
        for pid in keepers:
            os.kill(pid, signal.SIGTERM)
        limit = time.monotonic() + 30
        while any(keeper.read_pid(self.pids / f"{name}.keeper") for name in names) and time.monotonic() < limit:
            time.sleep(0.05)
        left = [name for name in names if keeper.read_pid(self.pids / f"{name}.keeper")]
        if left:
            raise Failed(f"still running after 30 s: {', '.join(left)}")


def options_parser():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start the servers, return when they are ready")
    start.add_argument("folder", metavar="DIR")
    start.add_argument("--datanodes", type=int, default=1)
    start.add_argument("--replication", type=int, default=0, help="default: the number of DataNodes, 3 at most")
    start.add_argument("--workers", type=int, default=1, help="Spark workers; 0: no Spark")
    start.add_argument("--cores", type=int, default=2, help="of each worker")
    start.add_argument("--memory", default="2g", help="of each worker")
    start.add_argument("--yarn", action="store_true", help="a YARN ResourceManager and NodeManager")
    start.add_argument("--standby", action="store_true", help="a second NameNode, on standby")
    start.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of core-site.xml or hdfs-site.xml")
    start.add_argument("--spark-home", default=os.environ.get("BRAINMRI_CLUSTER_SPARK_HOME"), help="another Spark than the one from Maven Central")
    start.add_argument("--no-home", action="store_true", help="do not make /user/NAME")
    start.add_argument("--owner", type=int, default=0, metavar="PID", help="end the servers when this process is gone")
    for name, text in (("stop", "end the servers"), ("env", "print the variables of a client, for eval"), ("status", "print what runs"),
                       ("delete", "end the servers and delete DIR")):
        commands.add_parser(name, help=text).add_argument("folder", metavar="DIR")
    one = commands.add_parser("daemon", help="act on one daemon")
    one.add_argument("folder", metavar="DIR")
    one.add_argument("action", choices=("kill", "stop", "start", "freeze", "thaw"))
    one.add_argument("name", help="namenode, datanode-1, master, worker-1, resourcemanager, ...")
    commands.add_parser("fetch", help="only fetch the programs")
    commands.add_parser("check", help=f"exit code {UNAVAILABLE} and the reason when Java or Maven is missing")
    return parser


def parse(words):
    options = options_parser().parse_args(words)
    options.say = lambda text: print(text, file=sys.stderr, flush=True)
    if options.command == "start":
        options.owner = f"{options.owner} {keeper.birth(options.owner)}" if options.owner else None
    return options


def start(folder, *words):
    """For tests: start(DIR, "--datanodes", "2") is a running Cluster that ends with this process."""
    cluster = Cluster(folder)
    cluster.start(parse(["start", str(folder), "--owner", str(os.getpid()), *words]))
    return cluster


def show(cluster):
    state = cluster.state
    for name in state["daemons"]:
        print(f"{name:12} {'process ' + str(cluster.pid(name)) if cluster.pid(name) else 'ended'}")
    environment = state["environment"]
    print(f"HDFS         {environment['CLUSTER_HDFS']}  page http://{environment['CLUSTER_WEBHDFS']}/")
    if "SPARK_MASTER" in environment:
        print(f"Spark        {environment['SPARK_MASTER']}  page http://{environment['SPARK_MASTER_UI']}/")
    if "CLUSTER_YARN_UI" in environment:
        print(f"YARN         page http://{environment['CLUSTER_YARN_UI']}/")


def main():
    options = parse(sys.argv[1:])
    if options.command == "fetch":
        print(fetch.programs(options.say))
        return 0
    if options.command == "check":
        fetch.java_home()
        if not shutil.which("mvn") and not (fetch.cache_folder() / fetch.key()).is_dir():
            raise fetch.Unavailable("no Maven (mvn is not on PATH)")
        return 0
    cluster = Cluster(options.folder)
    if options.command == "start":
        cluster.start(options)
        show(cluster)
    elif options.command in ("stop", "delete"):
        cluster.stop()
        if options.command == "delete":
            shutil.rmtree(cluster.folder)
    elif options.command == "env":
        print("".join(f"export {key}={shlex.quote(value)}\n" for key, value in cluster.environment().items()), end="")
    elif options.command == "status":
        show(cluster)
    elif options.action == "kill":
        cluster.kill(options.name)
    elif options.action == "stop":
        cluster.stop([options.name])
    elif options.action == "start":
        cluster.again(options.name)
    else:
        cluster.signal(options.name, signal.SIGSTOP if options.action == "freeze" else signal.SIGCONT)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except fetch.Unavailable as reason:
        print(f"cluster: {reason}", file=sys.stderr)
        sys.exit(UNAVAILABLE)
    except Failed as reason:
        print(f"cluster: {reason}", file=sys.stderr)
        sys.exit(1)
