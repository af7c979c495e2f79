"""What the parity scripts share: the driver, the comparison, the count of what passed.

The reference is Keras in float64 where a script says so: the differences are then those of one float32 computation, not of two.
"""
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.config.threading.set_inter_op_parallelism_threads(1)

import keras  # noqa: E402

if len(sys.argv) != 2:
    sys.exit(f"use: {sys.argv[0]} DRIVER")
DRIVER = os.path.abspath(sys.argv[1])

passed = failed = 0
worst = {}  # limit -> (relative difference, name)


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {detail}")


def distance(ours, theirs, scale=0.0):
    """Norm of the difference relative to the reference's norm (or to `scale`, when that is larger)."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return np.inf
    size = max(np.linalg.norm(theirs), scale)
    difference = np.linalg.norm(ours - theirs)
    return difference / size if size > 0 else difference


def close(name, ours, theirs, limit=1e-4, scale=0.0):
    d = distance(ours, theirs, scale)
    worst[float(f"{limit:.0e}")] = max(worst.get(float(f"{limit:.0e}"), (0.0, "")), (d, name))
    check(name, d <= limit, f"relative difference {d:.3g}, limit {limit:g}")
    return d


def finish():
    for limit, (d, name) in sorted(worst.items()):
        print(f"largest relative difference {d:.2g} of {limit:g} allowed ({name})")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


class Folder:
    """A temporary folder for exchange with the driver."""

    def __init__(self):
        self.holder = tempfile.TemporaryDirectory(prefix="brainmri-parity-")
        self.path = self.holder.name

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def write(self, name, values):
        np.ascontiguousarray(values, np.float32).tofile(self / name)

    def read(self, name, shape=(-1,)):
        return np.fromfile(self / name, np.float32).reshape(shape)

    def write_json(self, name, value):
        with open(self / name, "w") as f:
            json.dump(value, f)


def driver(*arguments, expect=0):
    done = subprocess.run([DRIVER, *map(str, arguments)], capture_output=True, text=True, timeout=240)
    if done.returncode != expect:
        raise RuntimeError(f"driver {arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout if expect == 0 else done.stderr


def flat(weights):
    """Arrays one behind the other, as the driver reads and writes them."""
    return np.concatenate([np.asarray(w, np.float64).ravel() for w in weights]) if weights else np.zeros(0)


def split(values, like):
    """The opposite of flat: arrays with the shapes of `like`."""
    out, at = [], 0
    for w in like:
        n = int(np.prod(w.shape))
        out.append(values[at:at + n].reshape(w.shape))
        at += n
    assert at == len(values), f"{len(values)} floats for {at}"
    return out


def spec_of(model, batch, training):
    """The driver's spec.json of a Keras model."""
    layers = []
    for layer in model.layers:
        kind = type(layer).__name__
        s = {"type": kind, "name": layer.name, "trainable": bool(layer.trainable)}
        if kind != "InputLayer":
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            s["inputs"] = [t._keras_history.operation.name for t in inputs]
        if kind == "Conv2D":
            s |= {"units": layer.filters, "kernel": layer.kernel_size[0], "stride": layer.strides[0],
                  "padding": int(layer.padding == "same"), "bias": layer.use_bias}
        elif kind == "Dense":
            s |= {"units": layer.units, "bias": layer.use_bias, "activation": layer.activation.__name__}
        elif kind == "BatchNormalization":
            s |= {"epsilon": layer.epsilon, "momentum": layer.momentum}
        elif kind in ("MaxPooling2D", "AveragePooling2D"):
            s |= {"kernel": layer.pool_size[0], "stride": layer.strides[0]}
        elif kind == "ZeroPadding2D":
            s |= {"padding": layer.padding[0][0]}
        elif kind == "Dropout":
            s |= {"rate": layer.rate}
        elif kind == "Rescaling":
            s |= {"scale": list(map(float, layer.scale)), "offset": list(map(float, layer.offset))}
        layers.append(s)
    _, h, w, c = model.input.shape
    return {"batch": batch, "height": h, "width": w, "channels": c, "training": training, "layers": layers}


def is_statistic(v):
    return v.name in ("moving_mean", "moving_variance")


def ordered_weights(model):
    """Every variable with its layer, in the order of the driver: by layer, and in a layer as Keras keeps them."""
    return [(layer, v) for layer in model.layers for v in layer.weights]


def trainable_weights(model):
    return [(layer, v) for layer, v in ordered_weights(model) if layer.trainable and not is_statistic(v)]


