#!/usr/bin/env python3
"""Upload into a real HDFS, beside `hdfs dfs -put`: the same files, the same servers, in turn, because only ratios of one run count.

usage: hdfs.py PROGRAM DATA [--files N] [--rounds N] [--values]

Starts a NameNode and a DataNode of its own (tests/servers). Times are of the whole commands, Java's start included, as a user waits for them;
Java's start alone is measured too. Exit code 77: no Java or Maven here.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))
import cluster  # noqa: E402
import fetch  # noqa: E402


def subset(data, files, folder):
    """Links to the first files of every class, `files` in all; the whole folder when it has no more."""
    classes = sorted(path for path in data.iterdir() if path.is_dir())
    lists = [sorted(one for one in path.iterdir() if not one.name.startswith(".")) for path in classes]
    total = sum(len(one) for one in lists)
    wanted = min(files or total, total)
    taken = 0
    for path, images in zip(classes, lists):
        (folder / path.name).mkdir(parents=True)
        share = wanted - taken if path == classes[-1] else wanted * len(images) // total
        for image in images[:share]:
            shutil.copy(image, folder / path.name / image.name)
            taken += 1
    return taken


class Bench:
    def __init__(self, program, folder, environment):
        self.program, self.folder, self.environment = program, folder, environment
        self.seconds = {}

    def run(self, name, *command):
        start = time.monotonic()
        done = subprocess.run([str(word) for word in command], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        took = time.monotonic() - start
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
        if name:
            self.seconds.setdefault(name, []).append(took)
            print(f"  {name}: {took:.1f} s", file=sys.stderr, flush=True)
        return done.stdout

    def brainmri(self, name, *arguments):
        return self.run(name, self.program, "data", *arguments, "--quiet", "--json")

    def round(self, number, images):
        root = self.environment["CLUSTER_HDFS"] + f"/bench/{number}"
        self.run(None, "hdfs", "dfs", "-mkdir", "-p", root)
        work = [
            ("hdfs dfs -put", lambda name: self.run(name, "hdfs", "dfs", "-put", self.folder, f"{root}/put")),
            ("brainmri data put", lambda name: self.brainmri(name, "put", self.folder, f"{root}/own")),
            ("hdfs dfs -put -t 8", lambda name: self.run(name, "hdfs", "dfs", "-put", "-t", "8", self.folder, f"{root}/put8")),
            ("brainmri data put --no-verify", lambda name: self.brainmri(name, "put", self.folder, f"{root}/fast", "--no-verify")),
            ("brainmri data pack", lambda name: self.brainmri(name, "pack", self.folder, f"{root}/set.zip")),
            ("Java's start (hdfs dfs -ls)", lambda name: self.run(name, "hdfs", "dfs", "-ls", root)),
        ]
        for name, function in work if number % 2 else work[::-1]:
            function(name)
        for place in ("put", "own", "fast", "put8", "set.zip"):
            answer = json.loads(self.brainmri(None, "verify", self.folder, f"{root}/{place}")) if number == 1 else None
            if answer and answer["equal"] != images:
                sys.exit(f"{root}/{place} is not what was sent: {answer}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=0, help="how many of them; 0: all")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--values", action="store_true", help="print 'NAME FILES_A_SECOND' for each measurement, for scripts/bench.sh")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brainmri-bench-") as scratch:
        folder = pathlib.Path(scratch) / "set"
        images = subset(options.data, options.files, folder)
        try:
            servers = cluster.start(pathlib.Path(scratch) / "cluster", "--datanodes", "1", "--workers", "0")
        except fetch.Unavailable as error:
            print(f"bench of HDFS skipped: {error}", file=sys.stderr)
            return 77
        try:
            bench = Bench(os.path.abspath(options.program), folder, servers.client_environment())
            warm = pathlib.Path(scratch) / "warm"
            subset(options.data, 200, warm)
            root = bench.environment["CLUSTER_HDFS"] + "/warm"
            bench.run(None, bench.program, "data", "put", warm, root, "-q")  # the servers' own compilation
            for number in range(1, options.rounds + 1):
                bench.round(number, images)
        finally:
            servers.stop()
    if options.values:
        for name, key in (("brainmri data put", "brainmri.put"), ("brainmri data put --no-verify", "brainmri.fast"), ("brainmri data pack", "brainmri.pack"), ("hdfs dfs -put", "fsshell.put"),
                          ("hdfs dfs -put -t 8", "fsshell.put8")):
            for value in bench.seconds[name]:
                print(key, images / value)
        return 0
    middle = {name: statistics.median(values) for name, values in bench.seconds.items()}
    base = middle["hdfs dfs -put"]
    print(f"{images} files, {options.rounds} round(s), load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, value in middle.items():
        print(f"{name:32} {value:8.1f} s {images / value:8.1f} files/s {base / value:6.2f} x hdfs dfs -put")
    return 0


if __name__ == "__main__":
    sys.exit(main())
