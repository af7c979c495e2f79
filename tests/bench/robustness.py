#!/usr/bin/env python3
"""What a model makes of its test images when they come otherwise: squashed, framed, recompressed, inverted, in 16 bits.

usage: robustness.py PROGRAM RUN DATA [--images N]

RUN is an evaluated run on the folder DATA (its predictions.csv names the test images). Every change is made to each of them, written to a
file, and classified by PROGRAM as a user would have it. Prints a table. Needs Pillow.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

from PIL import Image, ImageOps


def framed(level, share):
    return lambda image: ImageOps.expand(image, border=int(max(image.size) * share), fill=level)


def squashed(width, height):
    return lambda image: image.resize((int(image.width * width), int(image.height * height)))


def deep(bits):
    """16-bit grey of which so many bits are used, as scanners' exports have it."""
    return lambda image: image.convert("I").point(lambda value: value * ((1 << bits) - 1) / 255).convert("I;16")


CHANGES = [
    ("as they are", "png", lambda image: image, {}),
    ("a third of the width", "png", squashed(1 / 3, 1), {}),
    ("60 % of the height", "png", squashed(1, 0.6), {}),
    ("96 pixels a side", "png", lambda image: image.resize((96, 96)), {}),
    ("1,500 pixels wide", "png", lambda image: image.resize((1500, 1500 * image.height // image.width)), {}),
    ("JPEG, quality 20", "jpg", lambda image: image, {"quality": 20}),
    ("JPEG, quality 10", "jpg", lambda image: image, {"quality": 10}),
    ("black margin of 25 %", "png", framed(0, 0.25), {}),
    ("white frame of 8 %", "png", framed(255, 0.08), {}),
    ("grey frame of 8 %", "png", framed(128, 0.08), {}),
    ("inverted", "png", ImageOps.invert, {}),
    ("half as bright", "png", lambda image: image.point(lambda value: value // 2), {}),
    ("16 bits, 12 in use", "png", deep(12), {}),
    ("16 bits, 16 in use", "png", deep(16), {}),
]


def classify(program, run, files):
    # Exit code 1 would be an image that cannot be read; the JSON says which.
    done = subprocess.run([program, "predict", run, *files, "--json", "--quiet"], capture_output=True, text=True)
    images = json.loads(done.stdout)["images"]
    unread = [one for one in images if "error" in one]
    if unread:
        sys.exit(f"{len(unread)} images were not read, the first because: {unread[0]['error']}")
    return images


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("run")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--images", type=int, help="so many of the test images, spread over all (all)")
    options = parser.parse_args()
    with open(pathlib.Path(options.run) / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    if options.images and options.images < len(rows):
        rows = [rows[i * len(rows) // options.images] for i in range(options.images)]
    print(f"{len(rows)} test images of {options.run}")
    print(f"{'change':24} {'accuracy':>9} {'class as unchanged':>19} {'refused':>8}")
    plain = None
    for name, kind, change, settings in CHANGES:
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for i, row in enumerate(rows):
                image = Image.open(options.data / row["path"]).convert("RGB").convert("L")
                files.append(f"{folder}/{i:05}.{kind}")
                change(image).save(files[-1], **(settings or {"compress_level": 1}))
            found = classify(options.program, options.run, files)
        best = [max(one["probabilities"], key=one["probabilities"].get) for one in found]
        plain = plain or best
        right = sum(one == row["label"] for one, row in zip(best, rows))
        same = sum(one == other for one, other in zip(best, plain))
        refused = sum(one["verdict"] == "refused" for one in found)
        print(f"{name:24} {right / len(rows):9.4f} {same / len(rows):19.4f} {refused:8}", flush=True)


if __name__ == "__main__":
    main()
