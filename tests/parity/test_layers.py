"""Every layer type, forward and backward, in small networks, against Keras in float64: 1e-4 relative."""
import numpy as np

from parity import Folder, close, check, compare_gradients, driver, finish, flat, gradients, keras, ordered_weights, softmax, spec_of, split, trainable_weights, without_softmax

keras.config.set_floatx("float64")
L = keras.layers
rng = np.random.default_rng(1)


def run(name, inputs, output, batch=5, training=True, frozen=()):
    """Builds the model with random weights, runs both sides, compares everything."""
    model = keras.Model(inputs, output)
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
        for v in layer.weights:
            value = rng.normal(0, 1, v.shape)
            if v.name == "kernel":
                value *= np.sqrt(2 / np.prod(v.shape[:-1]))
            elif v.name == "moving_variance":
                value = np.exp(.3 * value)
            else:
                value = .3 * value + (v.name == "gamma")
            v.assign(value.astype(np.float32))
    _, h, w, c = model.input.shape
    images = rng.random((batch, h, w, c)).astype(np.float32)
    classes = model.output.shape[-1]
    gradient = rng.normal(0, 1, (batch, classes)).astype(np.float32)
    spec = spec_of(model, batch, training)
    folder = Folder()
    folder.write_json("spec.json", spec)
    folder.write("weights.f32", flat([v.numpy() for _, v in ordered_weights(model)]))
    folder.write("images.f32", images)
    folder.write("gradient.f32", gradient)
    driver("graph", folder.path)
    pairs = trainable_weights(model)
    without_softmax(model)
    if training:
        logits, theirs = gradients(model, images, gradient)
    else:
        logits = model(images.astype(np.float64), training=False).numpy()
    close(f"{name}: output", folder.read("probabilities.f32", (batch, classes)), softmax(logits))
    if training:
        like = [v for _, v in pairs]
        ours = split(folder.read("gradients.f32"), like)
        compare_gradients(name, ours, theirs, pairs)
        after = split(folder.read("weights_after.f32"), [v for _, v in ordered_weights(model)])
        for (layer, v), a in zip(ordered_weights(model), after):
            close(f"{name}: {layer.name}/{v.name} after the pass", a, v.numpy())


def head(x, classes=4):
    if len(x.shape) == 4:
        x = L.GlobalAveragePooling2D(name="gap")(x)
    return L.Dense(classes, activation="softmax", name="last")(x)


def conv(x, filters=8, kernel=3, stride=1, padding="same", name="conv", bias=True):
    return L.Conv2D(filters, kernel, strides=stride, padding=padding, use_bias=bias, name=name)(x)


def image(side=12, channels=3):
    return L.Input((side, side, channels), name="image")


