"""On a terminal: a bar that is drawn over, green ticks, NO_COLOR, the width of the window."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unittest

from program import PROGRAM, Case


class Terminal(Case):
    def shown(self, *arguments, columns=80, environment=None):
        """Everything that a terminal of so many columns gets."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        variables = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"} | (environment or {})
        process = subprocess.Popen([PROGRAM, *arguments], cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
        os.close(theirs)
        got = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            got += part
        os.close(ours)
        self.assertEqual(process.wait(60), 0)
        return got.decode()

    def bars(self, text):
        return re.findall(r"\r\033\[K([^\r\n\033]*\[[=>.]+\][^\r\n\033]*)", text)

    def test_a_bar_within_the_window(self):
        for columns in (40, 80):
            text = self.shown("phantom", f"many{columns}", "--count", "60", columns=columns)
            bars = self.bars(text)
            self.assertTrue(bars, repr(text))
            self.assertTrue(all(len(bar) < columns for bar in bars), bars)
            self.assertIn("Drawing phantoms [", bars[0])
            # The last thing drawn is cleared before the result.
            self.assertRegex(text, r"\r\033\[K(\033\[32m)?✓")

    def test_ticks_are_green_unless_not_wanted(self):
        self.assertIn("\033[32m✓\033[0m", self.shown("environment"))
        self.assertNotIn("\033[3", self.shown("environment", environment={"NO_COLOR": "1"}))
        self.assertNotIn("\033", self.shown("environment", environment={"TERM": "dumb"}))

    def test_quiet_shows_no_bar(self):
        self.assertEqual(self.bars(self.shown("phantom", "still", "--count", "60", "--quiet")), [])


if __name__ == "__main__":
    unittest.main()
