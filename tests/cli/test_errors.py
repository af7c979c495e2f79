"""What goes wrong: the exit code, the message, and what to do next."""
import json
import os
import shutil
import subprocess
import unittest

from program import PROGRAM, SMALL, Case

JPEG_START = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


class Errors(Case):
    def data(self, name, **classes):
        """A data set of copies: class = number of images."""
        root = self.folder / name
        for label, count in classes.items():
            (root / label).mkdir(parents=True)
            for i, path in enumerate(sorted((self.folder / "data" / "glioma").iterdir())[:count]):
                shutil.copy(path, root / label / path.name)
        if not classes:
            root.mkdir()
        return name

    def fails(self, *arguments, code=1, says=()):
        done = self.call(*arguments, code=code)
        for text in says:
            self.assertIn(text, done.stderr)
        self.assertEqual(done.stdout.count("Traceback"), 0)
        return done

    def test_data_that_is_not_there(self):
        self.fails("run", "nowhere", "--out", "r", says=["nowhere"])
        self.assertFalse((self.folder / "r").exists())
        self.fails("run", "--out", "r", code=2, says=["which data?", "brainmri phantom"])
        self.fails("run", "data", code=2, says=["where are the results to go?", "--out"])

    def test_a_file_as_data(self):
        (self.folder / "file.jpg").write_bytes(JPEG_START)
        self.fails("run", "file.jpg", "--out", "f", code=2, says=["file.jpg", "name the folder"])

    def test_class_folders(self):
        self.fails("run", self.data("none"), "--out", "r0", says=["none"])
        self.fails("run", self.data("single", glioma=3), "--out", "r1", says=["single"])
        empty = self.data("hollow", glioma=3, notumor=0)
        self.fails("run", empty, "--out", "r2", says=["hollow/notumor", "empty"])
        # Put right, the same folder can be taken: nothing was kept that it would mix with.
        self.call("explore", "data", "--out", "r2")

    def test_no_readable_image(self):
        root = self.folder / self.data("texts", a=0, b=0)
        for label in "ab":
            (root / label / "x.jpg").write_text("not an image")
        self.fails("explore", "texts", says=["texts"])

    def test_unreadable_files_are_named_and_left_out(self):
        name = self.data("partly", glioma=6, notumor=6)
        (self.folder / name / "glioma" / "broken.jpg").write_bytes(JPEG_START)
        (self.folder / name / "glioma" / "empty.png").write_bytes(b"")
        done = self.call("explore", name, "--out", "left")
        self.assertIn("broken.jpg", done.stderr)
        self.assertIn("Left out, because they cannot be read: 2 files", done.stdout)
        rejected = self.load("left/phases/03-data.json")["result"]["rejected"]
        self.assertEqual([r["path"] for r in rejected], ["glioma/broken.jpg", "glioma/empty.png"])
        self.fails("explore", name, "--strict", says=["glioma/broken.jpg", "--strict"])

    def test_a_stray_file_whose_name_is_not_utf8(self):
        root = self.folder / self.data("latin1", glioma=2, notumor=2)
        (root / "glioma" / "gr\udcfcn.jpg").write_bytes(JPEG_START)
        answer = json.loads(self.call("explore", "latin1", "--out", "latin1-run", "--json", errors="replace").stdout)
        rejected = self.result(answer, "data")["rejected"]
        self.assertEqual([r["path"] for r in rejected], ["glioma/gr?n.jpg"])
        self.assertEqual(self.load("latin1-run/data.json")["rejected"], rejected)

    def test_damaged_behind_its_header(self):
        name = self.data("cut", glioma=8, notumor=8)
        path = sorted((self.folder / name / "glioma").iterdir())[0]
        path.write_bytes(path.read_bytes()[:-400])
        self.call("explore", name, "--out", "cut-run")
        done = self.call("preprocess", "cut-run")
        self.assertIn(path.name, done.stderr)
        self.assertEqual(self.load("cut-run/phases/06-preprocess.json")["result"]["images"], 15)
        self.call("explore", name, "--out", "cut-strict", "--strict")
        self.fails("preprocess", "cut-strict", "--strict", says=[path.name])

    def test_a_folder_that_cannot_be_written(self):
        (self.folder / "plain").write_text("")
        self.fails("run", "data", "--out", "plain/run", says=["plain/run"])
        self.fails("phantom", "plain/data", says=["plain/data"])

    def test_phases_out_of_order(self):
        self.fails("evaluate", "nothing-here", says=["nothing-here", "is no run folder", "brainmri run"])
        self.call("explore", "data", "--out", "early", *SMALL)
        self.fails("train", "early", says=["brainmri preprocess early"])
        self.call("preprocess", "early")
        self.fails("evaluate", "early", says=["brainmri train early"])
        self.fails("report", "early", says=["brainmri train early"])
        self.fails("predict", "early", "data/glioma/phantom_000000.jpg", says=["brainmri train early"])

    def test_data_that_changed_since(self):
        name = self.data("moving", glioma=6, notumor=6)
        self.call("explore", name, "--out", "moved")
        next((self.folder / name / "glioma").iterdir()).unlink()
        self.fails("preprocess", "moved", says=["has changed", "brainmri explore moved"])

    def test_config_files(self):
        (self.folder / "c.json").write_text('{"data": "data", "colour": 1}')
        self.fails("run", "--config", "c.json", "--out", "c", code=2, says=["'colour'", "c.json"])
        (self.folder / "c.json").write_text('{"data": ')
        self.fails("run", "--config", "c.json", "--out", "c", code=2, says=["line 1"])
        self.fails("run", "--config", "missing.json", "--out", "c", says=["missing.json"])
        # Another run's settings do not mean its folder.
        (self.folder / "c.json").write_text('{"data": "data", "out": "theirs"}')
        for command in ("run", "crossval", "search"):
            self.fails(command, "--config", "c.json", code=2, says=["where are the results to go", "--out"])
        self.call("explore", "data", "--config", "c.json")
        self.assertFalse((self.folder / "theirs").exists())

    def test_models_that_are_none(self):
        (self.folder / "letter").write_text("no weights at all")
        (self.folder / "letter.keras").write_text("no weights at all")
        self.fails("predict", "letter.keras", "data/glioma/phantom_000000.jpg", says=["letter.keras"])
        self.fails("run", "data", "--out", "w", "--weights", "letter", says=["letter"])
        self.fails("run", "data", "--out", "w", "--weights", "data/glioma/phantom_000000.jpg", *SMALL)

    def test_imagenet_without_a_network(self):
        environment = {**os.environ, "BRAINMRI_IMAGENET_URL": "http://127.0.0.1:1/weights.h5", "XDG_CACHE_HOME": str(self.folder / "cache")}
        done = self.call("run", "data", "--out", "imagenet", "--weights", "imagenet", code=1, env=environment)
        for said in ("http://127.0.0.1:1/weights.h5", str(self.folder / "cache/brainmri/weights/resnet50"), "--weights none"):
            self.assertIn(said, done.stderr)
        self.assertFalse(list((self.folder / "cache").glob("**/*.part")))
        done = self.call("run", "data", "--out", "half", "--weights", "imagenet", "--width", ".5", code=2, env=environment)
        self.assertIn("--width", done.stderr)

    def test_a_model_and_weights_of_another(self):
        self.fails("run", "data", "--out", "both", "--model", "compact", "--weights", "imagenet", code=2, says=["compact", "resnet50"])
        self.call("run", "data", "--out", "r50", *SMALL, "--epochs", "1", "--no-bench")
        model = "r50/best_model_stage1.keras"
        self.fails("run", "data", "--out", "both", "--model", "compact", "--weights", model, code=2, says=["compact", model, "resnet50"])
        self.fails("run", "data", "--out", "both", "--model", "resnet50v1.5", "--weights", model, code=2, says=["resnet50v1.5", model, "--model resnet50"])
        self.fails("run", "data", "--out", "both", "--model", "resnet18", code=2, says=["resnet50, resnet50v1.5 or compact", "resnet18"])
        self.assertFalse((self.folder / "both").exists())
        self.call("explore", "data", "--out", "begun", "--weights", model)
        before = self.read("begun/config.json")
        self.fails("model", "begun", "--model", "compact", code=2, says=["compact", "--weights none"])
        self.assertEqual(self.read("begun/config.json"), before)
        self.call("model", "begun", "--model", "resnet50")
        self.call("model", "begun", "--model", "compact", "--weights", "none")
        self.fails("model", "begun", "--weights", model, code=2, says=["compact", "--model resnet50"])
        (self.folder / "c.json").write_text('{"data": "data", "model": "compact", "weights": "imagenet"}')
        self.fails("run", "--config", "c.json", "--out", "file", code=2, says=["compact", "imagenet"])

    def test_a_look_at_data_leaves_a_run_folder(self):
        self.call("classes", "data", "--out", "begins")
        self.call("preprocess", "begins")
        before = self.read("begins/config.json")
        self.call("classes", "begins", "--seed", "9")
        self.assertEqual(self.read("begins/config.json"), before)

    def test_phantoms_are_not_mixed(self):
        self.fails("phantom", "data", "--count", "5", code=2, says=["another count"])
        (self.folder / "mine").mkdir()
        (self.folder / "mine" / "letter.txt").write_text("keep")
        self.fails("phantom", "mine", code=2, says=["not empty"])
        self.assertIn("already", self.call("phantom", "data", "--count", str(self.count), "--size", "48", "--seed", "3").stdout)

    def test_deleted_phantoms_are_drawn_again(self):
        draw = ["phantom", "drawn", "--count", "2", "--size", "32"]
        self.call(*draw)
        before = {p: p.read_bytes() for p in (self.folder / "drawn").glob("*/*")}
        shutil.rmtree(self.folder / "drawn" / "glioma")
        self.assertIn("written", self.call(*draw).stdout)
        self.assertEqual({p: p.read_bytes() for p in (self.folder / "drawn").glob("*/*")}, before)
        self.assertIn("already", self.call(*draw).stdout)

    def test_options_that_a_command_has_no_use_for(self):
        image = next((self.folder / "data" / "glioma").iterdir())
        self.fails("predict", image, "--seed", "abc", code=2, says=["--seed takes"])
        self.fails("data", "ls", "data", "--threads", "q", code=2, says=["--threads takes"])

    def test_a_run_that_is_not_there_is_not_resumed(self):
        self.fails("run", "--out", "nothing", "--resume", code=1, says=["there is no run in 'nothing'", "--out nothing"])
        self.assertFalse((self.folder / "nothing").exists())

    def test_results_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "environment"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([PROGRAM, "run", "--help"], stdout=write, stderr=subprocess.PIPE, text=True)
        os.close(write)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Broken pipe", done.stderr)


if __name__ == "__main__":
    unittest.main()
