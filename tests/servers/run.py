#!/usr/bin/env python3
"""Runs the cluster tests. Without Java or Maven each is named as skipped. usage: run.py [-k PART_OF_A_NAME]..."""

import argparse
import os
import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import case  # noqa: E402
import cluster  # noqa: E402
import fetch  # noqa: E402


def each(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from each(one)
        else:
            yield one


class Result(unittest.TextTestResult):
    """Names every test with its time."""

    passed = 0

    def startTest(self, test):
        unittest.TestResult.startTest(self, test)
        self.began = time.monotonic()

    def line(self, word, test, more=""):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        self.stream.writeln(f"{word:8} {seconds:6.1f} s  {test.id() if hasattr(test, 'id') else test}{more}")
        self.stream.flush()

    def tell(self, test, err):
        """At once, not at the end: a run may be cut off."""
        self.line("FAILED", test)
        self.stream.writeln(self._exc_info_to_string(err, test))

    def printErrors(self):
        self.stream.writeln()

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.passed += 1
        self.line("passed", test)

    def addFailure(self, test, err):
        unittest.TestResult.addFailure(self, test, err)
        self.tell(test, err)

    def addError(self, test, err):
        unittest.TestResult.addError(self, test, err)
        self.tell(test, err)

    def addSkip(self, test, reason):
        unittest.TestResult.addSkip(self, test, reason)
        self.line("skipped", test, f": {reason}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", action="append", default=[], help="only the tests with this in their names")
    options = parser.parse_args()
    suite = unittest.defaultTestLoader.discover(str(HERE), pattern="test_*.py")
    tests = [test for test in each(suite) if not options.k or any(part in test.id() for part in options.k)]
    broken = [test for test in tests if isinstance(test, unittest.loader._FailedTest)]  # pylint: disable=protected-access
    if not broken:
        try:
            fetch.programs(lambda text: print(text, flush=True))
        except fetch.Unavailable as reason:
            for test in tests:
                print(f"skipped  {test.id()}: {reason}")
            print(f"0 passed, 0 failed, {len(tests)} skipped")
            return 0 if tests else 1
    if not os.access(case.PROGRAM, os.X_OK):
        print(f"run.py: no program at '{case.PROGRAM}'; build it, or set BRAINMRI")
        return 1
    try:
        result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=0).run(unittest.TestSuite(tests))
    finally:
        try:
            case.Cluster.end()
        except cluster.Failed as error:
            print(f"run.py: {error}")
    # What failed outside of a test (a server that did not start) has no test of its own but is a failure.
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print(f"{result.passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if not failed and result.passed + skipped else 1


if __name__ == "__main__":
    sys.exit(main())
