"""Twenty training steps from the same weights on the same batches: our losses follow those of Keras to 1e-3. How far float32 strays by
itself is told by Keras in float64: rounding grows from step to step, and ours may be twice as far from that as Keras in float32 is. Training
from scratch, where Keras in float32 itself is 1.1e-3 from float64, is compared with that, to 1e-3.

Dropout is off on both sides, since the masks are drawn by different generators; test_layers.py looks at dropout itself."""
import numpy as np

from parity import Folder, check, close, distance, driver, finish, flat, in_float64, keras, ordered_weights, split, steady

rng = np.random.default_rng(5)
STEPS = 20


def batches(batch, size, channels, classes):
    """Pictures of stripes whose direction tells the class, with noise."""
    labels = rng.integers(0, classes, (STEPS, batch))
    y, x = np.mgrid[0:size, 0:size] / size
    angle = np.pi * labels / classes + rng.normal(0, .1, labels.shape)
    frequency = rng.uniform(8, 16, labels.shape)
    wave = np.sin(2 * np.pi * frequency[..., None, None] * (x * np.cos(angle)[..., None, None] + y * np.sin(angle)[..., None, None]))
    images = .5 + .3 * wave[..., None] + rng.normal(0, .1, (STEPS, batch, size, size, channels))
    return np.clip(images, 0, 1).astype(np.float32), labels


def run(name, width, size, channels, batch, last, optimizer, rates, smoothing=0.0, class_weights=None, single_precision=True, **options):
    classes = 4
    folder = Folder()
    path = folder / "start.keras"
    driver("create", path, width, size, channels, "guide", classes, 31)
    model = keras.models.load_model(path)
    for i, layer in enumerate(model.layers):
        layer.trainable = last < 0 or i >= 175 - last
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0
    images, labels = batches(batch, size, channels, classes)
    steady(model, images[0])
    model.save(path)
    folder.write("images.f32", images)
    folder.write("labels.f32", labels)
    folder.write_json("options.json", {"steps": STEPS, "size": size, "batch": batch, "last": last, "rates": rates, "smoothing": smoothing,
                                       "class_weights": class_weights, **options})
    driver("steps", path, folder.path)
    ours = folder.read("losses.f32")
    exact = in_float64(model)
    theirs = losses_of(exact, optimizer(), images, labels, rates, smoothing, class_weights, classes)
    single = losses_of(model, optimizer(), images, labels, rates, smoothing, class_weights, classes)
    rounding = max(map(distance, single, theirs))
    for step in range(STEPS):
        if single_precision:
            close(f"{name}: loss of step {step + 1}", ours[step], single[step], 1e-3)
        close(f"{name}: loss of step {step + 1} in float64", ours[step], theirs[step], max(1e-3, 2 * rounding) if single_precision else 1e-3)
    print(f"largest distance from float64, losses of {name}: ours {max(map(distance, ours, theirs)):.2g}, Keras in float32 {rounding:.2g}")
    check(f"{name}: the weights learn", distance(theirs[0], theirs[-1]) > 1e-2, theirs)
    everything = ordered_weights(exact)
    after = split(folder.read("weights_after.f32"), [v for _, v in everything])
    a = flat([w for (layer, v), w in zip(everything, after) if v.name in ("kernel", "gamma", "moving_variance")])
    b = flat([v.numpy() for _, v in everything if v.name in ("kernel", "gamma", "moving_variance")])
    close(f"{name}: weights after {STEPS} steps", a, b, 1e-2)


def losses_of(model, optimizer, images, labels, rates, smoothing, class_weights, classes):
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing) if smoothing else keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer, loss, run_eagerly=True)
    theirs = []
    for step in range(STEPS):
        optimizer.learning_rate.assign(rates[step])
        target = np.eye(classes)[labels[step]] if smoothing else labels[step]
        weights = np.asarray(class_weights)[labels[step]] if class_weights else None
        model.reset_metrics()
        theirs.append(float(model.train_on_batch(images[step], target, sample_weight=weights)))
    return theirs


run("stage 1", .25, 64, 3, 8, 0, lambda: keras.optimizers.Adam(1e-3), [1e-3] * STEPS)
run("stage 2", .25, 64, 3, 16, 30, lambda: keras.optimizers.Adam(1e-5), [1e-5] * STEPS, class_weights=[.8, 1.1, .9, 1.3])


def decayed():
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=.05)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


rates = [2e-5 * (1 + 4 * k / STEPS) for k in range(STEPS)]
run("scratch", .125, 64, 1, 32, -1, decayed, rates, smoothing=.05, weight_decay=.05, single_precision=False)
finish()
