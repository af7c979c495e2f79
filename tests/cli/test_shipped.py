"""The model that ships with the program, and which operand of predict is what."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import unittest
import zlib

from program import PROGRAM, SMALL, Case

SHIPS = subprocess.run([PROGRAM, "predict", "--card"], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


class Operands(Case):
    """The first operand is a model or an image, by what it is and not by its name."""
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = sorted(str(p.relative_to(cls.folder)) for p in (cls.folder / "data/glioma").iterdir())[:3]
        cls.call(cls, "run", "data", "--out", "r", *SMALL, "--epochs", "1", "--no-bench", "--split", "final")
        cls.call(cls, "export", "r", "--to", "safetensors", "--half", "--out", "half.safetensors")

    def test_a_run_or_a_model_file_answers(self):
        shutil.copy(next((self.folder / "r").glob("*.keras")), self.folder / "renamed")
        shutil.copy(self.folder / "half.safetensors", self.folder / "half")
        for model in ("r", "renamed", "half"):
            answer = self.json("predict", model, *self.images)
            self.assertEqual((answer["model"], [i["path"] for i in answer["images"]]), (model, self.images))

    def test_what_is_missing_is_said(self):
        self.assertIn("there is no 'none.jpg'", self.call("predict", "none.jpg", *self.images, code=1).stderr)
        for arguments in ([], ["r"], ["half.safetensors"], ["--card", "r"]):
            self.call("predict", *arguments, code=2)
        (self.folder / "broken.keras").write_text("nothing")
        self.assertIn("broken.keras", self.call("predict", "broken.keras", *self.images, code=1).stderr)

    @unittest.skipIf(SHIPS, "a model ships with this build")
    def test_without_a_shipped_model_it_says_what_to_do(self):
        said = self.call("predict", *self.images, code=1).stderr
        self.assertIn("brainmri run", said)
        self.assertIn(self.images[0], said)
        self.assertIn("no model ships", self.call("predict", "--card", code=1).stderr)

    def test_half_precision_is_smaller_and_answers_alike(self):
        done = self.call("export", "r", "--to", "safetensors", "--half", "--out", "again.safetensors")
        self.assertIn("Images whose class changes by rounding", done.stdout)
        self.call("export", "r", "--to", "safetensors", "--out", "whole.safetensors")
        self.assertLess(len(self.read("again.safetensors")), .6 * len(self.read("whole.safetensors")))
        data = self.read("again.safetensors")
        header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        self.assertEqual((header["conv1_conv/kernel"]["dtype"], header["conv1_bn/moving_variance"]["dtype"]), ("F16", "F32"))
        self.assertIn("abstain_threshold", header["__metadata__"]["brainmri"])
        # It calibrates, abstains and refuses as the run does.
        half, run = (self.json("predict", m, *self.images, "--abstain")["images"] for m in ("again.safetensors", "r"))
        for a, b in zip(half, run):
            self.assertEqual((a["verdict"], a["threshold"]), (b["verdict"], b["threshold"]))
            self.assertAlmostEqual(a["confidence"], b["confidence"], places=2)
        for arguments in (["--to", "keras"], ["--to", "onnx"]):
            self.assertIn("--half", self.call("export", "r", *arguments, "--half", "--out", "x", code=2).stderr)

    def compact(self):
        self.call("run", "data", "--out", "compact", *SMALL, "--epochs", "1", "--no-bench", "--model", "compact")
        return "compact"

    def test_calibration_of_another_run(self):
        self.call("run", "data", "--out", "tested", *SMALL, "--epochs", "2", "--no-bench")
        self.call("export", "r", "--to", "safetensors", "--out", "own.safetensors")
        done = self.call("export", "r", "--to", "safetensors", "--calibration", "tested", "--out", "taken.safetensors")
        self.assertIn("Calibration of tested: temperature ", done.stdout)
        own, taken, tested = (self.json("predict", m, *self.images, "--abstain")["images"]
                              for m in ("own.safetensors", "taken.safetensors", "tested"))
        for a, b, c in zip(own, taken, tested):
            self.assertEqual(b["threshold"], c["threshold"])
            likeliest = [max(i["probabilities"], key=i["probabilities"].get) for i in (a, b)]
            self.assertEqual(*likeliest)
        trust = []
        for name in ("own", "taken"):
            data = self.read(f"{name}.safetensors")
            header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
            trust.append(json.loads(json.loads(header["__metadata__"]["brainmri"])["trust"]))
        temperature = self.load("tested/evaluation_metrics.json")["reliability"]["temperature"]
        self.assertAlmostEqual(trust[1].pop("temperature"), temperature)
        for one in trust:
            one.pop("temperature", None), one.pop("abstain_threshold")
        self.assertEqual(trust[0], trust[1])  # what it refuses is its own
        self.assertIn("--calibration is for", self.call("export", "r", "--to", "onnx", "--calibration", "tested", "--out", "x", code=2).stderr)
        self.assertIn("another network", self.call("export", "r", "--to", "keras", "--calibration", self.compact(), "--out", "x", code=2).stderr)
        self.call("train", "tested", "--epochs", "1")
        self.assertIn("not evaluated", self.call("export", "r", "--to", "keras", "--calibration", "tested", "--out", "x", code=2).stderr)

    def test_half_precision_that_costs_accuracy_is_refused(self):
        """The same number added to a kernel's every class changes nothing but what rounding leaves of their differences."""
        self.call("run", "data", "--out", "w", *SMALL, "--epochs", "12", "--head", "linear", "--no-bench")
        model = next((self.folder / "w").glob("best_model*.keras"))
        self.call("export", "w", "--to", "safetensors", "--out", "plain.safetensors")
        data = bytearray(self.read("plain.safetensors"))
        end = 8 + struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:end])
        name = next(n for n in header if n.endswith("/kernel") and header[n]["shape"][-1] == 4)
        first, last = header[name]["data_offsets"]

        def shift(by):
            changed = bytearray(data)
            for at in range(end + first, end + last, 4):
                changed[at:at + 4] = struct.pack("<f", struct.unpack("<f", data[at:at + 4])[0] + by)
            model.write_bytes(changed)  # what a file is, is decided by its content

        shift(30008)  # between two halves 16 apart: only the signs are left
        done = self.call("export", "w", "--to", "safetensors", "--half", "--out", "bad.safetensors", code=1)
        self.assertIn("half precision costs too much", done.stderr)
        shift(70000)
        done = self.call("export", "w", "--to", "safetensors", "--half", "--out", "bad.safetensors", code=1)
        self.assertIn(f"'{name}'", done.stderr)
        self.assertEqual(list(self.folder.glob("bad.safetensors*")), [])

    def test_the_final_split_says_that_it_is_no_test(self):
        config, card = self.load("r/config.json"), self.read("r/MODEL_CARD.md").decode()
        self.assertEqual(config["split"], "final")
        self.assertIn("No test", card)
        self.assertIn("--split final", card)
        rows = self.read("r/split.csv").decode().splitlines()[1:]
        parts = {p: {r.split(",")[0] for r in rows if r.split(",")[1] == p} for p in ("train", "validation", "test")}
        self.assertEqual(parts["validation"], parts["test"])
        self.assertFalse(parts["validation"] & parts["train"])
        self.assertLess(len(parts["validation"]), len(parts["train"]) / 8)
        self.assertIn("no test", self.read("r/report.html").decode())


