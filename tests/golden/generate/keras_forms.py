"""Archives of models made and compiled in less common ways, what they predict, and where training goes on to."""

import warnings

import keras
import numpy as np
from keras import layers, losses, metrics, optimizers

from .common import Group, normal, numpy, rng

ROWS, BATCH, EPOCHS = 22, 8, 2  # the last batch has six rows
FOLDER = "keras_forms"


def make(folder):
    group = Group(
        "keras_forms",
        "keras_forms/NAME.keras was saved by Keras; loaded again it predicts `predictions` (one an output) of "
        "`x` (one an input, a dict's by key), and fit(x, y, shuffle=False, **fit) takes it to `final`",
    )
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    draw = rng(1211)
    x4, x3 = normal(draw, (ROWS, 4)), normal(draw, (ROWS, 3))
    arrays = {
        "x4": x4,
        "x3": x3,
        "small": normal(draw, (ROWS, 4), 3.0),
        "bytes": draw.integers(0, 256, (ROWS, 4)),
        "y": normal(draw, (ROWS, 2)),
        "x1": normal(draw, (ROWS, 1)),
        "ids": draw.integers(-9, 9, (ROWS, 3)),
    }
    for label, (model, inputs, compile) in CASES.items():
        keys = list(inputs) if isinstance(inputs, dict) else None
        x = [arrays[name] for name in (inputs.values() if keys else inputs)]
        add(group, place, label, model, x, keys, compile, arrays["y"])
    return group


def built_by_fit():
    """Keras writes the size of the first batch into the shape of the input."""
    return keras.Sequential([layers.Dense(3, activation="tanh"), layers.Dense(2)])


def batch_shape():
    return keras.Sequential([layers.Input(batch_shape=(BATCH, 4)), layers.Dense(2)])


def two_inputs():
    a, b = keras.Input((4,), name="wide"), keras.Input((3,), name="narrow")
    shared = layers.Dense(3, activation="tanh", name="shared")
    return a, b, shared(b), layers.Dense(2, name="left")(a)


def dicts():
    """In the order of the keys: narrow, wide; left, right."""
    a, b, right, left = two_inputs()
    return keras.Model({"wide": a, "narrow": b}, {"right": right, "left": left})


def dict_of_one():
    a = keras.Input((4,), name="wide")
    return keras.Model({"wide": a}, {"left": layers.Dense(2)(a)})


def several_outputs():
    """An input, a layer that another one reads, and that other one."""
    a, b, right, left = two_inputs()
    return keras.Model([a, b], [left, b, layers.Dense(2, name="last")(right), right])


def rescaling():
    return keras.Sequential([
        layers.Input((4,), dtype="uint8"),
        layers.Rescaling([0.01, 0.02, 0.005, 0.01], offset=np.array([0.0, -1.0, 0.5, 0.25])),
        layers.Dense(2),
    ])


def whole_numbers():
    """The data has fractions, which the declared type cuts off."""
    return keras.Sequential([layers.Input((4,), dtype="int32"), layers.Rescaling(0.5), layers.Dense(2)])


def stack():
    return keras.Sequential([layers.Dense(5, activation="relu"), layers.Dense(3)], name="stack")


def base():
    """A frozen layer, a dropout, and a sum. In `fit` Keras drops under `training=False` too, so the rate is 0."""
    x = keras.Input((3,))
    h = layers.Dense(3, activation="tanh", name="frozen", trainable=False)(x)
    h = layers.Dropout(0.0)(layers.Dense(3, name="free")(h))
    return keras.Model(x, h + x, name="base")


def pair():
    """Named inputs and outputs, neither in the order of their names."""
    q, p = keras.Input((3,), name="q"), keras.Input((3,), name="p")
    return keras.Model({"q": q, "p": p}, {"second": p * q, "first": layers.Dense(2)(p - q)}, name="pair")


def shared_models():
    """Models and a layer used several times, in training as in inference."""
    a, b = keras.Input((4,)), keras.Input((3,))
    inner, shared = base(), layers.Dense(3, activation="tanh", name="shared")
    first = shared(inner(stack()(a), training=False))
    second = shared(inner(b, training=False))
    return keras.Model([a, b], layers.Dense(2)(first - 0.5 * inner(second, training=False)))


