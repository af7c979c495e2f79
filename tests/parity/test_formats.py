"""Weights and models of other libraries come in, ours go out: files that Keras, safetensors, onnx and onnxruntime wrote or read here and now."""
import json

import h5py
import numpy as np
import onnx
import onnxruntime
from keras.src.legacy.saving import legacy_h5_format
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from parity import Folder, check, close, driver, finish, keras, same_summary, softmax

rng = np.random.default_rng(8)
folder = Folder()
CLASSES = 4


def stirred(model):
    """Random weights, no array of them all zeros or ones."""
    model.set_weights([w + rng.uniform(.01, .2, w.shape).astype(np.float32) * (.05 if w.ndim == 4 else 1) for w in model.get_weights()])
    return model


def start(weights, head="linear"):
    """A new model of ours that starts from a file's weights, opened by Keras; and the images' probabilities by us and by Keras."""
    ours = folder / "started.keras"
    driver("start", weights, ours, 64, head, CLASSES)
    return keras.models.load_model(ours), ours


def forward(path, images):
    folder.write("images.f32", images)
    driver("forward", path, folder.path, images.shape[1], len(images))
    return folder.read("probabilities.f32", (len(images), -1))


def run(model, images):
    return model(images, training=False).numpy()


def features(model):
    return run(keras.Model(model.input, model.get_layer("global_average_pooling2d").output), images)


images = rng.random((3, 64, 64, 3)).astype(np.float32)

# ---- in: Keras' ResNet50 in the layout of the official ImageNet weights, which expects BGR pixels minus means ----
base = stirred(keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3)))
with h5py.File(folder / "notop.h5", "w") as f:
    legacy_h5_format.save_weights_to_hdf5_group(f, base)
mine, path = start(folder / "notop.h5")
theirs = run(base, keras.applications.resnet.preprocess_input(images * 255)).mean((1, 2))
close("legacy .h5: features on the pixels of its input", features(mine), theirs)
close("legacy .h5: our network", forward(path, images), run(mine, images))
check("legacy .h5: the layers of Keras and a rescaling", [x.name for x in mine.layers if x.name != "rescaling"][1:175] == [x.name for x in base.layers][1:],
      len(mine.layers))

# The same, written with the ending :0 and another scope, as TensorFlow 1 did.
with h5py.File(folder / "notop.h5") as old, h5py.File(folder / "tf1.h5", "w") as new:
    for key, value in old.attrs.items():
        new.attrs[key] = value
    for layer in old:
        group = new.create_group(layer)
        for scope in old[layer]:
            for role in old[layer][scope]:
                group[f"{scope}_1/{role}:0"] = old[layer][scope][role][...]
mine, _ = start(folder / "tf1.h5")
close("TensorFlow 1's names", features(mine), theirs)

# A whole model in the older format, and Keras 3's weights file: these were made for pixels from 0 to 1.
base.save_weights(folder / "base.weights.h5")
mine, _ = start(folder / "base.weights.h5")
plain = run(base, images).mean((1, 2))
close("Keras 3 .weights.h5", features(mine), plain)
x = keras.layers.GlobalAveragePooling2D(name="global_average_pooling2d")(base.output)
whole = keras.Model(base.input, keras.layers.Dense(CLASSES, activation="softmax", name="dense")(x), name="resnet50")
whole.save(folder / "whole.keras")
mine, path = start(folder / "whole.keras")
close(".keras by Keras: its head too", run(mine, images), run(whole, images))
close(".keras by Keras: our network", forward(folder / "whole.keras", images), run(whole, images))
anysize = keras.applications.ResNet50(weights=None, include_top=False)
anysize.set_weights(base.get_weights())
anysize.save(folder / "base.keras")
mine, _ = start(folder / "base.keras", "guide")
close(".keras by Keras without a head", features(mine), plain)
said = driver("resave", folder / "base.keras", folder / "x.keras", expect=1)
check(".keras by Keras without a head is no model", "weights only" in said, said)
whole.save(folder / "whole.h5")
mine, _ = start(folder / "whole.h5")
close("whole model in .h5", features(mine), theirs)

