"""Cross-validation and search on small phantoms: their tables, their records, and going on after a stop."""
import csv
import io
import json
import statistics
import unittest

from program import SMALL, Case

TINY = [*SMALL, "--epochs", "1"]


class Crossval(Case):
    count = 16

    def test_mean_and_spread_over_folds(self):
        done = self.call("crossval", "data", "--out", "c", "--folds", "2", *TINY)
        result = self.load("c/crossval.json")
        self.assertEqual(len(result["results"]), 2)
        accuracies = [r["accuracy"] for r in result["results"]]
        self.assertAlmostEqual(result["summary"]["accuracy"]["mean"], statistics.mean(accuracies), places=9)
        self.assertAlmostEqual(result["summary"]["accuracy"]["standard_deviation"], statistics.stdev(accuracies), places=9)
        self.assertIn(f"{statistics.mean(accuracies):.4f}", done.stdout)
        self.assertIn("Split `fold 2 of 2`", self.read("c/fold2/MODEL_CARD.md").decode())
        # Every image is tested exactly once.
        tested = []
        for fold in (1, 2):
            rows = csv.DictReader(io.StringIO(self.read(f"c/fold{fold}/split.csv").decode()))
            tested += [r["index"] for r in rows if r["part"] == "test"]
        self.assertEqual(sorted(map(int, tested)), list(range(4 * self.count)))
        # What is gone on with has the folds that it was begun with, and the data.
        self.assertIn("2 folds, not 3", self.call("crossval", "--out", "c", "--folds", "3", "--resume", code=2).stderr)
        image = self.folder / "data/glioma/phantom_000000.jpg"
        image.rename(self.folder / "aside.jpg")
        self.assertIn("other images", self.call("crossval", "--out", "c", "--resume", code=1).stderr)
        (self.folder / "aside.jpg").rename(image)
        # Again: nothing is trained anew, the figures stay. A fold that is lost is made again, to the same figures.
        model = (self.folder / "c/fold1/best_model_stage1.keras").stat().st_mtime_ns
        again = self.call("crossval", "--out", "c", "--resume")
        self.assertEqual((self.folder / "c/fold1/best_model_stage1.keras").stat().st_mtime_ns, model)
        self.assertIn("done before", again.stderr)
        (self.folder / "c/fold2/evaluation_metrics.json").unlink()
        self.call("crossval", "--out", "c", "--folds", "2", "--resume")
        self.assertEqual([r["accuracy"] for r in self.load("c/crossval.json")["results"]], accuracies)

    def test_what_is_wrong_is_said(self):
        self.assertIn("--split guide", self.call("crossval", "data", "--out", "x", "--split", "guide", *TINY, code=2).stderr)
        self.assertIn("2 to 20", self.call("crossval", "data", "--out", "x", "--folds", "1", code=2).stderr)
        self.assertIn("class", self.call("crossval", "data", "--out", "x", "--folds", "20", *TINY, code=1).stderr)


class Search(Case):
    count = 12

    def test_trials_are_recorded_and_the_best_is_evaluated_once(self):
        done = self.call("search", "data", "--out", "s", "--trials", "4", "--parallel", "2", *SMALL, "--epochs", "4")
        record = self.load("s/search.json")
        self.assertEqual(len(record["results"]), 4)
        self.assertEqual([r["trial"] for r in record["results"]], [0, 1, 2, 3])
        rungs = sorted(r["rung"] for r in record["results"])
        self.assertEqual(rungs, [0, 0, 1, 1])  # four begin, two go on
        self.assertTrue(all(r["state"] == "done" and 0 <= r["val_accuracy"] <= 1 for r in record["results"]))
        self.assertEqual(len(list((self.folder / "s/trials").iterdir())), 6)
        for r in record["results"]:  # to the last digit: ties are broken by it
            history = self.load(f"s/trials/rung{r['rung']}-trial{r['trial']:03d}/training_history.json")
            self.assertIn(r["val_loss"], history["val_loss"])
        # Only the winner has seen the test images.
        self.assertEqual([p.parent.name for p in (self.folder / "s").rglob("evaluation_metrics.json")], ["best"])
        self.assertIn("Test accuracy", done.stdout)
        best = max((r for r in record["results"] if r["rung"] == 1), key=lambda r: (r["val_accuracy"], -r["val_loss"]))
        self.assertEqual(self.load("s/best/config.json")["head"], best["head"])
        self.assertEqual(len(list(csv.DictReader(io.StringIO(self.read("s/figures/search.csv").decode())))), 4)
        image = self.folder / "data/glioma/phantom_000000.jpg"
        image.rename(self.folder / "aside.jpg")
        self.assertIn("other images", self.call("search", "--out", "s", "--trials", "4", "--resume", code=1).stderr)
        (self.folder / "aside.jpg").rename(image)
        # A trial that a stop lost is trained again; the others are not, and all comes out as before.
        record["results"][2].update(state="waiting", rung=-1, val_accuracy=None, val_loss=None)
        (self.folder / "s/search.json").write_text(json.dumps(record))
        again = self.json("search", "--out", "s", "--trials", "4", "--resume")
        self.assertEqual(again["test_accuracy"], self.load("s/best/evaluation_metrics.json")["accuracy"])
        self.assertEqual(sorted(r["rung"] for r in self.load("s/search.json")["results"]), rungs)
        self.assertIn("4", self.call("search", "--out", "s", "--trials", "5", "--resume", code=2).stderr)

    def test_what_is_wrong_is_said(self):
        self.assertIn("2 to 256", self.call("search", "data", "--out", "x", "--trials", "1", code=2).stderr)


if __name__ == "__main__":
    unittest.main()
