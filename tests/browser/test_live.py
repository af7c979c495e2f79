"""The page of --ui in Chromium, while a real run works: curves grow, images are shown, no error, contrast, keyboard, a phone; and how it ends.
BRAINMRI_SHOTS=FOLDER keeps pictures of it."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from browser import ARROW_RIGHT, CONTRAST, ESCAPE, Browser, missing  # noqa: E402
from program import PROGRAM, SMALL, Case  # noqa: E402

ENDLESS = [*SMALL, "--no-bench", "--epochs", "5000"]  # is stopped

EPOCHS = "(document.querySelector('#epoch-loss polyline.k1')?.points.numberOfItems ?? 0)"


class Run:
    def __init__(self, folder, *arguments):
        self.process = subprocess.Popen([PROGRAM, "run", "data", *arguments, "--ui=0"], cwd=folder, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        said = ""
        for line in self.process.stderr:
            said += line
            found = re.match(r"Live page: (\S+)$", line)
            if found:
                self.address = found[1]
                break
        else:
            raise AssertionError(said)
        self.rest = threading.Thread(target=self.process.stderr.read)
        self.rest.start()

    def stop(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.end()

    def end(self):
        self.process.wait(timeout=60)
        self.rest.join()
        self.process.stderr.close()


@unittest.skipIf(missing(), missing())
class Live(Case):
    count = 24

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shots = os.environ.get("BRAINMRI_SHOTS")
        cls.run_ = Run(cls.folder, "--out", "endless", *ENDLESS)
        cls.profile = tempfile.TemporaryDirectory(prefix="brainmri-chromium-", ignore_cleanup_errors=True)
        cls.browser = Browser(cls.profile.name)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.run_.stop()
        cls.profile.cleanup()
        super().tearDownClass()

    def setUp(self):
        self.browser.post("/url", {"url": "about:blank"})  # the page of the test before may still ask its run that has ended
        self.browser.console()
        self.browser.media()
        self.browser.size(1100, 900)
        self.errors = []

    def tearDown(self):
        self.assertEqual([line for line in self.browser.console() if not any(known in line for known in self.errors)], [])

    def open(self, run, epochs=4):
        self.browser.post("/url", {"url": run.address})
        self.until(f"{EPOCHS} >= {epochs}")

    def until(self, condition, seconds=120):
        end = time.time() + seconds
        while not self.browser.run(f"return Boolean({condition})"):
            self.assertLess(time.time(), end, condition + "\n" + self.text("body"))
            time.sleep(0.2)

    def text(self, selector):
        return self.browser.run("return document.querySelector(arguments[0])?.innerText ?? null", selector)

    def number(self, selector):
        return self.browser.run("return document.querySelectorAll(arguments[0]).length", selector)

    def shot(self, name, whole=False):
        if self.shots:
            self.browser.screenshot(pathlib.Path(self.shots) / f"live-{name}.png", whole)

    def test_a_running_training_is_shown(self):
        self.open(self.run_)
        self.assertEqual(self.text("#state"), "running")
        self.assertEqual(self.number("#phases li"), 10)
        self.assertEqual(self.text("#phases li[aria-current=step]").split("\n")[:3], ["●", "8", "Training"])
        for chart in ("step-loss", "step-accuracy"):
            self.assertGreater(self.browser.run("return document.querySelector(arguments[0]).points.numberOfItems", f"#{chart} polyline.k0"), 5)
        self.assertRegex(self.text("#rates"), r"Milliseconds a step\s+[\d.]+\s")
        self.assertRegex(self.text("#rates"), r"Left of the training\s+\d+ (h|min|s)")
        self.until("document.querySelectorAll('#pictures img').length === 32")
        self.until("[...document.querySelectorAll('#pictures img')].every((i) => i.complete && i.naturalWidth > 0)")
        self.assertIn("turned by up to 15°", self.text("#augmentation"))
        self.assertIn("val_accuracy", self.text("#lines pre"))
        self.shot("light", True)

    def test_nothing_is_fetched_from_elsewhere(self):
        self.open(self.run_, 1)
        names = self.browser.run("return performance.getEntriesByType('resource').map((r) => r.name)")
        self.assertGreater(len(names), 3)
        self.assertEqual([name for name in names if not name.startswith((self.run_.address, "data:"))], [])

    def test_curves_grow_and_a_reloaded_page_has_them_all(self):
        self.open(self.run_)
        before = self.browser.run(f"return {EPOCHS}")
        self.until(f"{EPOCHS} > {before}")
        self.browser.post("/refresh")
        self.until(f"{EPOCHS} >= {before}")

    def test_charts_tell_values(self):
        self.open(self.run_, 1)
        self.browser.point("#step-loss svg", 0.6, 0.5)
        self.assertRegex(self.text("#step-loss .tip"), r"^step [\d,]+\nsmoothed: \d")
        self.browser.run("document.querySelector('#epoch-accuracy svg').focus()")
        self.browser.keys(ARROW_RIGHT)
        first = self.text("#epoch-accuracy .tip")
        self.assertRegex(first, r"^epoch 1\ntraining: [\d.]+ %\nvalidation: [\d.]+ %")
        self.assertEqual(self.browser.run("return document.querySelector('.unseen[aria-live]').textContent"), first)
        self.browser.keys(ESCAPE)
        self.assertEqual(self.number("#epoch-accuracy .tip"), 0)

    def test_contrast_in_light_and_dark(self):
        self.open(self.run_, 1)
        self.until("document.querySelectorAll('#pictures img').length > 0")
        for scheme in ("light", "dark"):
            self.browser.media(prefers_color_scheme=scheme)
            self.assertEqual(self.browser.run(CONTRAST), [], scheme)
        self.shot("dark", True)

    def test_keyboard_and_names(self):
        self.open(self.run_, 1)
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('.chart svg, pre')].filter((e) => e.tabIndex < 0 || "
                                          "!e.getAttribute('aria-label')).length"), 0)
        self.assertEqual(self.browser.run("return [...document.images].filter((i) => !i.hasAttribute('alt')).length"), 0)

    def test_a_phone_needs_no_sideways_scrolling(self):
        self.browser.size(390, 844, phone=True)
        self.open(self.run_, 1)
        self.until("document.querySelectorAll('#pictures img').length > 0")
        self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 390)
        self.shot("phone", True)

    def test_the_end_is_told(self):
        run = Run(self.folder, "--out", "short", *SMALL, "--no-bench", "--epochs", "4")
        self.browser.post("/url", {"url": run.address})
        self.until("!document.getElementById('end').hidden")
        run.end()
        self.assertEqual(run.process.returncode, 0)
        self.assertEqual(self.text("#state"), "done")
        self.assertIn(str((self.folder / "short/report.html").resolve()), self.text("#end"))
        accuracy = self.load("short/evaluation_metrics.json")["accuracy"]
        shown = re.search(r"Test accuracy\s+([\d.]+) %", self.text("#end"))
        self.assertAlmostEqual(float(shown[1]), 100 * accuracy, delta=0.0501)  # a half may be rounded either way
        self.assertEqual(self.number("#phases .done"), 10)
        for scheme in ("light", "dark"):
            self.browser.media(prefers_color_scheme=scheme)
            self.assertEqual(self.browser.run(CONTRAST), [], scheme)
        time.sleep(2)  # a page that still asked would leave errors on the console
        self.shot("end", True)

    def test_a_stopped_run_says_how_to_go_on(self):
        run = Run(self.folder, "--out", "stopped", *ENDLESS)
        self.open(run, 1)
        run.stop()
        self.until("!document.getElementById('end').hidden", 20)
        self.assertEqual(self.text("#state"), "stopped")
        self.assertIn("--resume", self.text("#end"))

    def test_a_killed_run_is_missed(self):
        self.errors = ["state.json", "pictures.json"]
        run = Run(self.folder, "--out", "killed", *ENDLESS)
        self.open(run, 1)
        run.stop(signal.SIGKILL)
        self.until("document.getElementById('state').textContent === 'no answer'", 30)
        self.assertGreater(self.browser.run(f"return {EPOCHS}"), 0)


if __name__ == "__main__":
    if missing():
        print(f"skipped: {missing()}")
        sys.exit(77)  # Meson's "skipped"
    unittest.main()
