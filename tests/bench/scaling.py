#!/usr/bin/env python3
"""The bench of phase 10 on real images: one by one against Spark local[2], local[4] and local[*], and PySpark beside it, in turn.

usage: scaling.py PROGRAM DATA [--hdfs] [--rounds N] [--values]

Each round runs `brainmri bench DATA --sample 0 --master 'local[*]'` over all images and, at each of its settings, shared/peers' PySpark with
Pillow over the same files on the same Spark. Of both the fastest of three counts, after one more that does not, in which Java compiles its
code; Spark's start never does. With --hdfs the images are read from a NameNode and a DataNode of its own (tests/servers) as well; PySpark's
script reads files of this machine only.
Needs the jar ('make spark'), Java and the peers' environment (BRAINMRI_PEERS, shared/peers/setup.sh). Exit code 77: one is missing.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "servers"))
import cluster  # noqa: E402
import fetch  # noqa: E402

SHARED = pathlib.Path(os.environ.get("BRAINMRI_SHARED") or HERE.parents[2] / "shared")
PYTHON = pathlib.Path(os.environ.get("BRAINMRI_PEERS") or pathlib.Path.home() / ".cache" / "brainmri-peers") / "keras" / "bin" / "python"
MASTERS = ("local[2]", "local[4]", "local[*]")


class Missing(Exception):
    """Something that the bench needs is not here."""


def peer(folder):
    """The peer's script with the master as its second argument, and its job done as often as ours."""
    path = SHARED / "peers" / "pyspark_preprocess.py"
    if not path.is_file():
        raise Missing(f"no {path}")
    text = path.read_text(encoding="utf-8")
    job = re.search(r"^    done = sum\(spark.*\n", text, re.MULTILINE)
    if not job or text.count('"local[2]"') != 1:
        raise Missing(f"{path} is not the script that this bench knows")
    again = ("    times = []\n    for _ in range(4):\n        ready = time.time()\n    " + job[0] + "        times.append(time.time() - ready)\n"
             "    ready = time.time() - min(times[1:])\n")
    text = text.replace('"local[2]"', "sys.argv[2]").replace(job[0], again)
    (folder / "peer.py").write_text(text, encoding="utf-8")
    return folder / "peer.py"


def spark_home():
    """Of the Spark that PySpark brings."""
    try:
        done = subprocess.run([PYTHON, "-c", "import os, PIL, pyspark; print(os.path.dirname(pyspark.__file__))"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing(f"no PySpark with Pillow in {PYTHON} ({SHARED}/peers/setup.sh makes it)") from error
    return done.stdout.strip()


class Bench:
    def __init__(self, program, environment):
        self.program, self.environment = program, environment
        self.rates = {}  # by (who, setting), images/s
        self.images = 0

    def run(self, *command):
        done = subprocess.run([str(word) for word in command], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout)[-2000:]}")
        return done.stdout

    def value(self, who, setting, rate):
        self.rates.setdefault((who, setting), []).append(rate)
        print(f"  {who} {setting}: {rate:.0f} images/s", file=sys.stderr, flush=True)

    def own(self, who, data):
        answer = json.loads(self.run(self.program, "bench", data, "--sample", "0", "--master", "local[*]", "--json", "--quiet"))
        result = answer["phases"][-1]["result"]
        self.images = result["sample"]
        for setting, name in zip(result["settings"], ("sequential", *MASTERS)):
            if name != "sequential" and setting["name"] != f"Spark {name}":
                sys.exit(f"a setting that this bench does not know: {setting}")
            self.value(who, name, self.images / setting["seconds"])

    def pyspark(self, script, data):
        for master in MASTERS:
            said = self.run(PYTHON, script, data, master)
            found = re.search(r"pyspark (\d+) images: (\d+) images/s", said)
            if not found or int(found[1]) != self.images:
                sys.exit(f"PySpark did not do the same {self.images} images: {said}")
            self.value("pyspark", master, float(found[2]))

    def best(self, who, setting):
        return max(self.rates.get((who, setting), [0]))


@contextlib.contextmanager
def hdfs(bench, data, scratch):
    """The address of the images in an HDFS that ends with this context."""
    servers = cluster.start(scratch / "cluster", "--datanodes", "1", "--workers", "0")
    try:
        bench.environment |= {key: value for key, value in servers.environment().items() if key.startswith(("CLUSTER_", "HADOOP_"))}
        url = f"{bench.environment['CLUSTER_HDFS']}/user/{bench.environment['CLUSTER_USER']}/bench"
        bench.run(bench.program, "data", "put", data, url, "--quiet")
        yield url
    finally:
        servers.stop()


def table(bench, on_hdfs, rounds):
    print(f"{bench.images} images, best of {rounds} round(s), load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; images/s, Spark's start not counted")
    print(f"{'':12}{'brainmri':>10}{'speedup':>9}{'PySpark':>10}{'ratio':>8}" + (f"{'from HDFS':>12}{'speedup':>9}" if on_hdfs else ""))
    for setting in ("sequential", *MASTERS):
        own, other = bench.best("brainmri", setting), bench.best("pyspark", setting)
        line = f"{setting:12}{own:10.0f}{own / bench.best('brainmri', 'sequential'):8.2f}x"
        line += f"{other:10.0f}{own / other:7.1f}x" if other else f"{'':18}"
        if on_hdfs:
            far = bench.best("brainmri.hdfs", setting)
            line += f"{far:12.0f}{far / bench.best('brainmri.hdfs', 'sequential'):8.2f}x"
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--hdfs", action="store_true", help="also with the images in HDFS")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--values", action="store_true", help="print 'NAME SETTING IMAGES_A_SECOND' for each measurement, for scripts/bench.sh")
    options = parser.parse_args()
    data = options.data.resolve()
    with tempfile.TemporaryDirectory(prefix="brainmri-scaling-") as scratch:
        scratch = pathlib.Path(scratch)
        try:
            script = peer(scratch)
            own = {"SPARK_HOME": spark_home(), "JAVA_HOME": fetch.java_home(), "PYSPARK_PYTHON": str(PYTHON), "SPARK_LOCAL_IP": "127.0.0.1"}
            bench = Bench(os.path.abspath(options.program), os.environ | own)
            with hdfs(bench, data, scratch) if options.hdfs else contextlib.nullcontext() as url:
                for _ in range(options.rounds):
                    bench.own("brainmri", data)
                    if url:
                        bench.own("brainmri.hdfs", url)
                    bench.pyspark(script, data)
        except (Missing, fetch.Unavailable) as error:
            print(f"bench of phase 10 skipped: {error}", file=sys.stderr)
            return 77
    if options.values:
        for (who, setting), rates in bench.rates.items():
            for rate in rates:
                print(who, setting, rate)
    else:
        table(bench, options.hdfs, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
