"""Exports: the file is there only when it answers as the model does."""
import json
import os
import stat
import struct
import unittest
import zipfile

from program import SMALL, Case

# Stands for a Python with onnxruntime that computes nothing: the same probabilities for every image.
WRONG_RUNTIME = """#!/usr/bin/env python3
import struct, sys
side, channels = int(sys.argv[4]), int(sys.argv[5])
images = len(sys.stdin.buffer.read()) // (side * side * channels)
sys.stdout.buffer.write(struct.pack("<4f", .25, .25, .25, .25) * images + b"onnxruntime of the test")
"""


class Export(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.call(cls, "run", "data", "--out", "r", *SMALL, "--epochs", "1", "--no-bench", "--save-optimizer")
        cls.model = next(cls.folder.glob("r/best_model_stage*.keras")).name

    def export(self, *arguments, python="/no/such/python", **options):
        return self.call("export", *arguments, env={**os.environ, "BRAINMRI_PYTHON": str(python)}, **options)

    def test_keras_and_safetensors_are_read_back(self):
        for kind in ("keras", "safetensors"):
            done = self.export("r", "--to", kind, "--out", f"out.{kind}")
            self.assertIn("Checked by brainmri's own reader", done.stdout)
            before, after = (next(x for x in done.stdout.splitlines() if x.startswith(f"Accuracy {w}")).split()[-1] for w in ("before", "after"))
            self.assertEqual(before, after)
            self.assertEqual(self.call("predict", f"out.{kind}", "data/glioma/phantom_000000.jpg").stdout,
                             self.call("predict", f"r/{self.model}", "data/glioma/phantom_000000.jpg").stdout)
        with open(self.folder / "out.safetensors", "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        self.assertEqual(header["conv1_conv/kernel"]["shape"], [7, 7, 3, 8])

    def test_a_file_outside_of_a_run_is_not_checked(self):
        self.export(f"r/{self.model}", "--to", "safetensors", "--out", "alone.safetensors")
        done = self.export("alone.safetensors", "--to", "keras", "--out", "alone.keras")
        self.assertIn("not checked", done.stderr)
        self.assertNotIn("Checked", done.stdout)

    def test_onnx_without_its_runtime(self):
        answer = json.loads(self.export("r", "--to", "onnx", "--out", "out.onnx", "--json").stdout)["result"]
        self.assertIsNone(answer["checked_by"])
        self.assertIn("BRAINMRI_PYTHON", answer["not_checked"])
        self.assertEqual(answer["bytes"], (self.folder / "out.onnx").stat().st_size)

    def test_a_wrong_answer_is_not_kept(self):
        python = self.folder / "wrong"
        python.write_text(WRONG_RUNTIME)
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        done = self.export("r", "--to", "onnx", "--out", "wrong.onnx", python=python, code=1)
        self.assertIn("Checked by onnxruntime of the test", done.stdout)
        self.assertIn("answers otherwise", done.stderr)
        self.assertEqual(list(self.folder.glob("wrong.onnx*")), [])
        python.write_text("#!/bin/sh\necho 'it is broken' >&2\nexit 1\n")
        self.assertIn("it is broken", self.export("r", "--to", "onnx", "--out", "wrong.onnx", python=python, code=1).stderr)
        python.write_text("#!/bin/sh\nexit 0\n")
        self.export("r", "--to", "onnx", "--out", "wrong.onnx", python=python, code=1)
        self.assertEqual(list(self.folder.glob("wrong.onnx*")), [])

    def test_wrong_usage(self):
        for arguments in (["r", "--out", "x"], ["r", "--to", "onyx", "--out", "x"], ["r", "--to", "onnx"], ["r", "--to", "onnx", "--out", "data"],
                          ["r", "--to", "keras", "--pixels", "uint8", "--out", "x"], ["r", "--to", "onnx", "--pixels", "int4", "--out", "x"]):
            self.export(*arguments, code=2)
        self.export("data", "--to", "onnx", "--out", "x", code=1)
        self.assertFalse((self.folder / "x").exists())

    def test_the_optimizer_is_in_the_file(self):
        with zipfile.ZipFile(self.folder / "r" / self.model) as z:
            settings = json.loads(z.read("config.json"))["compile_config"]
            size = len(z.read("model.weights.h5"))
        self.assertEqual(settings["optimizer"]["class_name"], "AdamW")
        self.export("r", "--to", "keras", "--out", "plain.keras")
        with zipfile.ZipFile(self.folder / "plain.keras") as z:
            self.assertEqual(json.loads(z.read("config.json"))["compile_config"], {})
            self.assertGreater(size, 2 * len(z.read("model.weights.h5")))

    def test_training_starts_from_an_export(self):
        self.export("r", "--to", "safetensors", "--out", "start.safetensors")
        done = self.call("explore", "data", "--out", "again", "--weights", "start.safetensors")
        done = self.call("model", "again")
        self.assertIn("start.safetensors (base and head)", done.stdout)
        self.assertEqual(self.load("again/config.json")["width"], .125)


if __name__ == "__main__":
    unittest.main()
