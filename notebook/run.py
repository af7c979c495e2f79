#!/usr/bin/env python3
"""Runs the notebook from its first cell to its last and writes it with its outputs: pictures made small, and the run's figures in the last cell.
Needs requirements.txt beside this file; `make notebook` sees to it. usage: run.py OUT [NOTEBOOK]

The settings are in the notebook's first code cell; it takes BRAINMRI_DATA, BRAINMRI_RUN and others from the environment. Exit code 1: a cell failed.
"""
import base64
import datetime
import io
import json
import os
import pathlib
import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
WIDEST = 836  # pixels of a picture that is kept
MARK = "<!-- below: written by notebook/run.py -->"


def make_small(output):
    """A picture of photographs as JPEG: a tenth of the bytes."""
    png = output.get("data", {}).pop("image/png", None)
    if png is None:
        return
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.thumbnail((WIDEST, WIDEST * 4))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=80)
    output["data"]["image/jpeg"] = base64.b64encode(jpeg.getvalue()).decode()
    output["metadata"].pop("image/png", None)


def summary(run, drawn):
    """The figures of the run, for the last cell."""
    def load(name):
        return json.loads((run / name).read_text())

    metrics, model, config = load("evaluation_metrics.json"), load("model_metadata.json"), load("config.json")
    low, high = metrics["accuracy_interval_95"]
    training, plan = model["training"], config["plan"]
    rows = {
        "Data": f"{model['data']['images']:,} images, " + ("phantoms: drawn by the program, not anatomy" if drawn else
                                                           pathlib.PurePath(model["data"]["folder"]).name),
        "Network": f"{model['architecture']}, width {config['width']:g}, {config['image_size']} x {config['image_size']} pixels",
        "Training": f"plan {plan['name']}, {training['epochs']} epochs in {training['seconds'] / 60:.1f} minutes",
        "Settings": f"`{os.environ.get('BRAINMRI_SETTINGS') or 'as in cell 2'}`",
        "Test accuracy": f"{metrics['accuracy']:.4f} (95 % interval {low:.4f} to {high:.4f}) on {metrics['count']:,} images",
        "Test loss": f"{metrics['loss']:.4f}",
        "Macro F1-score": f"{metrics['macro_f1']:.4f}",
        "Mean AUC": f"{metrics['mean_auc']:.4f}",
        "Most confused": " and ".join(metrics["most_confused"]) if metrics.get("most_confused") else "none",
    }
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    short = " It was a short training; longer ones reach more." if training["seconds"] < 1800 else ""
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    return f"The outputs above are of {when}, {model['program']}.{short}\n\n| | |\n|---|---|\n{table}"


def main():
    out = pathlib.Path(sys.argv[1]).resolve()
    source = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "Brain_MRI_Distributed_DL.ipynb"
    for name in ("DATA", "RUN", "PROGRAM"):  # the notebook's own folder is where it works
        value = os.environ.get("BRAINMRI_" + name)
        if value and "://" not in value:
            os.environ["BRAINMRI_" + name] = str(pathlib.Path(value).resolve())
    run = pathlib.Path(os.environ.setdefault("BRAINMRI_RUN", str(HERE.parent / "runs" / "notebook")))

    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", record_timing=False, coalesce_streams=True,
                            resources={"metadata": {"path": str(HERE)}},
                            on_cell_execute=lambda cell, cell_index: print(f"cell {cell_index + 1} of {len(notebook.cells)}", file=sys.stderr))
    try:
        client.execute()
    except CellExecutionError as error:
        print(f"notebook/run.py: a cell failed; nothing is written\n{error}", file=sys.stderr)
        return 1
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            make_small(output)
    last = notebook.cells[-1]
    last.source = f"{last.source.split(MARK)[0].rstrip()}\n\n{MARK}\n{summary(run, not os.environ.get('BRAINMRI_DATA'))}".rstrip()
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    nbformat.write(notebook, part)
    part.replace(out)
    print(f"{out} ({out.stat().st_size / 1000:.0f} kB); the run folder: {run}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
