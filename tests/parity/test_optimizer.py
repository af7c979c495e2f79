"""Adam and AdamW, step by step, against keras.optimizers on the same gradients: 1e-4 relative, of the weights and of each step's change."""
import numpy as np

from parity import Folder, close, driver, finish, flat, keras, ordered_weights, spec_of, split, tf, trainable_weights

L = keras.layers
rng = np.random.default_rng(4)
STEPS = 12

x = L.Input((8, 8, 3), name="image")
y = L.Activation("relu", name="relu")(L.BatchNormalization(name="bn", epsilon=1.001e-5)(L.Conv2D(10, 3, padding="same", name="conv")(x)))
y = L.GlobalAveragePooling2D(name="gap")(L.Conv2D(6, 1, name="conv2")(y))
model = keras.Model(x, L.Dense(4, activation="softmax", name="last")(y))
start = [rng.normal(0, .3, v.shape).astype(np.float32) + np.float32(v.name == "moving_variance") for _, v in ordered_weights(model)]
pairs = trainable_weights(model)
# Gradients of very different sizes, some of them 0.
gradients = [[(rng.normal(0, 1, v.shape) * 10.0 ** rng.uniform(-6, 2) * (rng.random(v.shape) > .1)).astype(np.float32) for _, v in pairs]
             for _ in range(STEPS)]


def run(name, optimizer, rates, **options):
    for (_, v), value in zip(ordered_weights(model), start):
        v.assign(value)
    variables = [v for _, v in pairs]
    optimizer.build(variables)
    folder = Folder()
    folder.write_json("spec.json", spec_of(model, 2, True))
    folder.write_json("options.json", {"steps": STEPS, "rates": rates, **options})
    folder.write("weights.f32", flat(start))
    folder.write("gradients.f32", np.concatenate([flat(g) for g in gradients]))
    driver("optimizer", folder.path)
    everything = ordered_weights(model)
    ours = folder.read("weights_steps.f32", (STEPS, -1))
    for step in range(STEPS):
        optimizer.learning_rate.assign(rates[step])
        optimizer.apply([tf.constant(g) for g in gradients[step]], variables)
        for i, ((layer, v), a) in enumerate(zip(everything, split(ours[step], [v for _, v in everything]))):
            close(f"{name}, step {step + 1}: {layer.name}/{v.name}", a, v.numpy())
        for i, ((layer, v), a) in enumerate(zip(everything, split(ours[step], [v for _, v in everything]))):
            # A change is the difference of two float32 weights: no better than their rounding.
            rounding = np.linalg.norm(start[i]) * 6e-8 / 1e-4
            close(f"{name}, step {step + 1}: change of {layer.name}/{v.name}", a - start[i], v.numpy() - start[i], scale=rounding)


rates = [1e-3 * (1 + k % 3) for k in range(STEPS)]
run("Adam", keras.optimizers.Adam(1e-3), [1e-3] * STEPS)
run("Adam of stage 2", keras.optimizers.Adam(1e-5), [1e-5] * STEPS)
run("Adam with a schedule", keras.optimizers.Adam(1e-3), rates)
run("Adam, clipped", keras.optimizers.Adam(1e-3, global_clipnorm=.5), rates, clip_norm=.5)
decayed = keras.optimizers.AdamW(1e-3, weight_decay=.05)
decayed.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
run("AdamW", decayed, rates, weight_decay=.05)
finish()
