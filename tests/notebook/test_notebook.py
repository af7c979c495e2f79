#!/usr/bin/env python3
"""The notebook: its 30 cells, what is saved in them, and all of it run anew on phantoms. Ends with "N passed, N failed[, N skipped]".

BRAINMRI is the program, BRAINMRI_NOTEBOOK_PYTHON a Python with notebook/requirements.txt; without it what runs the notebook is skipped by name.
usage: test_notebook.py [options of unittest]
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
NOTEBOOK = TOP / "notebook" / "Brain_MRI_Distributed_DL.ipynb"
PYTHON = os.environ.get("BRAINMRI_NOTEBOOK_PYTHON", "")
GUIDE = pathlib.Path(os.environ.get("BRAINMRI_SHARED", TOP.parent / "shared")) / "guide" / "outputs-guide.md"
LARGEST = 1_500_000  # bytes: it is kept in git

# The guide's cells in its order; of a Markdown cell its heading here.
CELLS = [
    ("Title", "# Distributed Deep Learning for Medical Imaging"), "Import Libraries",
    ("Hadoop Configuration Header", "## Phase 2: Hadoop Configuration"), "Initialize Spark Session", "Verify HDFS Connection",
    ("Data Management Header", "## Phase 3: HDFS Data Management"), "Upload/Verify Data in HDFS",
    ("Exploration Header", "## Phase 4: Data Exploration"), "Load and Display Sample Images",
    ("Analysis Header", "### Analysis"), "Analyze Image Properties",
    ("Class Distribution Header", "## Phase 5: Class Distribution"), "Analyze and Compute Class Weights",
    ("Preprocessing Header", "## Phase 6: Distributed Preprocessing"), "Spark Distributed Preprocessing",
    ("Model Architecture Header", "## Phase 7: Model Architecture"), "Build ResNet-50 Model",
    ("Training Header", "## Phase 8: Training"), "Two-Stage Training", "Training History Plots",
    ("Evaluation Header", "## Phase 9: Evaluation"), "Test Set Evaluation", "Comprehensive Metrics", "Confusion Matrix", "ROC Curves",
    "Sample Predictions",
    ("Summary Header", "## Phase 10: Save & Summary"), "Save Artifacts", "Performance Benchmarking",
    ("Final Summary", "## Final Summary"),
]
# What a cell must say and, of the guide's "[Visual: ...]", show.
SAYS = {2: "Environment Setup", 4: "PHASE 2", 5: "HDFS", 7: "Class Directories", 9: "Loaded 8 sample images", 11: "Dimension Distribution",
        13: "Class Weights", 15: "Preprocessing complete", 17: "Total params", 19: "TRAINING SUMMARY", 22: "Test Accuracy",
        23: "macro avg", 24: "Predicted", 25: "Mean AUC", 26: "correct (green)", 28: "Artifacts saved successfully",
        29: "FINAL MODEL PERFORMANCE"}
PICTURES = {9, 13, 20, 24, 25, 26, 29}
QUICK = "--plan scratch --width 0.125 --image-size 32 --epochs 3 --batch 16 --no-augment --threads 1"


def text(value):
    return "".join(value)  # a string, or a list of lines


def run(out, notebook=NOTEBOOK, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BRAINMRI_")}
    return subprocess.run([PYTHON, TOP / "notebook" / "run.py", out, notebook], capture_output=True, text=True, timeout=1500,
                          env={**clean, "BRAINMRI_PROGRAM": os.environ.get("BRAINMRI", str(TOP / "build/cli/brainmri")), **environment})


class Checks(unittest.TestCase):
    def check_cells(self, notebook):
        self.assertEqual(len(notebook["cells"]), 30)
        for number, (cell, wanted) in enumerate(zip(notebook["cells"], CELLS), 1):
            first = text(cell["source"]).splitlines()[0]
            with self.subTest(cell=number):
                if isinstance(wanted, tuple):
                    self.assertEqual(cell["cell_type"], "markdown")
                    self.assertEqual(first.split(": Brain")[0], wanted[1])
                else:
                    self.assertEqual(cell["cell_type"], "code")
                    self.assertEqual(first, f"# Cell {number}: {wanted}")
                    if number != 2:
                        self.assertLessEqual(len(text(cell["source"]).splitlines()), 5)

    def check_outputs(self, notebook):
        for number, cell in enumerate(notebook["cells"], 1):
            if cell["cell_type"] != "code":
                continue
            with self.subTest(cell=number):
                self.assertTrue(cell["outputs"])
                said, pictures = "", 0
                for output in cell["outputs"]:
                    self.assertIn(output["output_type"], ("stream", "display_data"))
                    if output["output_type"] == "stream":
                        self.assertTrue(text(output["text"]).strip())
                        said += text(output["text"])
                    else:
                        shown = [text(data) for kind, data in output["data"].items() if kind.startswith("image/")]
                        self.assertEqual(len(shown), 1)
                        self.assertGreater(len(shown[0]), 2000)
                        pictures += 1
                self.assertIn(SAYS.get(number, ""), said)
                self.assertEqual(pictures, 1 if number in PICTURES else 0)
        last = text(notebook["cells"][-1]["source"])
        self.assertRegex(last, r"\| Test accuracy \| [01]\.\d{4} ")


class Saved(Checks):
    """The notebook as it is in the repository."""

    def setUp(self):
        self.notebook = json.loads(NOTEBOOK.read_text())

    def test_cells(self):
        self.check_cells(self.notebook)

    def test_outputs(self):
        self.check_outputs(self.notebook)
        self.assertLess(NOTEBOOK.stat().st_size, LARGEST)

    @unittest.skipUnless(GUIDE.is_file(), f"no {GUIDE}")
    def test_titles_are_the_guides(self):
        titles = re.findall(r"^### Cell (\d+): (?:Markdown - )?(.*?)(?: \(Markdown\))?$", GUIDE.read_text(), re.M)
        self.assertEqual(titles, [(str(number), cell if isinstance(cell, str) else cell[0]) for number, cell in enumerate(CELLS, 1)])


@unittest.skipUnless(PYTHON, "no Python with notebook/requirements.txt")
class Executed(Checks):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="brainmri-notebook-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_on_phantoms(self):
        out, place = self.folder / "out.ipynb", self.folder / "run"
        done = run(out, BRAINMRI_RUN=str(place), BRAINMRI_SETTINGS=QUICK)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        notebook = json.loads(out.read_text())
        self.check_cells(notebook)
        self.check_outputs(notebook)
        self.assertLess(out.stat().st_size, LARGEST)
        # What stands in the cells is that run's.
        metrics = json.loads((place / "evaluation_metrics.json").read_text())
        self.assertIn(f"| {metrics['accuracy']:.4f} (", text(notebook["cells"][-1]["source"]))
        self.assertIn(f"Test Accuracy: {metrics['accuracy']:.4f}", text(notebook["cells"][21]["outputs"][0]["text"]))
        self.assertIn("phantoms", text(notebook["cells"][-1]["source"]))

    def test_failing_cell(self):
        out = self.folder / "out.ipynb"
        done = run(out, BRAINMRI_RUN=str(self.folder / "run"), BRAINMRI_DATA=str(self.folder / "nothing"))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("a cell failed", done.stderr)
        self.assertIn("nothing", done.stderr)
        self.assertFalse(out.exists())


def main():
    program = unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], exit=False)
    result = program.result
    failed, skipped = len({test.id().split(" (cell")[0] for test, _ in result.failures + result.errors}), len(result.skipped)
    line = f"{max(result.testsRun - failed - skipped, 0)} passed, {failed} failed"
    print(line + (f", {skipped} skipped" if skipped else ""))
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
