"""Runs the program in a folder of its own, on phantoms that are made once."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

PROGRAM = os.environ.get("BRAINMRI", "build/cli/brainmri")
PROGRAM = str(pathlib.Path(PROGRAM).resolve())
# A network and a plan that take seconds. One thread: small work on busy cores only waits with more.
SMALL = "--plan scratch --width 0.125 --image-size 32 --epochs 3 --batch 16 --threads 1".split()


class Case(unittest.TestCase):
    count = 12  # phantoms per class

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="brainmri-cli-"))
        cls.call(cls, "phantom", "data", "--count", str(cls.count), "--size", "48", "--seed", "3")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def call(self, *arguments, code=0, **options):
        """The program's outcome; fails the test when the exit code is another."""
        done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=300, **options)
        if done.returncode != code:
            raise AssertionError(f"brainmri {' '.join(map(str, arguments))}: exit code {done.returncode}, not {code}\n"
                                 f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def json(self, *arguments):
        return json.loads(self.call(*arguments, "--json").stdout)

    def read(self, name):
        return (self.folder / name).read_bytes()

    def load(self, name):
        return json.loads(self.read(name))

    def result(self, answer, name):
        """The numbers of one phase out of a --json answer."""
        return next(p["result"] for p in answer["phases"] if p["name"] == name)