@unittest.skipUnless(SHIPS, "no model ships with this build")
class Shipped(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.images = sorted(str(p.relative_to(cls.folder)) for p in (cls.folder / "data").glob("*/*.*"))[::7]

    def test_it_answers_without_a_run(self):
        answer = self.json("predict", *self.images, "--any-image")
        self.assertEqual(answer["model"], "shipped")
        self.assertEqual([i["path"] for i in answer["images"]], self.images)
        for image in answer["images"]:
            self.assertAlmostEqual(sum(image["probabilities"].values()), 1, places=5)
        done = self.call("predict", self.images[0])
        self.assertEqual(done.stderr.count("ships with the program"), 1)
        self.assertIn("no diagnosis", done.stderr)
        self.assertNotIn("ships", done.stdout)
        self.assertEqual(self.call("predict", self.images[0], "--quiet").stderr, "")

    def test_an_image_that_cannot_be_read_is_named(self):
        (self.folder / "bad.jpg").write_text("no image")
        done = self.call("predict", "bad.jpg", self.images[0], code=1)
        self.assertIn("bad.jpg", done.stderr)
        self.assertIn(self.images[0], done.stdout)

    def test_it_refuses_a_blank_page(self):
        def part(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        blank = self.folder / "blank.png"
        blank.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)) +
                          part(b"IDAT", zlib.compress((b"\0" + b"\xff" * 64) * 64)) + part(b"IEND", b""))
        self.assertEqual(self.json("predict", blank.name)["images"][0]["verdict"], "refused")

    def test_its_card_says_what_it_is_not_for(self):
        card = self.call("predict", "--card").stdout
        self.assertIn("It must not be used", card)
        self.assertEqual(self.json("predict", "--card")["card"].strip(), card.strip())

    def test_the_program_carries_it_once(self):
        self.assertEqual(pathlib.Path(PROGRAM).read_bytes().count(b'"conv1_conv/kernel":{'), 1)
        self.assertLess(os.path.getsize(PROGRAM), 12e6)


if __name__ == "__main__":
    unittest.main()
