"""What the documents say of the command line is true: commands, options, files and links that they name are there."""
import pathlib
import re
import shlex
import subprocess
import unittest

from program import PROGRAM

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md")), *sorted(TOP.glob("[em]*/**/*.md")),
             *sorted(TOP.glob("tests/*/README.md"))]
HELP = {}


def answer(*words):
    return subprocess.run([PROGRAM, *words, "--help"], capture_output=True, text=True, timeout=60)


def help_of(*command):
    if command not in HELP:
        HELP[command] = answer(*command).stdout
    return HELP[command]


def commands():
    return re.findall(r"^  ([a-z]+) ", help_of().split("Commands:\n")[1].split("\nOptions:")[0], re.M)


def anchors(path):
    """What a heading is called in a link, as GitHub does it."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", path.read_text(), re.M)}


class Documents(unittest.TestCase):
    def test_commands_and_options(self):
        known = commands()
        found = 0
        for path in DOCUMENTS:
            # In code: `brainmri run DATA --out RUN`, or a line of a block that begins with it.
            for line in re.findall(r"(?:`|^    (?:\$ )?)brainmri ([a-z]+(?:\\\n|[^`\n#])*)", path.read_text(), re.M):
                words = shlex.split(re.split(r"[<>&;]|\s\|\s", line.replace("\\\n", " "))[0])
                with self.subTest(document=path.name, line=line):
                    self.assertIn(words[0], known)
                    # With --help the parser takes the whole line and nothing is done. DATA, N or ... is no value for it, a mention may end
                    # at an option that wants one: then the names only.
                    done = answer(*words)
                    if any(re.search(r"^[A-Z|:,]+$|\.\.\.", word) for word in words) or words[-1].startswith("--"):
                        for option in re.findall(r"(?<=\s)--([a-z][a-z-]*)", line):
                            self.assertRegex(help_of(words[0]), rf"--{option}\b")
                    else:
                        self.assertEqual((done.returncode, done.stderr), (0, ""))
                    found += 1
        self.assertGreater(found, 50)

    def test_every_command_is_in_the_user_guide(self):
        guide = (TOP / "docs" / "user-guide.md").read_text()
        for command in commands():
            if command != "worker":  # not for people
                self.assertIn(f"brainmri {command}", guide)

    def test_links_and_files(self):
        for path in DOCUMENTS:
            for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", path.read_text()):
                if "://" in target:
                    continue
                with self.subTest(document=path.name, link=f"{target}#{anchor}"):
                    self.assertTrue((path.parent / target).exists())
                    if anchor:
                        self.assertIn(anchor, anchors(path.parent / target if target else path))

    def test_files_of_the_source(self):
        found = 0
        for path in DOCUMENTS:
            for name in re.findall(r"`((?:cli|debian|docs|examples|include|models|notebook|scripts|spark|src|tests)/[\w./-]*)`", path.read_text()):
                with self.subTest(document=path.name):
                    self.assertTrue((TOP / name).exists(), name)
                    found += 1
        self.assertGreater(found, 5)

    def test_make_targets(self):
        makefile = (TOP / "Makefile").read_text()
        for path in DOCUMENTS:
            for target in re.findall(r"(?:`|^    )make ([a-z-]+)", path.read_text(), re.M):
                self.assertRegex(makefile, rf"(?m)^{target}:", f"{path.name}: make {target}")


if __name__ == "__main__":
    unittest.main()
