"""Model files: Keras opens ours, we open Keras', both see the same arrays, layers, counts and probabilities."""
import io
import json
import os
import re
import zipfile

import h5py
import numpy as np

from parity import Folder, check, close, driver, finish, keras, ordered_weights, same_summary

rng = np.random.default_rng(3)
L = keras.layers


def arrays(path):
    """All groups, arrays and attributes of the weights in a file."""
    if path.endswith(".keras"):
        with zipfile.ZipFile(path) as z:
            check(f"{os.path.basename(path)}: whole zip", z.testzip() is None)
            opened = h5py.File(io.BytesIO(z.read("model.weights.h5")), "r")
    else:
        opened = h5py.File(path, "r")
    found = {}

    def visit(name, thing):
        if isinstance(thing, h5py.Dataset):
            found[name] = thing[...]
        else:
            found[name] = {k: v for k, v in thing.attrs.items() if (name, k) != ("vars", "name")}

    opened.visititems(visit)
    return found


def same(name, a, b):
    check(f"{name}: same names", list(a) == list(b), sorted(set(a) ^ set(b))[:5])
    for key in set(a) & set(b):
        if isinstance(a[key], dict):
            check(f"{name}: attributes of {key}", a[key] == b[key], (a[key], b[key]))
        else:
            check(f"{name}: {key}", a[key].dtype == b[key].dtype and np.array_equal(a[key], b[key]), (a[key].shape, b[key].shape))


def with_head(base, classes):
    """The guide's model as its notebook builds it."""
    x = L.GlobalAveragePooling2D(name="global_average_pooling2d")(base.output)
    x = L.Dense(256, activation="relu", name="dense")(x)
    x = L.Dropout(.5, name="dropout")(L.BatchNormalization(name="batch_normalization")(x))
    x = L.Dropout(.3, name="dropout_1")(L.Dense(128, activation="relu", name="dense_1")(x))
    return keras.Model(base.input, L.Dense(classes, activation="softmax", name="dense_2")(x), name="resnet50")


def totals(model):
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    return [int(re.search(rf"{what} params: ([\d,]+)", text)[1].replace(",", "")) for what in ("Total", "Trainable", "Non-trainable")]


folder = Folder()


def exchange(head, width, size, channels):
    """Ours to Keras, Keras' to us: the same arrays and counts. Returns the model and our file."""
    ours, theirs, again = (folder / f"{name}-{head}.keras" for name in ("ours", "theirs", "again"))
    driver("create", ours, width, size, channels, head, 4, 21)
    model = keras.models.load_model(ours)
    check(f"{head}: not compiled", not model.compiled)
    model.save(theirs)
    same(f"{head}, saved by Keras", arrays(ours), arrays(theirs))
    inside = [v.numpy().tobytes() for _, v in ordered_weights(model)]
    check(f"{head}: values differ from array to array", len(set(inside)) == len(inside))
    driver("resave", theirs, again)
    same(f"{head}, opened by us", arrays(theirs), arrays(again))
    total, trainable = map(int, driver("counts", ours, -1).split("\n")[0].split())
    check(f"{head}: counts", [total, trainable, total - trainable] == totals(model), (total, trainable, totals(model)))
    for last in (0, 30):  # the guide's two stages
        total, trainable = map(int, driver("counts", ours, last).split("\n")[0].split())
        for i, layer in enumerate(model.layers):
            layer.trainable = i >= 175 - last
        check(f"{head}: counts with the last {last}", [total, trainable, total - trainable] == totals(model), totals(model))
    return model, ours


exchange("dense512", .25, 64, 1)
model, ours = exchange("guide", 1, 224, 3)
check("counts of the guide's model", model.count_params() == 24146692, model.count_params())

# The layers are those of keras.applications, attribute by attribute.
for layer in model.layers:
    layer.trainable = True
reference = with_head(keras.applications.ResNet50(include_top=False, weights=None, input_shape=(224, 224, 3)), 4)
check("number of layers", len(model.layers) == len(reference.layers), len(model.layers))
for a, b in zip(model.layers[1:], reference.layers[1:]):
    ca, cb = a.get_config(), b.get_config()
    check(f"config of {b.name}", type(a) is type(b) and ca == cb, {k: (ca[k], cb.get(k)) for k in ca if ca[k] != cb.get(k)})
    check(f"output of {b.name}", a.output.shape == b.output.shape, a.output.shape)

# Our summary is the one that Keras prints for our file, line by line.
for last in (-1, 0, 30):
    for i, layer in enumerate(model.layers):
        layer.trainable = last < 0 or i >= 175 - last
    same_summary(f"the last {last} trainable", ours, model, last)
