"""What the documents say of the command line is true: commands, options, files and links that they name are there."""
import pathlib
import re
import subprocess
import unittest

from program import PROGRAM

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md"))]
HELP = {}


def help_of(*command):
    if command not in HELP:
        HELP[command] = subprocess.run([PROGRAM, *command, "--help"], capture_output=True, text=True, timeout=60).stdout
    return HELP[command]


class Documents(unittest.TestCase):
    def test_commands_and_options(self):
        known = re.findall(r"^  ([a-z]+) ", help_of().split("Commands:\n")[1].split("\nOptions:")[0], re.M)
        found = 0
        for path in DOCUMENTS:
            # In code: `brainmri run DATA --out RUN`, or a line of a block that begins with it.
            for line in re.findall(r"(?:`|^    (?:\$ )?)brainmri ([a-z]+(?:[^`\n#]|\\\n)*)", path.read_text(), re.M):
                command = line.split()[0]
                with self.subTest(document=path.name, line=line):
                    self.assertIn(command, known)
                    for option in re.findall(r"(?<=\s)--([a-z][a-z-]*)", line):
                        self.assertRegex(help_of(command), rf"--{option}\b")
                    found += 1
        self.assertGreater(found, 20)

    def test_every_command_is_in_the_user_guide(self):
        guide = (TOP / "docs" / "user-guide.md").read_text()
        for command in ("run", "environment", "phantom", "explore", "classes", "preprocess", "model", "train", "evaluate", "predict", "bench",
                        "report", "export"):
            self.assertIn(f"brainmri {command}", guide)

    def test_links_and_files(self):
        for path in DOCUMENTS:
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
                if "://" not in target:
                    self.assertTrue((path.parent / target).exists(), f"{path.name}: {target}")

    def test_make_targets(self):
        makefile = (TOP / "Makefile").read_text()
        for path in DOCUMENTS:
            for target in re.findall(r"`make ([a-z-]+)`", path.read_text()):
                self.assertRegex(makefile, rf"(?m)^{target}:", f"{path.name}: make {target}")


if __name__ == "__main__":
    unittest.main()
