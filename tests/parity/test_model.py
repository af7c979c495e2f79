"""The whole network: probabilities in evaluation and the gradients of all weights in training, against Keras with the same weights.

The weights for the gradients are those of parity.steady."""
import numpy as np

from parity import Folder, check, close, compare_gradients, driver, finish, flat, gradients, in_float64, keras, ordered_weights, softmax, split, steady, trainable_weights, without_softmax

rng = np.random.default_rng(2)


def images_of(count, size, channels):
    """Smooth pictures with some noise: closer to scans than white noise is."""
    y, x = np.mgrid[0:size, 0:size] / size
    out = [np.stack([np.sin(a * x + b * y + c) for a, b, c in rng.uniform(1, 12, (channels, 3))], -1) for _ in range(count)]
    return np.clip(.5 + .3 * np.stack(out) + rng.normal(0, .1, (count, size, size, channels)), 0, 1).astype(np.float32)


def evaluation(name, path, model, size, count, limit=1e-4):
    folder = Folder()
    images = images_of(count, size, model.input.shape[-1])
    folder.write("images.f32", images)
    driver("forward", path, folder.path, size, count)
    theirs = model.predict(images, verbose=0, batch_size=count)
    ours = folder.read("probabilities.f32", theirs.shape)
    close(f"{name}: probabilities at {size} pixels", ours, theirs, limit)
    check(f"{name}: largest difference at {size} pixels", np.abs(ours - theirs).max() <= limit, np.abs(ours - theirs).max())
    check(f"{name}: images differ", np.abs(theirs - theirs[0]).max() > 1e-4, theirs)


def resized(model, size):
    """The same layers and weights for another image size."""
    config = model.get_config()
    shape = config["layers"][0]["config"]["batch_shape"]
    config["layers"][0]["config"]["batch_shape"] = (None, size, size, shape[3])
    for layer in config["layers"]:
        layer.pop("build_config", None)
    twin = keras.Model.from_config(config)
    twin.set_weights(model.get_weights())
    return twin


def training(name, model, size, batch, last, base=175):
    """All gradients of one training pass, dropout off, with the last `last` layers of the base trainable (-1: all)."""
    model = resized(model, size)
    images = images_of(batch, size, model.input.shape[-1])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0
    steady(model, images)
    folder = Folder()
    path = folder / "keras.keras"
    model.save(path)
    twin = in_float64(model)
    for a, b in zip(twin.layers, model.layers):
        a.trainable = b.trainable = last < 0 or twin.layers.index(a) >= base - last
    twin = without_softmax(twin)
    model = without_softmax(model)
    classes = twin.output.shape[-1]
    gradient = rng.normal(0, 1, (batch, classes)).astype(np.float32)
    folder.write("images.f32", images)
    folder.write("gradient.f32", gradient)
    driver("gradients", path, folder.path, size, batch, last)
    pairs = trainable_weights(twin)
    logits, theirs = gradients(twin, images, gradient)
    close(f"{name}: training output", folder.read("probabilities.f32", logits.shape), softmax(logits))
    _, single = gradients(model, images, gradient)
    compare_gradients(name, split(folder.read("gradients.f32"), [v for _, v in pairs]), theirs, pairs, single)
    everything = ordered_weights(twin)
    for (layer, v), a in zip(everything, split(folder.read("weights_after.f32"), [v for _, v in everything])):
        close(f"{name}: {layer.name}/{v.name} after the pass", a, v.numpy())


folder = Folder()
full, small, grey = folder / "full.keras", folder / "small.keras", folder / "grey.keras"
driver("create", full, 1, 224, 3, "guide", 4, 11)
driver("create", small, .25, 96, 3, "guide", 4, 12)
driver("create", grey, .125, 64, 1, "dense512", 3, 13)

model = keras.models.load_model(full)
evaluation("ResNet-50", full, model, 224, 2)
evaluation("ResNet-50", full, resized(model, 96), 96, 5)
training("ResNet-50, last 30", model, 64, 6, 30)
training("ResNet-50, all", model, 64, 6, -1)
model = keras.models.load_model(small)
evaluation("quarter width", small, model, 96, 7)
training("quarter width, all", model, 96, 8, -1)
training("quarter width, head", model, 96, 8, 0)
model = keras.models.load_model(grey)
evaluation("grey, dense512", grey, model, 64, 3)
training("grey, dense512, last 50", model, 64, 8, 50)
compact = folder / "compact.keras"
driver("create", compact, .5, 96, 1, "linear", 4, 14, "compact")
model = keras.models.load_model(compact)
evaluation("compact", compact, model, 96, 5)
evaluation("compact, odd sizes on the way down", compact, resized(model, 75), 75, 3)
training("compact, all", model, 64, 8, -1)
finish()