# What does not fit is named, all of it.
with h5py.File(folder / "notop.h5", "a") as f:
    del f["conv1_conv/conv1_conv/bias"]
    del f["conv2_block1_1_bn/conv2_block1_1_bn/gamma"]
    f["conv2_block1_1_bn/conv2_block1_1_bn/gamma"] = np.ones(3, np.float32)
    f["extra/extra/kernel"] = np.ones(3, np.float32)
said = driver("start", folder / "notop.h5", folder / "x.keras", 64, "linear", CLASSES, expect=1)
for part in ("missing conv1_conv/bias", "conv2_block1_1_bn/gamma is 3, must be 64", "extra extra/kernel"):
    check(f"named: {part}", part in said, said)

# ---- in: torchvision's and timm's ResNet-50, checked with a network that is built here, from their own names ----


def torch_weights(width, classes):
    """A state_dict's names and layouts (torchvision/models/resnet.py)."""
    out = {}

    def conv(name, cin, cout, k):
        out[name + ".weight"] = rng.normal(0, np.sqrt(2 / (cin * k * k)), (cout, cin, k, k)).astype(np.float32)

    def norm(name, n):
        out[name + ".weight"] = rng.uniform(.5, 1.2, n).astype(np.float32)
        out[name + ".bias"] = rng.uniform(-.2, .2, n).astype(np.float32)
        out[name + ".running_mean"] = rng.uniform(-.2, .2, n).astype(np.float32)
        out[name + ".running_var"] = rng.uniform(.5, 1.5, n).astype(np.float32)
        out[name + ".num_batches_tracked"] = np.array(7, np.int64)

    stem = int(64 * width)
    conv("conv1", 3, stem, 7)
    norm("bn1", stem)
    cin = stem
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        planes = stem << (stage - 1)
        for block in range(blocks):
            p = f"layer{stage}.{block}"
            for i, (a, b, k) in enumerate(((cin, planes, 1), (planes, planes, 3), (planes, 4 * planes, 1)), 1):
                conv(f"{p}.conv{i}", a, b, k)
                norm(f"{p}.bn{i}", b)
            if block == 0:
                conv(f"{p}.downsample.0", cin, 4 * planes, 1)
                norm(f"{p}.downsample.1", 4 * planes)
            cin = 4 * planes
    out["fc.weight"] = rng.normal(0, .1, (classes, cin)).astype(np.float32)
    out["fc.bias"] = rng.normal(0, .1, classes).astype(np.float32)
    return out


def torch_network(weights, size):
    """The forward pass of torchvision's ResNet-50 v1.5 as an ONNX graph: pixels from 0 to 1, NCHW, normalised, to logits."""
    nodes = []
    tensors = [numpy_helper.from_array(v, k) for k, v in weights.items() if v.dtype == np.float32]
    tensors += [numpy_helper.from_array(np.array(v, np.float32).reshape(1, 3, 1, 1), k)
                for k, v in (("mean", (.485, .456, .406)), ("std", (.229, .224, .225)))]

    def node(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def conv_bn(x, conv, bn, stride=1, pad=0):
        x = node("Conv", [x, conv + ".weight"], conv, strides=[stride] * 2, pads=[pad] * 4)
        return node("BatchNormalization", [x] + [f"{bn}.{r}" for r in ("weight", "bias", "running_mean", "running_var")], bn, epsilon=1e-5)

    x = node("Div", [node("Sub", ["x", "mean"], "centred"), "std"], "normalised")
    x = node("Relu", [conv_bn(x, "conv1", "bn1", 2, 3)], "relu")
    x = node("MaxPool", [x], "maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            p = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = node("Relu", [conv_bn(x, p + ".conv1", p + ".bn1")], p + ".relu1")
            y = node("Relu", [conv_bn(y, p + ".conv2", p + ".bn2", stride, 1)], p + ".relu2")
            y = conv_bn(y, p + ".conv3", p + ".bn3")
            if block == 0:
                x = conv_bn(x, p + ".downsample.0", p + ".downsample.1", stride)
            x = node("Relu", [node("Add", [x, y], p + ".sum")], p)
    x = node("Flatten", [node("GlobalAveragePool", [x], "avgpool")], "features")
    node("Gemm", [x, "fc.weight", "fc.bias"], "logits", transB=1)
    graph = helper.make_graph(nodes, "resnet50", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, size, size])],
                              [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, None]) for n in ("features", "logits")], tensors)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(built)
    return onnxruntime.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])


