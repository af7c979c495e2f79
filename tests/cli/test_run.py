"""From phantoms to a report, in one command and phase by phase; stopped and resumed."""
import csv
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import unittest
import zipfile

from program import PROGRAM, SMALL, Case

MODELS = ["best_model_stage1.keras"]
LEFT = ["config.json", "report.html", "log.txt", "data.json", "split.csv", "predictions.csv", "training_history.json",
        "evaluation_metrics.json", "model_metadata.json", "pack/images.npy", "pack/manifest.csv", "pack/pack.json",
        *MODELS]
FIGURES = ["samples", "class_distribution", "training_history", "confusion_matrix", "roc_curves", "reliability",
           "coverage", "predictions"]
HEADINGS = ["Environment Setup:", "PHASE 2:", "PHASE 3:", "PHASE 4:", "PHASE 5:", "PHASE 6:", "PHASE 7:", "PHASE 8:", "PHASE 9:",
            "PHASE 10:", "PERFORMANCE BENCHMARKING", "FINAL MODEL PERFORMANCE", "Report: one/report.html"]


class Run(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.first = cls.call(cls, "run", "data", "--out", "one", *SMALL)

    def test_prints_every_phase_on_standard_output(self):
        at = 0
        for heading in HEADINGS:
            found = self.first.stdout.find(heading, at)
            self.assertGreaterEqual(found, 0, f"'{heading}' is missing or out of order")
            at = found
        self.assertNotIn("\r", self.first.stderr)
        self.assertNotIn("\033", self.first.stdout + self.first.stderr)

    def test_leaves_every_file(self):
        for name in LEFT:
            self.assertGreater(len(self.read(f"one/{name}")), 0, name)
        for path in (self.folder / "one").rglob("*.json"):
            json.loads(path.read_bytes())
        gnuplot = self.result(self.json("environment"), "environment")["gnuplot"]
        for name in FIGURES:
            for kind in [".gp", ".csv"] + ([".png", ".svg"] if gnuplot else []):
                self.assertTrue((self.folder / f"one/figures/{name}{kind}").is_file(), name + kind)

    def test_figures_agree_with_each_other(self):
        metrics = self.load("one/evaluation_metrics.json")
        rows = list(csv.DictReader(io.StringIO(self.read("one/predictions.csv").decode())))
        right = sum(r["label"] == r["predicted"] for r in rows)
        self.assertAlmostEqual(metrics["accuracy"], right / len(rows), places=9)
        for row in rows:
            self.assertAlmostEqual(sum(float(row[k]) for k in ("glioma", "meningioma", "notumor", "pituitary")), 1, places=4)
        split = list(csv.DictReader(io.StringIO(self.read("one/split.csv").decode())))
        self.assertEqual(len(split), 4 * self.count)
        self.assertEqual(sum(r["part"] == "test" for r in split), len(rows))
        self.assertIn(f"{metrics['accuracy']:.4f}", self.first.stdout)
        phase = self.load("one/phases/09-evaluate.json")["result"]
        self.assertAlmostEqual(phase["accuracy"], metrics["accuracy"], places=9)
        self.assertEqual(sum(map(sum, phase["confusion"])), len(rows))

    def test_models_are_keras_files(self):
        for name in MODELS:
            with zipfile.ZipFile(self.folder / "one" / name) as z:
                self.assertLessEqual({"config.json", "metadata.json", "model.weights.h5"}, set(z.namelist()))

    def test_the_report_stands_alone(self):
        page = self.read("one/report.html").decode()
        self.assertNotRegex(page, r"(src|href)=\"(https?:|/|figures)")
        self.assertIn("Not a medical device", page)

    def test_the_log_has_time_stamps_and_all_lines(self):
        log = self.read("one/log.txt").decode().splitlines()
        self.assertTrue(all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in log))
        said = {line[25:] for line in log}
        for line in self.first.stdout.splitlines()[:200]:
            if line:
                self.assertIn(line, said)

    def test_repeats_from_its_config_to_the_same_bytes(self):
        answer = self.json("run", "--config", "one/config.json", "--out", "again", "--pack", "one/pack")
        self.assertTrue(self.result(answer, "preprocess")["reused"])
        for name in [*MODELS, "predictions.csv", "split.csv"]:
            self.assertEqual(self.read(f"one/{name}"), self.read(f"again/{name}"), name)

    def test_another_configuration_is_not_mixed_in(self):
        done = self.call("run", "data", "--out", "one", *SMALL, "--seed", "5", code=2)
        self.assertRegex(done.stderr, r"another configuration \(different: seed\).*--force")
        self.assertEqual(done.stdout, "")

    def test_predicts(self):
        image = "data/glioma/phantom_000000.jpg"
        answer = self.json("predict", "one", image, "data/notumor/phantom_000009.png")
        self.assertEqual(answer["failed"], 0)
        self.assertEqual(len(answer["images"]), 2)
        self.assertAlmostEqual(sum(answer["images"][0]["probabilities"].values()), 1, places=5)
        text = self.call("predict", "one", image).stdout
        self.assertIn(answer["images"][0]["class"], text)
        self.assertEqual(self.json("predict", "one/best_model_stage1.keras", image)["classes"], answer["classes"])

    def test_predicts_as_it_was_evaluated(self):
        rows = list(csv.DictReader(io.StringIO(self.read("one/predictions.csv").decode())))[:5]
        answer = self.json("predict", "one", *[f"data/{r['path']}" for r in rows])
        for row, image in zip(rows, answer["images"]):
            self.assertEqual(row["predicted"], image["class"])
            self.assertAlmostEqual(float(row["confidence"]), image["confidence"], places=4)

    def test_predicts_whatever_an_image_is_called(self):
        shutil.copy(next((self.folder / "data" / "glioma").iterdir()), self.folder / "gr\udcfcn.jpg")
        (self.folder / "b\udcfcd.jpg").write_bytes(b"no image")
        done = self.call("predict", "one", "gr\udcfcn.jpg", "b\udcfcd.jpg", "--json", code=1)
        good, bad = json.loads(done.stdout)["images"]
        self.assertEqual((good["path"], bad["path"]), ("gr?n.jpg", "b?d.jpg"))
        self.assertIn("class", good)
        self.assertIn("error", bad)

    def test_one_bad_image_does_not_stop_the_others(self):
        (self.folder / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing behind it")
        done = self.call("predict", "one", "bad.jpg", "no-such.png", "data/glioma/phantom_000000.jpg", code=1)
        self.assertIn("phantom_000000.jpg", done.stdout)
        self.assertIn("bad.jpg", done.stderr)
        self.assertIn("no-such.png", done.stderr)
        self.assertIn("2 of 3 images", done.stderr)

    def test_the_example_classifies(self):
        example = pathlib.Path(PROGRAM).parent.parent / "examples" / "classify"
        if not example.exists():
            self.skipTest(f"{example} is not built")
        image = "data/pituitary/phantom_000001.jpg"
        done = subprocess.run([example, "one", image], cwd=self.folder, capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 3), done.stderr)
        ours = self.json("predict", "one", image)["images"][0]["probabilities"]
        for line in done.stdout.splitlines():
            name, value = line.split()
            self.assertAlmostEqual(float(value), ours[name], places=3)

    def test_the_example_evaluates(self):
        example = pathlib.Path(PROGRAM).parent.parent / "examples" / "evaluate"
        if not example.exists():
            self.skipTest(f"{example} is not built")
        done = subprocess.run([example, "one", "data"], cwd=self.folder, capture_output=True, text=True, check=True)
        images = sorted((self.folder / "data").glob("*/*"))
        ours = self.json("predict", "one", *[path.relative_to(self.folder) for path in images])["images"]
        right = sum(image["class"] == path.parent.name for image, path in zip(ours, images))
        self.assertIn(f"({right} of {len(images)})", done.stdout)

    def test_phase_by_phase_is_the_same_run(self):
        self.call("explore", "data", "--out", "steps", *SMALL)
        self.assertEqual(self.result(self.json("classes", "steps"), "classes")["counts"]["glioma"], self.count)
        self.assertFalse(self.result(self.json("preprocess", "steps"), "preprocess")["reused"])
        self.assertTrue(self.result(self.json("preprocess", "steps"), "preprocess")["reused"])
        model = self.result(self.json("model", "steps"), "model")
        self.assertEqual(model["base_layers"], 175)
        self.assertEqual(sum(layer["parameters"] for layer in model["layers"]), model["parameters"])
        self.assertEqual(len(self.result(self.json("train", "steps"), "train")["epochs"]), 3)
        self.assertEqual(self.result(self.json("evaluate", "steps"), "evaluate")["accuracy"],
                         self.load("one/phases/09-evaluate.json")["result"]["accuracy"])
        self.assertEqual(self.read("one/best_model_stage1.keras"), self.read("steps/best_model_stage1.keras"))
        bench = self.result(self.json("bench", "steps"), "benchmark")
        self.assertEqual((len(bench["settings"]), bench["sample"]), (4, 4 * self.count))
        self.assertEqual(self.result(self.json("bench", "data", "--sample", "3"), "benchmark")["sample"], 3)
        self.assertEqual(self.result(self.json("bench", "data", "--sample", "0"), "benchmark")["sample"], 4 * self.count)
        self.json("report", "steps")
        self.assertGreater(len(self.read("steps/report.html")), 10000)

    def test_a_share_of_the_training_images(self):
        quick = [*SMALL, "--epochs", "1", "--no-bench", "--pack", "share-pack"]
        self.call("run", "data", "--out", "whole", *quick)
        self.call("run", "data", "--out", "part", *quick, "--train-share", "0.5")
        self.assertEqual(self.read("part/split.csv"), self.read("whole/split.csv"))
        whole, part = (self.load(f"{run}/phases/08-train.json")["result"] for run in ("whole", "part"))
        self.assertEqual([part["validation"], part["test"]], [whole["validation"], whole["test"]])
        self.assertAlmostEqual(part["train"] / whole["train"], 0.5, delta=0.1)
        self.assertIn(f"Training samples: {part['train']} ", self.call("train", "part").stdout)
        self.assertIn("--train-share", self.call("run", "data", "--out", "x", "--train-share", "0", code=2).stderr)

    def test_refit_tests_on_the_same_images(self):
        rows = {}
        for kind in ("default", "refit"):
            self.call("explore", "data", "--out", kind, *SMALL, "--split", kind, "--pack", "refit-pack")
            said = self.call("preprocess", kind).stdout
            rows[kind] = [line.split(",")[1] for line in self.read(f"{kind}/split.csv").decode().split()]
        self.assertIn("Split (refit, 80/5/15, seed ", said)
        moved = [pair for pair in zip(rows["default"], rows["refit"]) if pair[0] != pair[1]]
        self.assertEqual(set(moved), {("validation", "train")})
        self.assertIn("validation", rows["refit"])

    def test_bfloat16_repeats_and_differs(self):
        wide = [*SMALL, "--width", "0.25", "--epochs", "1", "--no-bench", "--pack", "half-pack"]
        self.call("run", "data", "--out", "single", *wide)
        try:
            done = self.call("run", "data", "--out", "half", *wide, "--precision", "bf16")
        except AssertionError as failure:
            self.assertIn("this processor has no bfloat16 arithmetic", str(failure))
            self.skipTest("a processor without AVX512_BF16")
        self.assertIn("Precision: bfloat16 in convolutions", done.stdout)
        self.assertTrue(self.load("half/config.json")["plan"]["stages"][0]["bf16"])
        self.call("run", "--config", "half/config.json", "--out", "again-half")
        chosen = self.call("run", "data", "--out", "chosen", *wide, "--precision", "auto")
        took = "Precision: bfloat16" in chosen.stdout
        self.assertEqual(self.load("chosen/config.json")["plan"]["stages"][0]["bf16"], took)
        self.assertNotIn("bfloat16 is only", chosen.stderr)
        folds = self.call("crossval", "data", "--out", "folds", *wide[:-3], "--pack", "half-pack", "--folds", "2", "--precision", "bf16")
        self.assertLessEqual(folds.stderr.count("bfloat16 is only"), 1)
        model = self.read("half/best_model_stage1.keras")
        self.assertEqual(self.read("again-half/best_model_stage1.keras"), model)
        self.assertNotEqual(self.read("single/best_model_stage1.keras"), model)
        self.call("run", "--config", "half/config.json", "--out", "again-single", "--precision", "f32")
        self.assertEqual(self.read("again-single/best_model_stage1.keras"), self.read("single/best_model_stage1.keras"))
        self.assertIn("--precision takes auto, f32 or bf16", self.call("run", "data", "--out", "x", "--precision", "f16", code=2).stderr)

    def test_a_narrower_network_is_widened(self):
        """The base frozen and a rate of nearly nothing: the wide network answers as the narrow one does."""
        start = ["--weights", "one/best_model_stage1.keras", "--epochs", "1,0", "--lr", "1e-9", "--no-bench"]
        answers = {}
        for width in ("0.125", "0.25"):
            answer = self.json("run", "data", "--out", f"wide-{width}", *start, "--width", width)
            self.assertEqual(self.result(answer, "model")["width"], float(width))
            self.assertEqual(self.result(answer, "model")["width_of_the_weights"], 0.125)
            self.assertEqual([e["stage"] for e in self.result(answer, "train")["epochs"]], [1])
            answers[width] = list(csv.DictReader(io.StringIO(self.read(f"wide-{width}/predictions.csv").decode())))
        for narrow, wide in zip(answers["0.125"], answers["0.25"], strict=True):
            for name in ("glioma", "meningioma", "notumor", "pituitary"):
                self.assertAlmostEqual(float(narrow[name]), float(wide[name]), places=4)
        self.assertIn("Widened: from 0.125 to 0.25", self.call("model", "wide-0.25").stdout)

    def test_a_shallower_network_is_deepened(self):
        """A ResNet-14's own answers, from a ResNet-50 of twice its width that starts from its weights: nothing learns, nearly."""
        shallow = self.json("run", "data", "--out", "r14", *SMALL, "--depth", "14", "--epochs", "1", "--no-bench")
        self.assertEqual(self.result(shallow, "model")["depth"], 14)
        self.assertEqual(self.load("r14/config.json")["depth"], 14)
        self.assertIn("ResNet-14", self.read("r14/MODEL_CARD.md").decode())
        self.assertIn("Loading ResNet-14 base model", self.call("model", "r14").stdout)
        start = ["--weights", "r14/best_model_stage1.keras", "--epochs", "1,0", "--lr", "1e-9", "--no-bench"]
        answers = {}
        for name, more in (("same", []), ("deep", ["--depth", "50", "--width", "0.25"])):
            answer = self.json("run", "data", "--out", f"r14-{name}", *start, *more)
            self.assertEqual(self.result(answer, "model")["depth"], 50 if more else 14)
            self.assertEqual(self.result(answer, "model")["depth_of_the_weights"], 14)
            answers[name] = list(csv.DictReader(io.StringIO(self.read(f"r14-{name}/predictions.csv").decode())))
        self.assertIsNone(self.load("r14-deep/config.json")["depth"])
        for narrow, deep in zip(answers["same"], answers["deep"], strict=True):
            for name in ("glioma", "meningioma", "notumor", "pituitary"):
                self.assertAlmostEqual(float(narrow[name]), float(deep[name]), places=4)
        self.assertIn("Deepened: from 14 to 50 layers", self.call("model", "r14-deep").stdout)
        for wrong in (["--depth", "34"], ["--depth", "14", "--model", "compact"]):
            self.assertIn("--depth takes 14, 26 or 50", self.call("run", "data", "--out", "x", *wrong, code=2).stderr)

    def test_resnet50_as_in_torchvision(self):
        """Named it begins at random weights; what starts from its weights, wider too, is of its variant."""
        said = self.call("run", "data", "--out", "v15", "--model", "resnet50v1.5", *SMALL, "--epochs", "1", "--no-bench").stdout
        self.assertIn("Network: ResNet-50 v1.5 (stride in the 3x3 convolutions, as in torchvision)", said)
        self.assertEqual(self.load("v15/config.json")["model"], "resnet50v1.5")
        self.assertIn("ResNet-50 v1.5", self.read("v15/MODEL_CARD.md").decode())
        first = self.read("v15/best_model_stage1.keras")
        self.call("run", "--config", "v15/config.json", "--out", "v15-again")
        self.assertEqual(self.read("v15-again/best_model_stage1.keras"), first)
        for name in ([], ["--model", "resnet50"], ["--model", "resnet50v1.5"]):
            self.call("explore", "data", "--out", "v15-on", "--force", "--weights", "v15/best_model_stage1.keras", "--width", "0.25", *name)
            said = self.call("model", "v15-on").stdout
            self.assertIn("ResNet-50 v1.5", said)
            self.assertIn("Widened: from 0.125 to 0.25", said)

    def test_two_stages_from_earlier_weights(self):
        answer = self.json("run", "data", "--out", "two", "--weights", "one/best_model_stage1.keras", "--epochs", "1,2", "--threads",
                           "1", "--no-bench", "--last-layers", "10")
        model = self.result(answer, "model")
        self.assertEqual(model["width"], 0.125)
        self.assertEqual(model["input_shape"], [32, 32, 3])
        self.assertTrue(model["head_taken"])
        self.assertLess(model["stages"][0]["trainable"], model["stages"][1]["trainable"])
        self.assertEqual([e["stage"] for e in self.result(answer, "train")["epochs"]], [1, 2, 2])
        for stage in (1, 2):
            self.assertGreater(len(self.read(f"two/best_model_stage{stage}.keras")), 0)

    def test_the_guides_split_is_warned_about(self):
        done = self.call("preprocess", "one", "--split", "guide", "--pack", "one/pack")
        self.assertIn("warning:", done.stderr)
        self.assertIn("too high", done.stdout)
        self.call("preprocess", "one", "--split", "default")