# Each layer stands behind a trainable convolution, so that its backward pass by data is seen in that one's gradients.
for training in (True, False):
    mode = "training" if training else "inference"
    x = image()
    run(f"dense {mode}", x, head(conv(x)), training=training)
    for kernel, stride, padding in ((1, 1, "valid"), (1, 2, "valid"), (3, 1, "same"), (3, 1, "valid"), (3, 2, "valid"), (7, 2, "valid"),
                                    (5, 1, "same")):
        x = image(13)
        y = conv(conv(x, 6, name="before"), 8, kernel, stride, padding)
        run(f"conv {kernel}x{kernel}/{stride} {padding} {mode}", x, head(y), training=training)
    x = image(9, 1)
    run(f"conv of one channel without bias {mode}", x, head(conv(x, 12, bias=False)), training=training)
    x = image(10)
    run(f"batch norm {mode}", x, head(L.BatchNormalization(name="bn", epsilon=1.001e-5)(conv(x))), training=training)
    x = image(10)
    y = L.Activation("relu", name="relu")(L.BatchNormalization(name="bn", epsilon=1.001e-5)(conv(x)))
    run(f"conv, batch norm, relu {mode}", x, head(y), training=training)
    x = image(10)
    y = conv(L.Activation("relu", name="relu")(L.BatchNormalization(name="bn", momentum=.9)(conv(x))), 6, 1, name="after")
    run(f"frozen batch norm {mode}", x, head(y), training=training, frozen=("bn",))
    x = image(10)
    run(f"relu {mode}", x, head(conv(L.Activation("relu", name="relu")(conv(x)), 5, name="after")), training=training)
    x = image(11)
    y = L.ZeroPadding2D(2, name="pad")(conv(x, 6, name="before"))
    run(f"zero padding {mode}", x, head(conv(y, 8, 3, 1, "valid")), training=training)
    x = image(11)
    y = L.MaxPooling2D(3, strides=2, name="pool")(conv(x, 6))
    run(f"max pool {mode}", x, head(conv(y, 4, 3, name="after")), training=training)
    x = image(11)
    y = L.ZeroPadding2D(1, name="pad")(L.Activation("relu", name="relu")(conv(x, 6)))
    run(f"padded max pool {mode}", x, head(L.MaxPooling2D(3, strides=2, name="pool")(y)), training=training)
    x = image(12)
    y = L.AveragePooling2D(2, strides=2, name="pool")(conv(x, 6))
    run(f"average pool {mode}", x, head(conv(y, 4, 3, name="after")), training=training)
    x = image(10)
    a = conv(x, 8, name="a")
    y = L.Activation("relu", name="out")(L.Add(name="sum")([a, conv(a, 8, 1, name="b")]))
    run(f"add {mode}", x, head(y), training=training)
    x = image(10)
    y = L.Rescaling([.5, 2., 1.5], [.1, -.2, .3], name="scale")(x)
    run(f"rescaling {mode}", x, head(conv(y)), training=training)
    x = image(8)
    y = L.Dense(16, activation="relu", name="dense")(L.GlobalAveragePooling2D(name="gap")(conv(x)))
    y = L.Dropout(0.0, name="dropout")(L.BatchNormalization(name="bn")(y))
    run(f"guide's head {mode}", x, head(y), batch=8, training=training)
    x = image(14)
    y = L.Activation("relu", name="r1")(L.BatchNormalization(name="n1", epsilon=1.001e-5)(conv(x, 8, 3, name="c1")))
    s = L.BatchNormalization(name="n0", epsilon=1.001e-5)(conv(y, 16, 1, 2, "valid", name="c0"))
    z = L.Activation("relu", name="r2")(L.BatchNormalization(name="n2", epsilon=1.001e-5)(conv(y, 8, 1, 2, "valid", name="c2")))
    z = L.BatchNormalization(name="n3", epsilon=1.001e-5)(conv(z, 16, 3, name="c3"))
    y = L.Activation("relu", name="out")(L.Add(name="sum")([s, z]))
    run(f"residual block {mode}", x, head(y), batch=6, training=training)
    run(f"residual block, tail {mode}", x, head(y), batch=6, training=training, frozen=("c1", "n1", "c0", "n0"))

# Dropout: kept values are scaled by 1 / (1 - rate), the share that is kept is the rate's, and inference does nothing.
x = image(4, 1)
y = L.GlobalAveragePooling2D(name="gap")(x)
y = L.Dense(2000, name="wide", activation="relu")(y)
model = keras.Model(x, head(L.Dropout(.3, name="dropout")(y), 2))
spec = spec_of(model, 4, True)
folder = Folder()
folder.write_json("spec.json", spec)
# Each wide unit is 1; logit 0 counts the units: after dropout kept / 0.7.
weights = [np.zeros((1, 2000)), np.ones(2000), np.stack([np.full(2000, 1 / 2000), np.zeros(2000)], 1), np.zeros(2)]
folder.write("weights.f32", flat(weights))
folder.write("images.f32", np.zeros((4, 4, 4, 1)))
folder.write("gradient.f32", np.tile([[1.0, 0.0]], (4, 1)))
driver("graph", folder.path)
p = folder.read("probabilities.f32", (4, 2)).astype(np.float64)
kept = np.log(p[:, 0] / p[:, 1]) * .7
check("dropout keeps its share", (np.abs(kept - .7) < .05).all() and len(set(kept.round(5))) > 1, kept)
units = folder.read("gradients.f32")[2000:4000] * 2000  # d / d bias of the wide units: number of images that kept it, / 0.7
check("dropout's gradient has the mask", np.allclose(units * .7, np.round(units * .7), atol=1e-3) and units.max() > 2, units[:5])
check("dropout's gradient sums to what was kept", abs(units.sum() * .7 / 8000 - kept.mean()) < 1e-3, (units.sum() * .7 / 8000, kept.mean()))
finish()
