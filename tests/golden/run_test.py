#!/usr/bin/env python3
"""The runner must fail when it should: each expectation is tried on `sh`, once right and once wrong."""
import os
import subprocess
import sys
import tempfile

RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")

# case text, exit code of the runner
CASES = [
    ("run: -c 'echo one; echo two'\nstdout: ^two$\nstdout-is: one\nstdout-not: three\nstderr-empty:", 0),
    ("run: -c 'echo one'\nstdout: ^two$", 1),
    ("run: -c 'echo one two'\nstdout-is: one", 1),
    ("run: -c 'echo one'\nstdout-not: one", 1),
    ("run: -c 'echo one >&2'\nstderr-empty:", 1),
    ("run: -c 'echo one >&2'\nstderr: one\nstdout-empty:", 0),
    ("run: -c 'exit 3'\nexit: 3", 0),
    ("run: -c 'exit 3'", 1),
    ("run: -c true\nexit: 1", 1),
    ("run: -c 'kill -9 $$'", 1),
    ("run: -c 'echo {\"a\":[1,{\"b\":2}]}'", 0),
    ("run: -c 'echo \"{\\\"a\\\":[1,{\\\"b\\\":2}]}\"'\nstdout-json: a.1.b=2", 0),
    ("run: -c 'echo \"{\\\"a\\\":1}\"'\nstdout-json: a=2", 1),
    ("run: -c 'echo \"{\\\"a\\\":1}\"'\nstdout-json: b=1", 1),
    ("run: -c 'echo 1 2'\nstdout-json:", 1),
    ("run: -c 'echo x > f'\nfile: f\nno-file: g\nshell: cat f\nstdout-is: x", 0),
    ("run: -c true\nfile: f", 1),
    ("run: -c '> f'\nfile: f", 1),
    ("run: -c '> f'\nno-file: f", 1),
    ("run: -c 'sleep 0.2'\nwithin: 0.1", 1),
    ("run: -c cat\nstdin: a b\nstdout-is: a b", 0),
    ("run: -c 'echo $V'\nenvironment: V=7\nstdout-is: 7", 0),
    ("run: -c false\nexit: 1\nrun: -c false", 1),
    ("# nothing\n", 1),
    ("run: -c true\nstdotu: x", 1),
    ("stdout: x\nrun: -c true", 1),
    ("needs: /no/such/path\nrun: -c false", 77),
]


def main():
    wrong = 0
    for text, expected in CASES:
        with tempfile.NamedTemporaryFile("w", suffix=".case") as file:
            file.write(text)
            file.flush()
            done = subprocess.run([sys.executable, RUNNER, "--program", "/bin/sh", file.name], capture_output=True,
                                  text=True, check=False)
        if done.returncode != expected:
            print(f"exit code {done.returncode}, not {expected}, for:\n{text}\n{done.stdout}{done.stderr}")
            wrong += 1
    print(f"{len(CASES) - wrong} of {len(CASES)} as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