class Stop(Case):
    count = 40
    plan = [*SMALL, "--epochs", "5"]

    def start(self, *arguments):
        return subprocess.Popen([PROGRAM, *arguments], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                bufsize=1)

    def stop_in_training(self, number, out):
        process = self.start("run", "data", "--out", out, *self.plan, "--no-bench")
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                break
        time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        return process.returncode, errors

    def test_resumed_gives_the_same_bytes(self):
        self.call("run", "data", "--out", "whole", *self.plan, "--no-bench")
        for number, out in ((signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"), (signal.SIGKILL, "killed")):
            code, errors = self.stop_in_training(number, out)
            if number != signal.SIGKILL:
                self.assertEqual(code, 1, errors)
                self.assertIn("--resume", errors)
            self.assertFalse((self.folder / out / "report.html").exists())
            done = self.call("run", "--out", out, "--resume")
            self.assertIn("FINAL MODEL PERFORMANCE", done.stdout)
            for name in [*MODELS, "predictions.csv"]:
                self.assertEqual(self.read(f"whole/{name}"), self.read(f"{out}/{name}"), f"{out}/{name}")

    def test_the_second_ctrl_c_ends_at_once(self):
        process = self.start("run", "data", "--out", "twice", *SMALL, "--epochs", "500", "--no-bench")
        for line in process.stdout:
            if line.startswith("Epoch 1/"):
                break
        begun = time.time()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertIn(process.returncode, (130, 1))
        self.assertLess(time.time() - begun, 30)

    def test_a_run_folder_has_one_user(self):
        process = self.start("run", "data", "--out", "busy", *SMALL, "--epochs", "500", "--no-bench")
        for line in process.stdout:
            if line.startswith("Epoch 1/"):
                break
        done = self.call("evaluate", "busy", code=1)
        self.assertIn("another brainmri works in 'busy'", done.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


if __name__ == "__main__":
    os.environ.pop("NO_COLOR", None)
    unittest.main()