def same_summary(name, path, model, last=-1):
    """Our summary of a file against the one that Keras prints for its model, both with the same layers trainable."""
    lines = []
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "200"  # room for all of Keras' 108
    model.summary(print_fn=lines.append)
    del os.environ["COLUMNS"]
    if columns:
        os.environ["COLUMNS"] = columns
    theirs = "\n".join(lines).rstrip().split("\n")
    ours = driver("counts", path, last).rstrip().split("\n")[1:]
    check(f"summary, {name}: {len(theirs)} lines", len(ours) == len(theirs) > 400, len(ours))
    for number, (a, b) in enumerate(zip(ours, theirs), 1):
        check(f"summary, {name}: line {number}", a == b, f"\n{a}\n{b}")


def without_softmax(model):
    """The model's logits: the same layers, the last activation left out."""
    model.layers[-1].activation = keras.activations.linear
    return model


def gradients(model, images, gradient, training=True):
    """Logits, the gradients of sum(logits * gradient) by all trainable weights, and all weights after the pass."""
    pairs = trainable_weights(model)
    variables = [v.value for _, v in pairs]
    dtype = variables[0].dtype
    with tf.GradientTape() as tape:
        logits = model(tf.constant(images, dtype), training=training)
        loss = tf.reduce_sum(logits * tf.constant(gradient, dtype))
    found = tape.gradient(loss, variables)
    return logits.numpy(), [g.numpy() for g in found]


def in_float64(model):
    """The same model with the same weights, computing in float64."""
    text = json.dumps(model.get_config()).replace('"float32"', '"float64"')
    twin = keras.Model.from_config(json.loads(text))
    twin.set_weights(model.get_weights())
    for a, b in zip(twin.layers, model.layers):
        a.trainable = b.trainable
    return twin


def steady(model, images):
    """Gives the model weights that keep its activations away from 0 on these images, and moving statistics that are theirs.

    The gradient of a deep ReLU network jumps where an activation passes 0, so that two float32 computations of it differ by whole terms:
    with random weights Keras' own float32 gradients are 1.5 % from its float64 gradients, and Adam's steps go apart. Here the biases of
    batch norms and dense layers keep every activation several deviations from 0, on or off by channel. Masks within a channel are
    what test_layers.py compares."""
    rng = np.random.default_rng(6)
    stages = {}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization) or "_" not in layer.name or layer.name == "batch_normalization":
            continue
        n = layer.gamma.shape[0]
        sign = rng.choice([-1.0, 1.0], n)
        if layer.name.endswith(("_0_bn", "_3_bn")):  # what is added up must agree
            sign = stages.setdefault(layer.name[:5], sign)
        layer.gamma.assign(.25 + .05 * rng.random(n))
        layer.beta.assign(1.8 * sign)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense) and layer.activation is keras.activations.relu:
            layer.activation = keras.activations.linear
            z = keras.Model(model.input, layer.output)(images, training=True).numpy()
            sign = rng.choice([-1.0, 1.0], z.shape[1])
            reach = np.maximum(5 * np.abs(z - z.mean(0)).max(0), .5)
            layer.bias.assign(layer.bias.numpy() - z.mean(0) + sign * reach)
            layer.activation = keras.activations.relu
    model(images, training=True)
    for layer, momentum in zip(norms, momenta):
        layer.momentum = momentum


def compare_gradients(prefix, ours, theirs, pairs, single=None, limit=1e-4):
    """Norm-wise per array. Some gradients are 0 by arithmetic: what adds a constant to a channel in front of a batch norm that uses batch
    statistics. What both sides compute there is rounding, and is measured against the gradient of the layer's kernel or gamma; a sum
    that nearly cancels (below 1 % of that) is measured against the 1 %. `theirs` is Keras in float64, `single` Keras in float32:
    where the latter, if given, is itself farther away than half the limit, ours may be twice as far as that."""
    largest = {}
    for (layer, _), g in zip(pairs, theirs):
        largest[layer.name] = max(largest.get(layer.name, 0.0), np.linalg.norm(g))
    for (layer, v), a, b, c in zip(pairs, ours, theirs, single or theirs):
        scale = largest[layer.name] * (1 if np.linalg.norm(b) < 1e-6 * largest[layer.name] else .01)
        close(f"{prefix}: gradient of {layer.name}/{v.name}", a, b, max(limit, 2 * distance(c, b, scale)), scale)


def softmax(x):
    x = np.asarray(x, np.float64)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
