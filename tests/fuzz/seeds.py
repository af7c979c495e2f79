"""Files that the program makes itself, for the fuzzers to start from. usage: seeds.py PROGRAM FOLDER"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

program, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()


def call(*arguments):
    subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def put(name, content):
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def parts(*contents):
    """As fuzz_part of fuzz.h takes them."""
    return b"".join(struct.pack("<I", len(c)) + c for c in contents)


with tempfile.TemporaryDirectory(prefix="brainmri-seeds-") as folder:
    folder = pathlib.Path(folder)
    run = folder / "run"
    call("phantom", folder / "data", "--count", "8", "--size", "40")
    call("run", folder / "data", "--out", run, "--plan", "scratch", "--width", "0.0625", "--image-size", "32", "--epochs", "1",
         "--threads", "1", "--no-bench", "--quiet")

    for number, path in enumerate(sorted((folder / "data").rglob("*.*g"))):
        for how in range(4) if number < 4 else [0]:
            put(f"image/{number}-{how}", path.read_bytes() + bytes([how]))

    json_text, manifest, images = ((run / "pack" / n).read_bytes() for n in ("pack.json", "manifest.csv", "images.npy"))
    put("pack/whole", parts(json_text, manifest) + struct.pack("<I", len(images)) + images[:192])

    config = (run / "config.json").read_bytes()
    put("config/run", config)
    for plan in ("two-stage", "scratch"):
        put(f"config/{plan}", json.dumps({"data": "x", "plan": plan, "image_size": 96, "weights": "none"}).encode())

    put("config/digits", b'{"width": 0.12345678901234567, "plan": {"name": "x", "stages": [{"epochs": 1, "part": "all", "image_size": 32, '
                         b'"learning_rate": 0.12345678901234567}]}}')

    keras = run / "best_model_stage1.keras"
    with zipfile.ZipFile(keras) as z:
        own, keras_config, weights = (z.read(n) for n in ("brainmri.json", "config.json", "model.weights.h5"))
    call("export", run, "--to", "safetensors", "--out", folder / "model.safetensors", "--quiet")
    put("model/safetensors", b"F" + (folder / "model.safetensors").read_bytes())
    put("model/keras", b"F" + keras.read_bytes())
    put("model/h5", b"F" + weights)
    put("model/own", b"K" + parts(own, keras_config) + weights)
    put("model/of-keras", b"K" + parts(b"", keras_config) + weights)
