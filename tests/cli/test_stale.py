"""Results that were made with other settings, or from other results, than those that hold now are not built upon."""
import json
import shutil
import unittest

from program import SMALL, Case


class Stale(Case):
    def refused(self, *arguments, says, code=1):
        errors = self.call(*arguments, code=code).stderr
        for text in says:
            self.assertIn(text, errors)

    def test_what_changed_makes_later_results_stale(self):
        self.call("explore", "data", "--out", "r", *SMALL, "--epochs", "1")
        for command in ("preprocess", "model", "train", "evaluate", "report"):
            self.assertNotIn("no longer fits", self.call(command, "r").stderr)
        metrics = self.read("r/evaluation_metrics.json")

        # The split.
        warned = self.call("preprocess", "r", "--split", "guide").stderr
        self.assertIn("the trained model no longer fits (different now: the split)", warned)
        self.refused("evaluate", "r", says=["the trained model in 'r'", "the split", "run 'brainmri train r' again"])
        self.refused("report", "r", says=["run 'brainmri train r' again"])
        self.call("preprocess", "r", "--split", "default")
        self.call("evaluate", "r")
        self.assertEqual(self.read("r/evaluation_metrics.json"), metrics)

        # A look with another seed changes nothing.
        self.call("evaluate", "r", "--seed", "9")
        self.call("report", "r")

        # The network.
        self.assertIn("the trained model no longer fits (different now: head)", self.call("model", "r", "--head", "linear").stderr)
        self.refused("evaluate", "r", says=["different now: head", "run 'brainmri train r' again"])
        self.assertIn("the evaluation no longer fits", self.call("train", "r").stderr)
        self.refused("report", "r", says=["the evaluation in 'r'", "the trained model", "run 'brainmri evaluate r' again"])
        self.call("evaluate", "r")
        self.call("report", "r")

        # The plan, changed with the training that it is for: only phase 7's summary is old.
        self.assertIn("the summary of the model no longer fits (different now: plan)", self.call("train", "r", "--lr", "0.0007").stderr)
        self.call("model", "r")
        self.call("evaluate", "r")
        self.call("report", "r")

        # The size that it was trained at, which a stage's file is exported for.
        self.assertIn("the trained model no longer fits", self.call("model", "r", "--image-size", "40").stderr)
        for model in ("r", "r/best_model_stage1.keras"):
            self.refused("export", model, "--to", "onnx", "--out", "m.onnx", says=["run 'brainmri train r' again"])
        self.call("model", "r", "--image-size", "32")
        self.call("export", "r/best_model_stage1.keras", "--to", "safetensors", "--out", "m.safetensors")
        self.call("report", "r")

        # The share of the training images.
        self.assertIn("the trained model no longer fits (different now: train_share)",
                      self.call("explore", "r", "--train-share", "0.5").stderr)
        self.refused("evaluate", "r", says=["different now: train_share", "run 'brainmri train r' again"])
        self.call("explore", "r", "--train-share", "1")
        self.call("report", "r")

        # The seed, of the split too.
        self.assertIn("the split no longer fits (different now: seed)", self.call("explore", "r", "--seed", "5").stderr)
        self.refused("train", "r", says=["the split in 'r'", "different now: seed", "run 'brainmri preprocess r' again"])
        self.call("explore", "r", "--seed", "42")
        self.call("report", "r")

        # The data.
        shutil.copy(self.folder / "data/glioma/phantom_000000.jpg", self.folder / "data/notumor/more.jpg")
        self.call("explore", "r")
        self.refused("train", "r", says=["different now: the listed data", "run 'brainmri preprocess r' again"])
        for command in ("preprocess", "train", "evaluate", "report"):
            self.call(command, "r")

    def test_a_training_goes_on_with_its_own_settings(self):
        self.call("explore", "data", "--out", "b", *SMALL, "--head", "guide", "--plan", "scratch", "--time-budget", "6s")
        for command in ("preprocess", "model", "train"):
            self.assertNotIn("no longer fits", self.call(command, "b").stderr)
        self.assertNotIn("no longer fits", self.call("model", "b").stderr)
        settings = self.read("b/config.json")
        self.assertIn(b'"fitted_budget": 6', settings)
        epochs = ",".join(str(stage["epochs"] + 1) for stage in json.loads(settings)["plan"]["stages"])
        for option, value, name in (("--time-budget", "9s", "plan"), ("--epochs", epochs, "plan"), ("--dropout", "0.1", "dropout")):
            self.refused("train", "b", "--resume", option, value, says=["another configuration", f"different: {name}"], code=2)
            self.assertEqual(self.read("b/config.json"), settings)
        self.call("train", "b", "--resume")
        self.call("train", "b", "--resume", "--time-budget", "6s")
        self.assertEqual(self.read("b/config.json"), settings)
        self.call("evaluate", "b")
        # Settings that another command has changed since.
        self.call("model", "b", "--dropout", "0.1")
        self.refused("train", "b", "--resume", says=["the checkpoint in 'b'", "different now: dropout", "run 'brainmri train b' again"])

    def test_a_run_begun_anew_does_not_keep_the_old_model(self):
        self.call("run", "data", "--out", "a", *SMALL, "--epochs", "1", "--no-bench")
        self.call("explore", "data", "--out", "a", "--force", *SMALL, "--epochs", "1", "--width", "0.25")
        self.call("preprocess", "a")
        self.refused("evaluate", "a", says=["different now: width", "run 'brainmri train a' again"])

    def test_notes_of_an_earlier_version_are_understood(self):
        # It did not write what came later: settings, and fields of the plan that are off unless they are named.
        self.call("run", "data", "--out", "earlier", *SMALL, "--epochs", "1", "--no-bench")
        note = self.load("earlier/phases/made_from.json")
        del note["train"]["teachers"], note["train"]["train_share"], note["preprocess"]["split_seed"]
        for stage in note["train"]["plan"]["stages"]:
            del stage["distillation"], stage["ema_decay"]
        (self.folder / "earlier/phases/made_from.json").write_text(json.dumps(note))
        self.assertNotIn("no longer", self.call("evaluate", "earlier").stderr)
        note["train"]["plan"]["stages"][0]["learning_rate"] *= 2
        (self.folder / "earlier/phases/made_from.json").write_text(json.dumps(note))
        self.assertIn("different now: plan", self.call("evaluate", "earlier", code=1).stderr)

    def test_a_model_classifies_as_it_was_evaluated(self):
        image = "data/glioma/phantom_000000.jpg"
        self.call("run", "data", "--out", "looked", *SMALL, "--epochs", "1", "--no-bench")
        as_it_was = self.json("predict", "looked", image)["images"]
        audited = self.json("audit", "data", "data", "--model", "looked")["accuracy_all"]
        self.call("model", "looked", "--image-size", "64")
        self.assertEqual(self.json("predict", "looked", image)["images"], as_it_was)
        self.assertEqual(self.json("predict", "looked/best_model_stage1.keras", image)["images"], as_it_was)
        self.assertEqual(self.json("audit", "data", "data", "--model", "looked")["accuracy_all"], audited)

        # One that was never evaluated knows only the settings of its run.
        self.call("model", "looked", "--image-size", "32")
        self.call("train", "looked")
        self.call("predict", "looked", image)
        self.call("model", "looked", "--image-size", "64")
        self.refused("predict", "looked", image, says=["the trained model in 'looked'", "image_size", "run 'brainmri train looked' again"])

    def test_a_pack_that_another_run_overwrote_is_refused(self):
        self.call("phantom", "others", "--count", "12", "--size", "48", "--seed", "8")
        for name, data in (("mine", "data"), ("theirs", "others")):
            self.call("explore", data, "--out", name, *SMALL, "--epochs", "1", "--pack", "shared")
            self.call("preprocess", name)
        self.refused("train", "mine", says=["shared'", "'mine'", "run 'brainmri preprocess mine' again"])
        self.call("preprocess", "mine")
        self.call("train", "mine")

    def test_results_without_a_note_are_taken(self):
        self.call("run", "data", "--out", "old", *SMALL, "--epochs", "1", "--no-bench")
        (self.folder / "old/phases/made_from.json").unlink()
        self.call("evaluate", "old")
        self.call("report", "old")


if __name__ == "__main__":
    unittest.main()
