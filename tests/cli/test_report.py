"""report.html made anew, and runs compared."""
import csv
import io
import math
import shutil
import unittest

from program import SMALL, Case


class Report(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.call(cls, "run", "data", "--out", "one", *SMALL, "--no-bench")
        cls.call(cls, "run", "data", "--out", "two", *SMALL, "--no-bench", "--epochs", "1", "--pack", "one/pack")
        cls.call(cls, "run", "data", "--out", "other", *SMALL, "--no-bench", "--epochs", "1", "--seed", "9", "--pack", "one/pack")

    def rows(self, run):
        return list(csv.DictReader(io.StringIO(self.read(f"{run}/predictions.csv").decode())))

    def test_made_anew_it_is_the_same(self):
        before = self.read("one/report.html")
        self.call("report", "one")
        after = self.read("one/report.html").decode()
        self.assertEqual(len(before.decode().split("<section")), len(after.split("<section")))
        wrong = [r for r in self.rows("one") if r["label"] != r["predicted"]]
        self.assertEqual(after.count("<tr data-path="), len(wrong))
        for row in wrong:
            self.assertIn(f'<tr data-path="{row["path"]}">', after)

    def test_without_predictions_the_rest_is_there(self):
        shutil.copytree(self.folder / "one", self.folder / "bare")
        (self.folder / "bare" / "predictions.csv").unlink()
        done = self.call("report", "bare")
        self.assertIn("predictions.csv", done.stderr)
        self.assertIn("no single test images", done.stderr)
        self.assertIn("test images were classified right", self.read("bare/report.html").decode())
        (self.folder / "bare" / "predictions.csv").write_text("path,label\n\"broken")
        self.assertIn("brainmri evaluate bare", self.call("report", "bare").stderr)

    def test_two_runs_on_the_same_images(self):
        answer = self.json("report", "one", "two", "--out", "both.html")
        first, second = self.rows("one"), self.rows("two")
        self.assertEqual([r["path"] for r in first], [r["path"] for r in second])
        right = [[r["label"] == r["predicted"] for r in rows] for rows in (first, second)]
        a = sum(x and not y for x, y in zip(*right))
        b = sum(y and not x for x, y in zip(*right))
        pair = answer["pairs"][0]
        self.assertEqual((pair["same_images"], pair["only_a_right"], pair["only_b_right"]), (True, a, b))
        exact = min(1, 2 * sum(math.comb(a + b, i) for i in range(min(a, b) + 1)) / 2 ** (a + b))
        self.assertAlmostEqual(pair["mcnemar_p"], exact, places=9)
        self.assertEqual(answer["settings"]["plan.stages[1].epochs"], ["3", "1"])
        self.assertNotIn("seed", answer["settings"])
        for run, name in zip(answer["runs"], ("one", "two")):
            self.assertEqual(run["accuracy"], self.load(f"{name}/evaluation_metrics.json")["accuracy"])
        page = self.read("both.html").decode()
        self.assertIn("2 runs compared", page)
        self.assertNotRegex(page, r"(src|href)=\"(https?:|/)")

    def test_other_images_are_said(self):
        text = self.call("report", "one", "other", "two", "--out", "three.html").stdout
        self.assertIn("one and other were tested on different images", text)
        self.assertIn("│ seed", text)
        self.assertIn("Report: three.html", text)

    def test_the_same_paths_are_not_yet_the_same_images(self):
        self.call("phantom", "others", "--count", self.count, "--size", "48", "--seed", "5")
        self.call("run", "others", "--out", "elsewhere", *SMALL, "--no-bench", "--epochs", "1")
        self.assertEqual({r["path"] for r in self.rows("elsewhere")}, {r["path"] for r in self.rows("one")})
        text = self.call("report", "one", "elsewhere", "--out", "two.html").stdout
        self.assertIn("one and elsewhere were tested on different images", text)

    def test_settings_of_another_training_are_not_compared(self):
        shutil.copytree(self.folder / "one", self.folder / "changed")
        self.call("model", "changed", "--head", "linear")
        self.assertIn("brainmri train changed", self.call("report", "one", "changed", code=1).stderr)

    def test_a_report_tells_the_settings_of_the_run(self):
        shutil.copytree(self.folder / "one", self.folder / "told")
        said = self.call("report", "told", "--seed", "977", "--threads", "3")
        self.assertIn("change nothing", said.stderr)
        config = self.load("told/model_metadata.json")["config"]
        self.assertEqual((config["seed"], config["threads"]), (42, 1))
        self.assertNotIn("seed 977", self.read("told/MODEL_CARD.md").decode())
        self.assertTrue('>Seed</th>\n<td class="path">42</td>' in self.read("told/report.html").decode())

    def test_what_cannot_be_compared(self):
        self.assertIn("--out is for several runs", self.call("report", "one", "--out", "x.html", code=2).stderr)
        self.assertIn("no-such", self.call("report", "one", "no-such", code=1).stderr)
        self.call("explore", "data", "--out", "early", *SMALL)
        self.assertIn("brainmri train early", self.call("report", "one", "early", code=1).stderr)
        self.assertFalse((self.folder / "comparison.html").exists())


if __name__ == "__main__":
    unittest.main()
