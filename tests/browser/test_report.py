"""report.html in Chromium: no error, what the pointer and the keyboard find, contrast, a phone, paper. BRAINMRI_SHOTS=FOLDER keeps pictures of it."""
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from browser import ARROW_RIGHT, CONTRAST, ENTER, ESCAPE, TAB, Browser, missing  # noqa: E402
from program import SMALL, Case  # noqa: E402


@unittest.skipIf(missing(), missing())
class Report(Case):
    count = 30

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        run = os.environ.get("BRAINMRI_RUN")  # another run's page, to look at
        if not run:
            cls.call(cls, "run", "data", "--out", "run", *SMALL, "--epochs", "2", "--no-bench")
            cls.call(cls, "run", "data", "--out", "other", *SMALL, "--epochs", "1", "--no-bench", "--seed", "7")
        cls.page = pathlib.Path(run or cls.folder / "run") / "report.html"
        cls.shots = os.environ.get("BRAINMRI_SHOTS")
        cls.profile = tempfile.TemporaryDirectory(prefix="brainmri-chromium-", ignore_cleanup_errors=True)
        cls.browser = Browser(cls.profile.name)

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.profile.cleanup()
        super().tearDownClass()

    def setUp(self):
        self.browser.media()
        self.browser.size(1100, 900)
        self.browser.open(self.page)

    def tearDown(self):
        self.assertEqual(self.browser.console(), [])

    def shot(self, name, whole=False):
        if self.shots:
            self.browser.screenshot(pathlib.Path(self.shots) / f"{name}.png", whole)

    def text(self, selector):
        return self.browser.run("return document.querySelector(arguments[0])?.textContent ?? null", selector)

    def number(self, selector):
        return self.browser.run("return document.querySelectorAll(arguments[0]).length", selector)

    def test_all_is_there_and_nothing_is_fetched(self):
        self.assertEqual(self.number("section[id^=phase-]"), 10)
        self.assertIn("test images were classified right", self.text(".lead"))
        self.assertEqual(self.browser.run("return performance.getEntriesByType('resource').filter((r) => !r.name.startsWith('data:')).length"), 0)
        self.assertEqual(self.browser.run("return [...document.images].filter((i) => !i.complete || !i.naturalWidth).length"), 0)
        self.assertGreaterEqual(self.number("figcaption a[download$='.csv']"), 6)
        self.assertGreaterEqual(self.number("figcaption a[download$='.gp']"), 6)
        self.shot("light", True)

    def test_charts_tell_values_to_the_pointer(self):
        self.browser.point("#phase-8 .chart svg", 0.7, 0.4)
        self.assertRegex(self.text("#phase-8 .tip"), r"^Epoch \d+ \(stage 1, epoch \d+\)\ntraining: loss")
        self.browser.point("#phase-9 .chart[data-points] svg", 0.15, 0.1)
        self.assertRegex(self.text("#phase-9 .tip"), r"from probability 0\.\d+ on:\n\d")
        self.shot("roc")
        self.browser.point("h1", 0.5, 0.5)
        self.assertEqual(self.number(".tip"), 0)

    def test_charts_tell_values_to_the_keyboard(self):
        self.browser.run("document.querySelector('#phase-8 .chart svg').focus()")
        self.browser.keys(ARROW_RIGHT)
        first = self.text("#phase-8 .tip")
        self.browser.keys(ARROW_RIGHT)
        self.assertNotEqual(self.text("#phase-8 .tip"), first)
        self.assertEqual(self.text("[aria-live]"), self.text("#phase-8 .tip"))
        self.browser.keys(ESCAPE)
        self.assertEqual(self.number(".tip"), 0)

    def test_a_cell_lists_its_images(self):
        cells = self.browser.run("return [...document.querySelectorAll('.cell')].map((c) => [c.dataset.cell, +c.querySelector('text').textContent])")
        rows = self.browser.run("return JSON.parse(document.getElementById('predictions-data').textContent).rows.length")
        self.assertEqual(sum(n for _, n in cells), rows)
        for cell, n in cells:
            self.browser.point(f".cell[data-cell='{cell}']", 0.5, 0.5, click=True)
            self.assertEqual(self.number(".members li"), n, cell)
            actual, predicted = cell.split(",")
            # Of the mistakes there is an image, the table's.
            self.assertEqual(self.number(".members li img"), 0 if actual == predicted else n, cell)
        self.shot("cell")
        self.browser.point(".members button", 0.5, 0.5, click=True)
        self.assertEqual(self.number(".members"), 0)

    def test_a_cell_opens_by_keyboard(self):
        self.browser.run("document.querySelector('.cell').focus()")
        self.browser.keys(ENTER)
        self.assertEqual(self.number(".members"), 1)
        self.browser.keys(TAB)
        self.assertNotEqual(self.browser.run("return document.activeElement.dataset.cell ?? ''"), "0,0")
        self.browser.run("document.querySelector('.cell').focus()")
        self.browser.keys(ESCAPE)
        self.assertEqual(self.number(".members"), 0)

    def test_mistakes_sort(self):
        def column(n):
            return self.browser.run("return [...document.querySelectorAll('.sortable tbody tr')].map((r) => r.cells[arguments[0]].textContent)", n)
        confidence = [float(x) for x in column(3)]
        self.assertGreater(len(confidence), 0, "a run without a mistake tests nothing")
        self.assertEqual(confidence, sorted(confidence, reverse=True))
        self.browser.point(".sortable th:nth-child(4) button", 0.5, 0.5, click=True)
        self.assertEqual([float(x) for x in column(3)], sorted(confidence))
        self.assertEqual(self.number("th[aria-sort=ascending]"), 1)
        self.browser.run("document.querySelector('.sortable th:nth-child(6) button').focus()")
        self.browser.keys(ENTER)
        self.assertEqual(column(5), sorted(column(5)))

    def test_contrast_in_light_and_dark(self):
        for scheme in ("light", "dark"):
            self.browser.media(prefers_color_scheme=scheme)
            self.assertEqual(self.browser.run(CONTRAST), [], scheme)
        self.shot("dark", True)

    def test_keyboard_reaches_everything(self):
        # What scrolls or can be clicked can be focused, and has a name.
        self.assertEqual(self.browser.run("""
            const bare = [...document.querySelectorAll('pre.long, .scroll.tall, .chart[data-points] > svg, .cell, th button')]
                .filter((e) => e.tabIndex < 0 || !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim()));
            return bare.map((e) => e.outerHTML.slice(0, 80));"""), [])
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('img')].filter((i) => !i.hasAttribute('alt')).length"), 0)
        self.browser.keys(TAB)
        self.assertEqual(self.browser.run("return document.activeElement.getAttribute('href')"), "#phase-1")

    def test_a_phone_needs_no_sideways_scrolling(self):
        self.browser.size(390, 844, phone=True)
        self.browser.open(self.page)
        self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 390)
        self.shot("phone", True)

    def test_paper(self):
        self.browser.media("print", prefers_color_scheme="dark")
        self.assertEqual(self.browser.run("return getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
        self.assertEqual(self.browser.run("return getComputedStyle(document.querySelector('nav')).display"), "none")
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('pre, .scroll')].filter((e) => e.scrollHeight > e.clientHeight + 4).length"), 0)
        self.shot("paper", True)

    def test_comparison(self):
        if os.environ.get("BRAINMRI_RUN"):
            self.skipTest("one run was given")
        self.call("report", "run", "other", "--out", "both.html")
        self.browser.open(self.folder / "both.html")
        self.assertEqual(self.number("table.compare thead th"), 3)
        self.assertEqual(self.number(".chart.matrix"), 2)
        for scheme in ("light", "dark"):
            self.browser.media(prefers_color_scheme=scheme)
            self.assertEqual(self.browser.run(CONTRAST), [], scheme)
        self.browser.point(".chart[data-points] svg", 0.5, 0.5)
        self.assertIn("epoch", self.text(".tip"))
        self.shot("comparison", True)
        self.browser.size(390, 844, phone=True)
        self.browser.open(self.folder / "both.html")  # a page that is open already is laid out anew some time later
        self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 390)


if __name__ == "__main__":
    if missing():
        print(f"skipped: {missing()}")
        sys.exit(77)  # Meson's "skipped"
    unittest.main()
