"""How far it may be believed: temperature, abstaining, refusal, the model card, the leak audit."""
import json
import math
import random
import shutil
import struct
import unittest
import zlib

from program import SMALL, Case

SIDE = 128


def png(path, value):
    """A grey PNG of value(x, y), 0 to 255."""
    rows = b"".join(b"\0" + bytes(max(0, min(255, int(value(x, y)))) for x in range(SIDE)) for y in range(SIDE))

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)) +
                     part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


def inside(x, y, cx, cy, rx, ry):
    return ((x / SIDE - cx) / rx) ** 2 + ((y / SIDE - cy) / ry) ** 2 < 1


def cat(x, y):
    if inside(x, y, .4, .5, .04, .05) or inside(x, y, .6, .5, .04, .05):
        return 25
    if inside(x, y, .5, .55, .3, .26) or inside(x, y, .32, .3, .08, .14) or inside(x, y, .68, .3, .08, .14):
        return 165 + 8 * math.sin(x * 1.7) * math.sin(y * 2.3)
    return 110 + 30 * math.sin(x / 18 + y / 33) + 20 * math.sin(x / 4 - y / 6)


chance = random.Random(4)
STRANGE = {
    "white": lambda x, y: 255,
    "black": lambda x, y: 0,
    "grey": lambda x, y: 128,
    "gradient": lambda x, y: (x + y) * 255 / (2 * SIDE),
    "noise": lambda x, y: chance.randrange(256),
    "text": lambda x, y: 20 if y % 12 < 7 and x % 7 < 5 and chance.random() < .5 else 250,
    "cat": cat,
}


class Trust(Case):
    count = 40

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.first = cls.call(cls, "run", "data", "--out", "one", *SMALL, "--no-bench")
        for name, value in STRANGE.items():
            png(cls.folder / f"{name}.png", value)

    def test_the_evaluation_tells_how_far_to_believe_it(self):
        metrics = self.load("one/evaluation_metrics.json")
        r = metrics["reliability"]
        self.assertGreater(r["temperature"], 0)
        self.assertEqual(r["bootstrap_resamples"], 2000)
        low, high = r["bootstrap_95"]["accuracy"]
        self.assertLessEqual(low, metrics["accuracy"])
        self.assertGreaterEqual(high, metrics["accuracy"])
        self.assertEqual(sum(b[0] for b in r["after_temperature"]["bins"]), metrics["count"])
        self.assertEqual(len(r["coverage_accuracy_threshold"]), 100)
        self.assertAlmostEqual(r["coverage_accuracy_threshold"][-1][1], metrics["accuracy"])
        self.assertTrue(r["unlike_check"])
        for said in (f"ECE (15 bins)", f"{r['after_temperature']['ece']:.4f}", "Not sure: see a radiologist", "false refusals"):
            self.assertIn(said, self.first.stdout)
        trust = self.load("one/model_metadata.json")["trust"]
        self.assertAlmostEqual(trust["temperature"], r["temperature"])
        self.assertAlmostEqual(trust["abstain_threshold"], r["abstain_threshold"])
        for name in ("reliability", "coverage"):
            self.assertTrue((self.folder / f"one/figures/{name}.csv").is_file())
            self.assertIn(name, self.read("one/report.html").decode())

    def test_the_model_card_has_the_runs_own_figures(self):
        card = self.read("one/MODEL_CARD.md").decode()
        metrics = self.load("one/evaluation_metrics.json")
        for said in ("It must not be used", "Intended use", f"{metrics['accuracy']:.4f}", f"{metrics['macro_f1']:.4f}",
                     "best_model_stage1.keras", "notumor", f"{metrics['reliability']['temperature']:.3f}"):
            self.assertIn(said, card)

    def test_strange_images_are_refused(self):
        images = [f"{name}.png" for name in STRANGE]
        answer = self.json("predict", "one", *images)
        self.assertEqual({i["path"]: i["verdict"] for i in answer["images"]}, {i: "refused" for i in images})
        self.assertEqual(answer["refused"], len(images))
        self.assertTrue(all(i["class"] is None and i["unlikeness"] > 1 for i in answer["images"]))
        text = self.call("predict", "one", "cat.png").stdout
        self.assertIn("refused", text)
        self.assertIn("unlike", text)
        # A model file alone knows it too; on request every image gets a class.
        self.assertIn("refused", self.call("predict", "one/best_model_stage1.keras", "white.png").stdout)
        self.assertEqual(self.json("predict", "one", "white.png", "--any-image")["images"][0]["verdict"], "answered")

    def test_most_images_of_the_kind_are_not(self):
        images = sorted(str(p.relative_to(self.folder)) for p in (self.folder / "data").glob("*/*.*"))[::4]
        answer = self.json("predict", "one", *images)
        self.assertLess(answer["refused"], len(images) / 5)

    def test_it_abstains_when_asked(self):
        image = "data/glioma/phantom_000000.jpg"
        plain = self.json("predict", "one", image, "--any-image")["images"][0]
        self.assertEqual(plain["threshold"], 0)
        own = self.json("predict", "one", image, "--any-image", "--abstain")["images"][0]
        self.assertAlmostEqual(own["threshold"], self.load("one/model_metadata.json")["trust"]["abstain_threshold"], places=5)
        self.assertEqual(own["verdict"], "not sure" if own["confidence"] < own["threshold"] else "answered")
        for given in (["--abstain=1"], ["--abstain", "1"]):
            said = self.call("predict", "one", image, "--any-image", *given).stdout
            self.assertIn("not sure: see a radiologist", said)
        self.assertIn("0 to 1", self.call("predict", "one", image, "--abstain=7", code=2).stderr)

    def test_a_model_that_was_not_evaluated_has_no_threshold(self):
        self.call("explore", "data", "--out", "raw", *SMALL, "--epochs", "1", "--quiet")
        self.call("preprocess", "raw", "--quiet")
        self.call("train", "raw", "--quiet")
        self.assertIn("evaluate", self.call("predict", "raw", "cat.png", "--abstain", code=1).stderr)
        self.assertEqual(self.json("predict", "raw", "cat.png")["images"][0]["verdict"], "answered")


