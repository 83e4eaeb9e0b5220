"""Models of keras.applications with random weights, as files, with inputs and what Keras predicts.

    python applications.py FOLDER [NAME ...]

writes NAME.keras, NAME.x.npy and NAME.y.npy for each name (all models without one) and prints the names.
"""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras  # noqa: E402
import numpy as np  # noqa: E402

SIDE = 96


def names():
    found = (name for name in dir(keras.applications) if name[0].isupper())
    return [name for name in found if callable(getattr(keras.applications, name))]


def make(folder, name):
    generator = np.random.default_rng(0)
    build = getattr(keras.applications, name)
    # Logits: probabilities of random weights are all alike, or all zeros and ones.
    model = build(
        weights=None, input_shape=(SIDE, SIDE, 3), classes=10, classifier_activation=None
    )
    for weight in model.weights:
        if not weight.dtype.startswith("float"):
            continue
        value = generator.normal(0.0, 0.05, weight.shape)
        if weight.path.endswith(("variance", "gamma")):
            value = 0.8 + 4.0 * np.abs(value)
        weight.assign(value.astype(weight.dtype))
    x = generator.uniform(0.0, 255.0, (2, SIDE, SIDE, 3)).astype("float32")
    path = os.path.join(folder, name)
    model.save(path + ".keras")
    np.save(path + ".x.npy", x)
    np.save(path + ".y.npy", model.predict(x, verbose=0))


if __name__ == "__main__":
    for chosen in sys.argv[2:] or names():
        make(sys.argv[1], chosen)
        print(chosen, flush=True)
