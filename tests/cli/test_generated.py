"""The manual page and the completions say what --help says, and the shells take them."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from program import PROGRAM

FOLDER = pathlib.Path(PROGRAM).parent
BASH, ZSH, FISH, MANUAL = (FOLDER / name for name in ("brainmri.bash", "_brainmri", "brainmri.fish", "brainmri.1"))


def run(*arguments, code=0, **options):
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options)
    if done.returncode != code:
        raise AssertionError(f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def program_help(*arguments):
    return run(PROGRAM, *arguments, "--help").stdout


def commands():
    part = program_help().split("Commands:\n")[1].split("\nOptions:")[0]
    return re.findall(r"^  ([a-z-]+) ", part, re.M)


def options(*command):
    """(letter or None, name, argument or None) of each option that a command's --help lists."""
    part = program_help(*command).split("\nOptions:\n")[1].split("\n\n")[0]
    found = re.findall(r"^  (?:-(\w),|   ) --([a-z0-9-]+)(?: (\S+))?", part, re.M)
    assert found, command
    return [(letter or None, name, argument or None) for letter, name, argument in found]


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


class Generated(unittest.TestCase):
    def test_there_are_commands_and_options(self):
        self.assertGreaterEqual(len(commands()), 12)
        self.assertIn(("p", "plan", "NAME"), options("run"))

    def test_the_manual_has_every_command_and_option(self):
        page = MANUAL.read_text()
        summaries = program_help()
        for command in commands():
            self.assertIn("\n.SS " + command.replace("-", r"\-") + "\n", page)
            for letter, name, argument in options(command):
                entry = r"\fB\-\-" + name.replace("-", r"\-") + r"\fR"
                at = page.find(entry)
                self.assertGreater(at, 0, f"{command} --{name}")
                if letter:
                    self.assertIn(rf"\fB\-{letter}\fR, " + entry, page)
                if argument:
                    self.assertIn(entry + r" \fI" + argument.replace("-", r"\-"), page)
        self.assertIn("all ten phases", summaries)
        self.assertIn("all ten phases", page)

    def test_an_option_names_the_commands_that_take_it(self):
        page = MANUAL.read_text()
        taken = {}
        for command in commands():
            for _, name, _ in options(command):
                taken.setdefault(name, []).append(command)
        for name, by in taken.items():
            entries = page.split(r"\fB\-\-" + name.replace("-", r"\-") + r"\fR")[1:]
            listed = []
            for entry in entries:
                line = re.search(r"^Taken by(.*)\.$", entry.split("\n.TP")[0], re.M)
                listed += re.findall(r"\\fB(.*?)\\fR", line[1]) if line else commands()
            self.assertEqual(sorted(x.replace("\\", "") for x in listed), sorted(by), name)

    def test_completions_have_every_command_and_option(self):
        bash, zsh, fish = BASH.read_text(), ZSH.read_text(), FISH.read_text()
        for command in commands():
            part = re.search(rf"^\t{command}\)\n\t\toptions='(.*)'$", bash, re.M)
            self.assertTrue(part, f"bash: {command}")
            self.assertEqual(part[1].split(), [f"--{name}" for _, name, _ in options(command)])
            part = re.search(rf"^\t\t{command}\) _arguments(.*?);;$", zsh, re.M | re.S)
            self.assertTrue(part, f"zsh: {command}")
            self.assertIn(f"\t\t'{command}:", zsh)
            lines = [line for line in fish.splitlines() if f"'__fish_seen_subcommand_from {command}'" in line]
            self.assertIn(f"-f -a {command} -d", fish)
            for letter, name, argument in options(command):
                self.assertRegex(part[1], rf"--{name}{'=' if argument else ''}\[")
                line = [x for x in lines if f" -l {name} " in x]
                self.assertEqual(len(line), 1, f"fish: {command} --{name}")
                self.assertEqual(f" -s {letter} " in line[0], letter is not None)

    @needs("groff")
    def test_groff_takes_the_manual(self):
        done = run("groff", "-ww", "-man", "-Tutf8", MANUAL)
        self.assertEqual(done.stderr, "")
        self.assertIn("--time-budget", re.sub("\033\\[\\d+m|.\b", "", done.stdout).replace("\u2010", "-"))

    def complete(self, *words):
        """What bash offers for the last word."""
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; '
                  '_brainmri; printf "%s\\n" "${COMPREPLY[@]}"')
        return run("bash", "-c", script, "bash", BASH, "brainmri", *words, cwd=self.folder).stdout.split()

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="brainmri-complete-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        (self.folder / "runs").mkdir()
        (self.folder / "scan.png").write_bytes(b"")

    def test_bash_completes(self):
        self.assertEqual(set(commands()) | {"--help", "--version", "help"}, set(self.complete("")))
        self.assertEqual(self.complete("pred"), ["predict"])
        self.assertEqual(self.complete("run", "--time"), ["--time-budget"])
        self.assertEqual(self.complete("run", "--plan", ""), ["two-stage", "scratch", "compact"])
        self.assertEqual(self.complete("run", "--plan", "=", "sc"), ["scratch"])
        self.assertEqual(self.complete("run", "--plan", "="), ["two-stage", "scratch", "compact"])
        self.assertEqual(self.complete("run", "-p", "t"), ["two-stage"])
        self.assertEqual(self.complete("run", "--out", ""), ["runs"])
        self.assertEqual(self.complete("run", "--seed", ""), [])
        self.assertEqual(set(self.complete("predict", "")), {"runs", "scan.png"})
        self.assertEqual(self.complete("predict", "--plan"), [])

    @needs("zsh")
    def test_zsh_completes(self):
        run("zsh", "-n", ZSH)
        # zsh completes only on a terminal: one of its own (zpty) is asked for the listing.
        (self.folder / "functions").mkdir()
        shutil.copy(ZSH, self.folder / "functions")
        script = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; cd $1; fpath=($1/functions \$fpath); autoload -U compinit; compinit -u -d $1/dump; bindkey '^I' complete-word"
zpty -w shell "zstyle ':completion:*' list-colors ''; echo RE''ADY"
repeat 200; do zpty -r shell line || break; [[ $line == *READY* ]] && break; done
zpty -w -n shell $'brainmri run --plan=sc\t ; echo DO\'\'NE\n'
out=
repeat 200; do zpty -r shell line || break; out+=$line; [[ $line == *DONE* ]] && break; done
print -r -- $out
zpty -d shell
"""
        self.assertIn("--plan=scratch", run("zsh", "-f", "-c", script, "zsh", self.folder).stdout)

    @needs("fish")
    def test_fish_completes(self):
        def complete(line):
            script = f"source {FISH}; complete -C '{line}'"
            out = run("fish", "--no-config", "-c", script, cwd=self.folder, env={**os.environ, "HOME": str(self.folder)}).stdout
            return [x.split("\t")[0] for x in out.splitlines()]
        self.assertLessEqual(set(commands()), set(complete("brainmri ")))
        self.assertEqual(complete("brainmri run --plan sc"), ["scratch"])
        self.assertIn("--time-budget", complete("brainmri run --time"))
        self.assertIn("runs/", complete("brainmri run --out "))
        self.assertNotIn("scan.png", complete("brainmri run --out "))


if __name__ == "__main__":
    unittest.main()
