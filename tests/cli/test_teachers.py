"""Several seeds on one split, and a network that learns from finished ones."""
import unittest

from program import SMALL, Case

TINY = [*SMALL, "--epochs", "1", "--no-bench", "--pack", "pack"]


class Teachers(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for seed in (1, 2):
            cls.call(cls, "run", "data", "--out", f"t{seed}", "--seed", seed, "--split-seed", 7, *TINY)

    def part(self, run, part):
        rows = (line.split(",") for line in self.read(f"{run}/split.csv").decode().split())
        return {row[0] for row in rows if row[1] == part}

    def test_the_split_has_a_seed_of_its_own(self):
        self.assertEqual(self.read("t1/split.csv"), self.read("t2/split.csv"))
        self.assertNotEqual(self.read("t1/best_model_stage1.keras"), self.read("t2/best_model_stage1.keras"))
        self.assertIn(b"seed 7", self.read("t1/phases/06-preprocess.txt"))
        self.call("explore", "data", "--out", "one", "--seed", 7, "--pack", "pack")
        self.call("preprocess", "one")
        self.assertEqual(self.read("one/split.csv"), self.read("t1/split.csv"))
        self.call("explore", "data", "--out", "other", "--seed", 8, "--pack", "pack")
        self.call("preprocess", "other")
        self.assertNotEqual(self.read("other/split.csv"), self.read("t1/split.csv"))

    def test_learns_from_finished_runs(self):
        plain = self.call("run", "data", "--out", "plain", "--seed", 3, "--split-seed", 7, *TINY)
        self.assertNotIn("Teachers", plain.stdout)
        done = self.call("run", "data", "--out", "pupil", "--seed", 3, "--split-seed", 7, "--teacher", "t1,t2", *TINY)
        self.assertIn("Teachers: 2 (75% of the loss in the last stage)", done.stdout)
        self.assertNotIn("eacher", done.stderr)
        config = self.load("pupil/config.json")
        self.assertEqual(config["teachers"], f"{(self.folder / 't1').resolve()},{(self.folder / 't2').resolve()}")
        self.assertEqual(config["plan"]["stages"][0]["distillation"], 0.75)
        self.assertIn("75 % of the loss was how far it is from what finished models say", self.read("pupil/MODEL_CARD.md").decode())
        self.assertIn("Taught by", self.read("pupil/report.html").decode())
        self.assertIn("default, seed 7", self.read("pupil/report.html").decode())
        model = self.read("pupil/best_model_stage1.keras")
        self.assertNotEqual(model, self.read("plain/best_model_stage1.keras"))
        self.call("run", "--config", "pupil/config.json", "--out", "again")
        self.assertEqual(self.read("again/best_model_stage1.keras"), model)
        # Without them it is the plain run again.
        self.call("run", "--config", "pupil/config.json", "--out", "alone", "--teacher", "none")
        self.assertEqual(self.read("alone/best_model_stage1.keras"), self.read("plain/best_model_stage1.keras"))
        # In a folder that has results, other teachers are another training.
        self.assertIn("teachers", self.call("run", "--config", "pupil/config.json", "--out", "alone", code=2).stderr)

    def test_a_teacher_that_may_have_seen_the_test_images_is_told(self):
        other = self.call("run", "data", "--out", "o", "--split-seed", 8, "--teacher", "t1,t2", *TINY)
        self.assertEqual(other.stderr.count("saw images in training that this run is judged by"), 2)
        shared = len(self.part("t1", "train") & self.part("o", "test"))
        self.assertIn(f"{shared} of its {len(self.part('o', 'test'))} test images", other.stderr)
        # A file in a run's folder is of that run; a copy elsewhere is of unknown ones.
        file = self.call("run", "data", "--out", "f", "--split-seed", 7, "--teacher", "t1/best_model_stage1.keras", *TINY)
        self.assertNotIn("eacher", file.stderr)
        (self.folder / "copy.keras").write_bytes(self.read("t1/best_model_stage1.keras"))
        copy = self.call("run", "data", "--out", "g", "--split-seed", 7, "--teacher", "copy.keras", *TINY)
        self.assertIn("does not say which images", copy.stderr)
        # So is a run of other data: its split.csv numbers other images.
        self.call("phantom", "fewer", "--count", self.count - 4)
        fewer = self.call("run", "fewer", "--out", "w", "--teacher", "t1", *SMALL, "--epochs", "1", "--no-bench")
        self.assertIn("does not say which images", fewer.stderr)
        final = self.call("run", "data", "--out", "l", "--split", "final", "--teacher", "t1", *TINY)
        self.assertNotIn("eacher", final.stderr)

    def test_weights_that_saw_the_test_images_are_told(self):
        start = ["--weights", "t1/best_model_stage1.keras", *TINY]
        self.assertNotIn("saw images", self.call("run", "data", "--out", "w7", "--split-seed", 7, *start).stderr)
        other = self.call("run", "data", "--out", "w8", "--split-seed", 8, *start).stderr
        shared = len(self.part("t1", "train") & self.part("w8", "test"))
        self.assertGreater(shared, 0)
        self.assertIn(f"{shared} of its {len(self.part('w8', 'test'))} test images", other)

    def test_what_is_wrong_is_said(self):
        gone = self.call("run", "data", "--out", "x", "--teacher", "t1,nowhere", *TINY, code=1)
        self.assertIn("--teacher: there is no run folder and no model file 'nowhere'", gone.stderr)
        empty = self.call("run", "data", "--out", "x", "--teacher", "t1,", *TINY, code=1)
        self.assertIn("no model file ''", empty.stderr)
        self.call("explore", "data", "--out", "untrained", "--pack", "pack")
        untrained = self.call("run", "data", "--out", "x", "--split-seed", 7, "--teacher", "untrained", *TINY, code=1)
        self.assertIn("holds no trained model yet", untrained.stderr)


if __name__ == "__main__":
    unittest.main()
