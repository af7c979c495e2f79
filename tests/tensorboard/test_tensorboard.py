"""What --tensorboard leaves, read by TensorBoard's own reader and compared with training_history.json. Its Python is BRAINMRI_TENSORBOARD, or
the one that scripts/test-tensorboard.sh makes."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from program import PROGRAM, SMALL, Case  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = os.environ.get("BRAINMRI_TENSORBOARD") or os.path.expanduser("~/.cache/brainmri-peers/tensorboard/bin/python")
QUICK = [*SMALL, "--no-bench"]


def missing():
    try:
        done = subprocess.run([PYTHON, "-c", "import tensorboard.backend.event_processing.event_accumulator"], capture_output=True, timeout=120)
    except OSError:
        return f"there is no '{PYTHON}' ('make test-tensorboard' makes it)"
    return None if done.returncode == 0 else f"'{PYTHON}' has no tensorboard"


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


class TensorBoard(Case):
    count = 24

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.call(cls, "run", "data", "--out", "one", *QUICK, "--tensorboard")

    def board(self, run):
        folders = [str(path) for path in sorted((self.folder / run / "tensorboard").iterdir())]
        done = subprocess.run([PYTHON, HERE / "read.py", *folders], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertNotIn("orrupt", done.stderr)
        return {pathlib.Path(folder).name: part for folder, part in json.loads(done.stdout).items()}

    def files(self, run, part):
        return sorted(path.name for path in (self.folder / run / "tensorboard" / part).iterdir())

    def check_epochs(self, run, board):
        history = self.load(f"{run}/training_history.json")
        self.assertGreater(len(history["loss"]), 2)
        for part, tag, name in (("train", "epoch_loss", "loss"), ("train", "epoch_accuracy", "accuracy"), ("train", "epoch_learning_rate", "learning_rate"),
                                ("validation", "epoch_loss", "val_loss"), ("validation", "epoch_accuracy", "val_accuracy")):
            rows = board[part]["scalars"][tag]
            self.assertEqual([step for step, _, _ in rows], list(range(len(history[name]))), (part, tag))
            for (_, value, _), expected in zip(rows, history[name]):
                self.assertAlmostEqual(value, float32(expected), delta=1e-6 * max(1, abs(expected)), msg=(part, tag))

    def test_epochs_are_those_of_the_history(self):
        board = self.board("one")
        self.assertEqual(sorted(board), ["test", "train", "validation"])
        self.assertEqual({part["version"] for part in board.values()}, {2.0})
        self.check_epochs("one", board)
        self.assertEqual(set(board["validation"]["scalars"]), {"epoch_loss", "epoch_accuracy"})
        self.assertLess(abs(board["train"]["scalars"]["epoch_loss"][-1][2] - time.time()), 600)

    def test_batches_have_their_steps(self):
        rows = self.board("one")["train"]["scalars"]
        for tag in ("batch_loss", "batch_accuracy", "batch_learning_rate"):
            steps = [step for step, _, _ in rows[tag]]
            self.assertEqual(steps, list(range(10, 10 * len(steps) + 1, 10)), tag)
        self.assertTrue(all(0 <= value <= 1 for _, value, _ in rows["batch_accuracy"]))

    def test_the_evaluation_is_there(self):
        test, metrics = self.board("one")["test"], self.load("one/evaluation_metrics.json")
        self.assertAlmostEqual(test["scalars"]["test_accuracy"][0][1], metrics["accuracy"], places=6)
        if (self.folder / "one/figures/confusion_matrix.png").exists():
            (step, width, height, head), = test["images"]["confusion_matrix"]
            self.assertEqual(head, b"\x89PNG\r\n\x1a\n".hex())
            self.assertEqual(struct.unpack(">II", self.read("one/figures/confusion_matrix.png")[16:24]), (width, height))

    def test_it_changes_no_result(self):
        self.call("run", "data", "--out", "plain", *QUICK)
        self.assertFalse((self.folder / "plain/tensorboard").exists())
        for name in ("best_model_stage1.keras", "predictions.csv"):
            self.assertEqual(self.read(f"one/{name}"), self.read(f"plain/{name}"), name)

    def test_a_resumed_run_goes_on_in_a_new_file(self):
        command = ["run", "data", "--out", "stopped", *QUICK, "--epochs", "40", "--tensorboard"]
        run = subprocess.Popen([PROGRAM, *command], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in run.stdout:
            if line.startswith("Epoch 5/"):
                run.send_signal(signal.SIGINT)
                break
        run.communicate(timeout=300)
        self.assertEqual(run.returncode, 1)
        self.assertEqual(len(self.files("stopped", "train")), 1)
        before = self.files("stopped", "train")[0]
        self.call("run", "--out", "stopped", "--resume", "--tensorboard")
        files = self.files("stopped", "train")
        self.assertEqual((len(files), files[0]), (2, before))
        board = self.board("stopped")
        self.check_epochs("stopped", board)
        steps = [step for step, _, _ in board["train"]["scalars"]["batch_loss"]]
        self.assertEqual(steps, list(range(10, 10 * len(steps) + 1, 10)))

    def test_a_new_run_begins_with_new_files(self):
        self.call("run", "data", "--out", "anew", *QUICK, "--tensorboard")
        self.call("run", "data", "--out", "anew", *QUICK, "--tensorboard", "--seed", "5", "--force")
        for part in ("train", "validation", "test"):
            self.assertEqual(len(self.files("anew", part)), 1, part)
        self.check_epochs("anew", self.board("anew"))

    def test_what_cannot_be_written_is_warned_of_once(self):
        (self.folder / "blocked").mkdir()
        (self.folder / "blocked/tensorboard").write_text("a file where the folder should be")
        done = self.call("run", "data", "--out", "blocked", *QUICK, "--tensorboard")
        self.assertEqual(done.stderr.count("TensorBoard's files are not written any more"), 1)


if __name__ == "__main__":
    if missing():
        print(f"skipped: {missing()}")
        sys.exit(77)  # Meson's "skipped"
    unittest.main()