for layer in model.layers:
    layer.trainable = True

# Predictions of a file that went ours -> Keras -> ours. Weights of a .weights.h5 and of a compiled model's file are taken too.
small = folder / "small.keras"
driver("create", small, .25, 64, 1, "guide", 3, 22)
model = keras.models.load_model(small, compile=False)
images = rng.random((4, 64, 64, 1)).astype(np.float32)
folder.write("images.f32", images)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(images, np.arange(4) % 3, epochs=1, verbose=0)  # other weights, and an optimiser in the file
trained = folder / "trained.keras"
model.save(trained)
driver("forward", trained, folder.path, 64, 4)
close("predictions of a file that Keras trained", folder.read("probabilities.f32", (4, 3)), model.predict(images, verbose=0))
model.save_weights(folder / "trained.weights.h5")
driver("take", small, folder / "trained.weights.h5", folder / "taken.keras")
one, two = arrays(trained), arrays(folder / "taken.keras")
same("weights taken from .weights.h5", {k: v for k, v in one.items() if k.startswith("layers")},
     {k: v for k, v in two.items() if k.startswith("layers")})

# Shallower networks, known by their layers where Keras wrote the file.
for depth in (14, 26):
    shallow, again = folder / "shallow.keras", folder / "shallow-again.keras"
    driver("create", shallow, .25, 64, 1, "linear", 3, 23, depth)
    model = keras.models.load_model(shallow)
    convolutions = sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
    check(f"convolutions of ResNet-{depth}", convolutions == depth - 1 + 4, convolutions)  # and four in shortcuts, which do not count
    model.save(again)
    driver("forward", again, folder.path, 64, 4)
    close(f"predictions of ResNet-{depth}", folder.read("probabilities.f32", (4, 3)), model.predict(images, verbose=0))

# With the optimizer in the file: Keras finds it where it stood, predicts the same and trains on; saved by Keras the file is the same again.
model = keras.models.load_model(small, compile=False)
for last, decay in ((0, 0), (30, .05)):
    name = f"optimizer, the last {last}"
    driver("compile", small, folder / "compiled.keras", last, decay)
    compiled = keras.models.load_model(folder / "compiled.keras")
    check(f"{name}: compiled", compiled.compiled and type(compiled.optimizer).__name__ == ("AdamW" if decay else "Adam"))
    variables = [v.numpy() for v in compiled.optimizer.variables]
    sizes = [int(np.prod(v.shape)) for v in compiled.trainable_variables]
    check(f"{name}: number of variables", len(variables) == 2 + 2 * len(sizes), len(variables))
    check(f"{name}: steps and rate", variables[0] == 7 and abs(float(variables[1]) - 2e-4) < 1e-9, variables[:2])
    whole = np.arange(sum(sizes), dtype=np.float32)
    check(f"{name}: first moments", np.array_equal(np.concatenate([v.ravel() for v in variables[2::2]]), whole / np.float32(1000)))
    check(f"{name}: second moments", np.array_equal(np.concatenate([v.ravel() for v in variables[3::2]]), whole / np.float32(10)))
    close(f"{name}: predictions", compiled(images, training=False).numpy(), model(images, training=False).numpy())
    compiled.save(folder / "again.keras")
    same(f"{name}, saved by Keras", arrays(folder / "compiled.keras"), arrays(folder / "again.keras"))
    with zipfile.ZipFile(folder / "compiled.keras") as a, zipfile.ZipFile(folder / "again.keras") as b:
        a, b = (json.loads(z.read("config.json"))["compile_config"] for z in (a, b))
        a["optimizer"]["config"]["learning_rate"] = b["optimizer"]["config"]["learning_rate"] = 0
        check(f"{name}: compile_config", a == b, (a, b))
    folder.write("images.f32", images)
    driver("forward", folder / "compiled.keras", folder.path, 64, 4)
    close(f"{name}: read back by us", folder.read("probabilities.f32", (4, 3)), model(images, training=False).numpy())
    compiled.fit(images, np.arange(4) % 3, epochs=1, verbose=0)
    check(f"{name}: trains on", int(compiled.optimizer.iterations) == 8, int(compiled.optimizer.iterations))

# What is ours in the file does not disturb Keras, and says what it should.
with zipfile.ZipFile(small) as z:
    own = json.loads(z.read("brainmri.json"))
    check("brainmri.json", own["classes"] == ["glioma", "meningioma", "notumor"] and own["image_size"] == 64 and own["width"] == .25, own)
    check("dates of 1980", all(i.date_time[0] == 1980 for i in z.infolist()))
    check("metadata.json", "keras_version" in json.loads(z.read("metadata.json")))
finish()