class Audit(Case):
    count = 14

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.call(cls, "phantom", "test", "--count", "6", "--size", "48", "--seed", "77")
        shutil.copy(cls.folder / "data/glioma/phantom_000003.jpg", cls.folder / "test/glioma/copy.jpg")
        # Other bytes, the same picture: a comment behind the end of the image.
        (cls.folder / "test/pituitary/near.jpg").write_bytes((cls.folder / "data/glioma/phantom_000006.jpg").read_bytes() + b"more")

    def test_copies_are_found_and_counted(self):
        done = self.call("audit", "data", "test", "--out", "a")
        self.assertIn("test/glioma/copy.jpg".split("/", 1)[1], done.stdout)
        audit = self.load("a/audit.json")
        self.assertEqual((audit["exact"], audit["near"], audit["chain"], audit["none"]), (1, 1, 0, 24))
        self.assertEqual(audit["across_classes"], 1)
        self.assertIn("another class", done.stdout)
        pairs = {(c["test"], c["train"]) for c in audit["copies"]}
        self.assertEqual(pairs, {("glioma/copy.jpg", "glioma/phantom_000003.jpg"), ("pituitary/near.jpg", "glioma/phantom_000006.jpg")})
        for name in ("copies.csv", "figures/copies.csv", "figures/copies.gp"):
            self.assertGreater(len(self.read(f"a/{name}")), 0)
        self.assertEqual(json.loads(self.call("audit", "data", "test", "--json").stdout)["exact"], 1)

    def test_accuracy_with_and_without(self):
        self.call("run", "data", "--out", "m", *SMALL, "--epochs", "1", "--no-bench", "--quiet")
        answer = self.json("audit", "data", "test", "--model", "m")
        self.assertEqual(answer["accuracy_all"]["images"], 26)
        self.assertEqual(answer["accuracy_without"]["images"], 24)
        self.assertEqual(answer["accuracy_copies"]["images"], 2)
        self.assertEqual(answer["accuracy_all"]["right"], answer["accuracy_without"]["right"] + answer["accuracy_copies"]["right"])

    def test_what_cannot_be_audited_is_said(self):
        self.assertIn("no-such", self.call("audit", "data", "no-such", code=1).stderr)
        self.assertIn("TRAIN TEST", self.call("audit", "data", code=2).stderr)


if __name__ == "__main__":
    unittest.main()