def models_as_outputs():
    """What comes out of models at once, at their second use, and of models in models."""
    a, b = keras.Input((4,)), keras.Input((3,))
    inner, front, two = base(), stack(), pair()
    z = keras.Input((4,))
    deep = keras.Model(z, base()(stack()(z)), name="deep")
    h = front(a)
    pairs = two({"p": h, "q": b}), two({"q": h, "p": inner(b)})
    outputs = [inner(h), deep(a), h, pairs[1]["second"], pairs[0]["first"], pairs[1]["first"], front(a), inner(b)]
    return keras.Model([a, b], outputs)


def shared_between_models():
    """Layers and models that stand in two models at once: files hold their weights once."""
    a, b = keras.Input((4,)), keras.Input((3,))
    inner, front, z = base(), stack(), keras.Input((4,))
    deep = keras.Model(z, inner(front(z)), name="deep")
    return keras.Model([a, b], layers.Dense(2)(deep(a) + inner.get_layer("free")(inner(b, training=False))))


def operators():
    """Numbers on both sides, broadcasting, and whole numbers."""
    a, c, ids = keras.Input((4,)), keras.Input((1,)), keras.Input((3,), dtype="int32")
    outputs = [a + c, c - a, 2 * a, 1 - a, a - 1.5, a / (c * c + 1), 1 / (a * a + 1), -a]
    outputs += [ids * 2, ids + ids, ids / 2, ids / (ids * ids + 1), ids - 0.5, -ids, ids * c]
    return keras.Model([a, c, ids], outputs)


def dense():
    return keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(2)])


def sgd():
    return {"optimizer": optimizers.SGD(0.05, momentum=0.9), "loss": "mse"}


def functions():
    """Keras writes its own functions as it writes a user's: {"module": "builtins", ...}."""
    return {
        "optimizer": "sgd",
        "loss": losses.mean_squared_error,
        "metrics": [losses.mean_absolute_error, metrics.categorical_accuracy],
    }


CASES = {
    "built_by_fit": (built_by_fit, ["x4"], sgd),
    "batch_shape": (batch_shape, ["x4"], None),
    "dicts": (dicts, {"narrow": "x3", "wide": "x4"}, None),
    "dict_of_one": (dict_of_one, {"wide": "x4"}, None),
    "several_outputs": (several_outputs, ["x4", "x3"], None),
    "rescaling": (rescaling, ["bytes"], sgd),
    "whole_numbers": (whole_numbers, ["small"], sgd),
    "functions": (dense, ["x4"], functions),
    "shared_models": (shared_models, ["x4", "x3"], sgd),
    "models_as_outputs": (models_as_outputs, ["x4", "x3"], None),
    "shared_between_models": (shared_between_models, ["x4", "x3"], None),
    "operators": (operators, ["x4", "x1", "ids"], None),
}


def add(group, place, label, make_model, x, keys, make_compile, y, folder=FOLDER):
    given = dict(zip(keys, x)) if keys else x if len(x) > 1 else x[0]
    keras.backend.clear_session()
    keras.utils.set_random_seed(1211)
    model = make_model()
    fit = {"batch_size": BATCH, "epochs": EPOCHS}
    if make_compile:
        model.compile(**make_compile())
        model.fit(given, y, shuffle=False, verbose=0, **fit)
    path = place / f"{label}.keras"
    model.save(path)
    keras.backend.clear_session()
    # Keras does not open its own files of layers that several models share.
    if label != "shared_between_models":
        model = keras.models.load_model(path)
    batch = BATCH if label != "batch_shape" else ROWS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictions = keras.tree.flatten(model.predict(given, batch_size=batch, verbose=0))
    tensors = {"x": x, "predictions": [numpy(p) for p in predictions]}
    extra = {"file": f"{folder}/{label}.keras"}
    if make_compile:
        history = model.fit(given, y, shuffle=False, verbose=0, **fit)
        tensors |= {"y": y, "final": [numpy(w) for w in model.weights]}
        extra |= {
            "fit": fit,
            "history": {name: [float(v) for v in values] for name, values in history.history.items()},
        }
    group.case(label, None, tensors, **extra)