weights = torch_weights(.125, CLASSES)
save_file(weights, folder / "torchvision.safetensors", metadata={"format": "pt"})
want, logits = torch_network(weights, 64).run(None, {"x": images.transpose(0, 3, 1, 2)})
mine, path = start(folder / "torchvision.safetensors")
close("torchvision: features", features(mine), want)
close("torchvision: its last layer too, when it fits", run(mine, images), softmax(logits))
close("torchvision: our network", forward(path, images), softmax(logits))
check("torchvision: stride in the 3x3", mine.get_layer("conv3_block1_2_conv").strides == (2, 2) and not mine.get_layer("conv1_conv").use_bias)
mine.save(folder / "again.keras")  # Keras drops what is ours in the file
close("torchvision: saved by Keras", forward(folder / "again.keras", images), softmax(logits))

# timm writes the same names without counters; 1000 classes, and half precision.
half = {k: v.astype(np.float16) for k, v in torch_weights(.125, 1000).items() if not k.endswith("tracked")}
save_file(half, folder / "timm.safetensors")
want, _ = torch_network({k: v.astype(np.float32) for k, v in half.items()}, 64).run(None, {"x": images.transpose(0, 3, 1, 2)})
mine, _ = start(folder / "timm.safetensors", "guide")
close("timm, float16: features", features(mine), want)

broken = dict(weights)
del broken["layer1.0.bn1.bias"]
broken["layer1.0.conv2.weight"] = np.zeros((8, 8, 1, 1), np.float32)
broken["layer5.0.conv1.weight"] = np.zeros((8, 8, 1, 1), np.float32)
save_file(broken, folder / "broken.safetensors")
said = driver("start", folder / "broken.safetensors", folder / "x.keras", 64, "linear", CLASSES, expect=1)
for part in ("missing conv2_block1_1_bn/beta (layer1.0.bn1.bias)", "layer1.0.conv2.weight) is 8x8x1x1, must be 8x8x3x3", "extra layer5.0.conv1.weight"):
    check(f"named: {part}", part in said, said)

# ---- out: safetensors, ONNX ----
for name, source in (("guide", None), ("torchvision", path)):
    if source is None:
        source = folder / "guide.keras"
        driver("create", source, .125, 64, 3, "guide", CLASSES, 77)
    else:
        driver("start", folder / "torchvision.safetensors", source, 64, "linear", CLASSES)
    model = keras.models.load_model(source)
    same_summary(name, source, model)
    driver("export", source, folder / "out.safetensors", "safetensors")
    arrays = load_file(folder / "out.safetensors")
    variables = {v.path: v.numpy() for v in model.variables if "seed" not in v.path}
    check(f"{name} as safetensors: Keras' names", sorted(arrays) == sorted(variables), sorted(set(arrays) ^ set(variables))[:5])
    check(f"{name} as safetensors: Keras' values", all(np.array_equal(arrays[k], variables[k]) for k in arrays if k in variables))
    with safe_open(folder / "out.safetensors", "np") as f:
        check(f"{name} as safetensors: metadata", json.loads(f.metadata()["brainmri"])["classes"][1] == "meningioma")
    save_file(variables, folder / "by-keras.safetensors")
    pixels = rng.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    theirs = run(model, pixels.astype(np.float32) / 255)
    close(f"{name} as safetensors: read back by us", forward(folder / "out.safetensors", pixels.astype(np.float32) / 255), theirs)
    for kind in ("uint8", "float32"):
        driver("export", source, folder / "out.onnx", kind)
        written = onnx.load(folder / "out.onnx")
        onnx.checker.check_model(written, full_check=True)
        session = onnxruntime.InferenceSession(folder / "out.onnx", providers=["CPUExecutionProvider"])
        answer = session.run(["probabilities"], {"pixels": pixels.astype(kind)})[0]
        close(f"{name} as ONNX, {kind}: probabilities", answer, theirs)
        check(f"{name} as ONNX, {kind}: largest difference", np.abs(answer - theirs).max() <= 1e-4, np.abs(answer - theirs).max())
        check(f"{name} as ONNX, {kind}: any batch", len(session.run(None, {"pixels": pixels[:1].astype(kind)})[0]) == 1)
        names = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
        check(f"{name} as ONNX, {kind}: class names", len(names) == CLASSES and isinstance(names[0], str), names)
finish()
