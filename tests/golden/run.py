#!/usr/bin/env python3
"""Runs golden command lines (README.md). Exit code: 0 all as expected, 1 not, 77 skipped (Meson's convention)."""
import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

SKIP = 77
STREAM_CHECKS = {"", "-not", "-is", "-empty", "-json"}


class CaseError(Exception):
    """The case itself is wrong."""


class Skip(Exception):
    """What the case needs is not here."""


def parse(text, variables):
    """-> list of steps (kind, command, [(directive, value, line number)]), list of needed paths"""
    steps, needs = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise CaseError(f"line {number}: no directive: {line}")
        value = value.removeprefix(" ")
        for variable, content in variables.items():
            value = value.replace("{" + variable + "}", content)
        stream, dash, check = name.partition("-")
        known = name in ("stdin", "environment", "exit", "file", "no-file", "within") or (
            stream in ("stdout", "stderr") and dash + check in STREAM_CHECKS
        )
        if name in ("run", "shell"):
            steps.append((name, value, []))
        elif name == "needs" and not steps:
            needs.append(value)
        elif not known:
            raise CaseError(f"line {number}: unknown directive '{name}'")
        elif not steps:
            raise CaseError(f"line {number}: '{name}' before the first step")
        else:
            steps[-1][2].append((name, value, number))
    if not steps:
        raise CaseError("no step")
    return steps, needs


def look_up(value, path):
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def check_stream(text, check, value):
    """-> what is wrong, or None"""
    if check == "-empty":
        return None if text == "" else "is not empty"
    if check == "-is":
        return None if value in text.splitlines() else f"has no line '{value}'"
    if check == "-json":
        try:
            found = json.loads(text)
        except ValueError as error:
            return f"is not JSON: {error}"
        if not value:
            return None
        key, _, wanted = value.partition("=")
        try:
            found = look_up(found, key)
        except (KeyError, IndexError, TypeError, ValueError):
            return f"has no '{key}'"
        return None if found == json.loads(wanted) else f"has {key} = {json.dumps(found)}, not {wanted}"
    found = re.search(value, text, re.MULTILINE) is not None
    if check == "-not":
        return f"has /{value}/" if found else None
    return None if found else f"has no /{value}/"


def run_step(kind, command, directives, program, folder):
    """-> list of what is wrong"""
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    standard_input, code, limit = "", 0, 300.0
    for name, value, _ in directives:
        if name == "environment":
            key, _, content = value.partition("=")
            environment[key] = content
        elif name == "stdin":
            standard_input += value + "\n"
        elif name == "exit":
            code = int(value)
    arguments = ["sh", "-c", command] if kind == "shell" else [program] + shlex.split(command)
    start = time.monotonic()
    try:
        done = subprocess.run(arguments, cwd=folder, env=environment, input=standard_input.encode(),
                              capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return [f"still ran after {limit:.0f} s"]
    seconds = time.monotonic() - start
    streams = {"stdout": done.stdout.decode(errors="backslashreplace"),
               "stderr": done.stderr.decode(errors="backslashreplace")}
    wrong = []
    if done.returncode != code:
        wrong.append(f"exit code {done.returncode}, not {code}")
    for name, value, number in directives:
        stream, dash, check = name.partition("-")
        problem = None
        if stream in streams:
            problem = check_stream(streams[stream], dash + check, value)
            problem = problem and f"{stream} {problem}"
        elif name == "file":
            path = os.path.join(folder, value)
            if not os.path.isfile(path) or os.path.getsize(path) == 0:
                problem = f"no file '{value}', or an empty one"
        elif name == "no-file" and os.path.lexists(os.path.join(folder, value)):
            problem = f"there is a '{value}'"
        elif name == "within" and seconds > float(value):
            problem = f"took {seconds:.2f} s, more than {value} s"
        if problem:
            wrong.append(f"line {number}: {problem}")
    if wrong:
        for stream, text in streams.items():
            wrong += [f"--- {stream} ---"] + text.splitlines()[-60:]
    return wrong


def run_case(path, program, variables):
    """-> list of what is wrong; raises Skip or CaseError"""
    with open(path, encoding="utf-8") as file:
        steps, needs = parse(file.read(), variables)
    for need in needs:
        if not os.path.exists(need):
            raise Skip(f"'{need}' is not here")
    folder = tempfile.mkdtemp(prefix="brainmri-golden-")
    try:
        for kind, command, directives in steps:
            wrong = run_step(kind, command, directives, program, folder)
            if wrong:
                return [f"{kind}: {command}"] + ["  " + line for line in wrong]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--source", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    parser.add_argument("cases", nargs="+")
    options = parser.parse_args()
    program, source = os.path.abspath(options.program), os.path.abspath(options.source)
    shared = os.environ.get("BRAINMRI_SHARED") or os.path.join(os.path.dirname(source), "shared")
    variables = {"program": program, "source": source, "shared": shared}
    failed = skipped = 0
    for path in options.cases:
        try:
            wrong = run_case(path, program, variables)
        except Skip as reason:
            print(f"skipped {path}: {reason}")
            skipped += 1
            continue
        except CaseError as error:
            wrong = [str(error)]
        print(f"{'FAILED' if wrong else 'ok'} {path}")
        for line in wrong:
            print("  " + line)
        failed += bool(wrong)
    if failed:
        return 1
    return SKIP if skipped == len(options.cases) else 0


if __name__ == "__main__":
    sys.exit(main())
