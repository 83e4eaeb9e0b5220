"""Archives written by Keras, what they predict, and where Keras gets when it goes on training them."""

import warnings

import keras
import numpy as np
from keras import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from keras.optimizers.schedules import ExponentialDecay

from .common import Group, normal, numpy, rng

ROWS, FEATURES, CLASSES = 40, 6, 3
BATCH = 16  # the last batch has eight rows
EPOCHS_BEFORE, EPOCHS_AFTER = 2, 3
FOLDER = "keras_files"


def make(folder):
    group = Group(
        "keras_files",
        "keras_files/NAME.keras was saved by Keras; loaded again it predicts predictions.npy, and "
        "fit(x, y, shuffle=False, **fit) takes it from `weights` to `final`",
    )
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    arrays = targets()
    for name, array in arrays.items():
        np.save(place / f"{name}.npy", array)
    for label, (model, compile, y) in TRAINED.items():
        add(group, place, label, model, compile, arrays, y)
    for label, (model, compile) in UNTRAINED.items():
        add_untrained(group, place, label, model, compile)
    add_unbuilt(group, place)
    return group


def targets():
    draw = rng(707)
    labels = draw.integers(0, CLASSES, ROWS)
    centres = normal(draw, (CLASSES, FEATURES), 1.5)
    x = centres[labels] + normal(draw, (ROWS, FEATURES))
    return {
        "x": x,
        "y_sparse": labels,
        "y_one_hot": np.eye(CLASSES, dtype=np.float32)[labels],
        "y_binary": (labels == 1).astype(np.int64)[:, None],
        "y_real": normal(draw, (ROWS, 2)),
    }


def mlp(outputs=CLASSES, out=None):
    return lambda: keras.Sequential([
        layers.Input((FEATURES,)),
        layers.Dense(8, activation="relu"),
        layers.Dense(5, activation="tanh"),
        layers.Dense(outputs, activation=out),
    ])


def named():
    """Names do not decide where an archive keeps a layer; classes and their order do."""
    return keras.Sequential(
        [
            layers.Input((FEATURES,), name="features"),
            layers.Dense(8, activation="gelu", name="hidden"),
            layers.Activation("selu", name="act"),
            layers.Dense(5, name="dense_7", use_bias=False),
            layers.Dense(CLASSES, name="logits"),
        ],
        name="the_classifier",
    )


def every_layer():
    return keras.Sequential([
        layers.Input((FEATURES,)),
        layers.Rescaling(0.5, offset=0.1),
        layers.Reshape((3, -1)),
        layers.Dense(4),
        layers.Activation("silu"),
        layers.Flatten(),
        layers.Identity(),
        # Rates above zero would draw random numbers in the epochs that follow.
        layers.Dropout(0.0, seed=5),
        layers.Dense(CLASSES),
    ])


def dropout():
    return keras.Sequential([
        layers.Input((FEATURES,)),
        layers.Dense(8, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(CLASSES),
    ])


def every_argument():
    l2 = regularizers.L2(0.01)  # one object twice: the archive gives it a shared_object_id
    return keras.Sequential([
        layers.Input((FEATURES,)),
        layers.Dense(
            8,
            activation="relu",
            kernel_initializer=initializers.HeNormal(seed=3),
            bias_initializer=initializers.Constant(0.1),
            kernel_regularizer=l2,
            bias_regularizer=regularizers.L1L2(0.001, 0.002),
            kernel_constraint=constraints.MaxNorm(1.5),
            bias_constraint="non_neg",
        ),
        layers.Dense(CLASSES, kernel_initializer="orthogonal", kernel_regularizer=l2),
    ])


def frozen():
    model = mlp()()
    model.layers[0].trainable = False
    return model


def functional():
    inputs = keras.Input((FEATURES,), name="features")
    hidden = layers.Dense(8, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(hidden), name="functional_mlp")


def sparse_logits():
    return losses.SparseCategoricalCrossentropy(from_logits=True)


def compile_with(optimizer, loss=sparse_logits, metrics=lambda: ["accuracy"], **more):
    return lambda: {"optimizer": optimizer(), "loss": loss(), "metrics": metrics(), **more}


adam = compile_with(lambda: optimizers.Adam(0.01))

# name: (model, arguments of compile or None, which y)
TRAINED = {
    "adam": (mlp(), adam, "y_sparse"),
    "sgd": (mlp(), compile_with(lambda: optimizers.SGD(0.05)), "y_sparse"),
    "sgd_momentum": (
        mlp(),
        compile_with(lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=1.0)),
        "y_sparse",
    ),
    "rmsprop_centered": (
        mlp(),
        compile_with(lambda: optimizers.RMSprop(0.005, centered=True, momentum=0.5)),
        "y_sparse",
    ),
    "adamw_amsgrad": (
        mlp(),
        compile_with(lambda: optimizers.AdamW(
            ExponentialDecay(0.02, 4, 0.8), weight_decay=0.01, amsgrad=True)),
        "y_sparse",
    ),
    "adam_ema_accumulation": (
        mlp(),
        compile_with(lambda: optimizers.Adam(
            0.02, use_ema=True, ema_momentum=0.9, gradient_accumulation_steps=2, global_clipnorm=1.0)),
        "y_sparse",
    ),
    "strings": (
        mlp(out="softmax"),
        lambda: {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        "y_sparse",
    ),
    "loss_objects": (
        mlp(),
        compile_with(
            lambda: optimizers.Adam(0.01),
            lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            lambda: ["accuracy", metrics.TopKCategoricalAccuracy(k=2, name="top_2"),
                     metrics.CategoricalCrossentropy(from_logits=True)],
        ),
        "y_one_hot",
    ),
    "binary": (
        mlp(1, "sigmoid"),
        compile_with(
            lambda: optimizers.RMSprop(0.01),
            lambda: "binary_crossentropy",
            lambda: ["accuracy", metrics.BinaryAccuracy(threshold=0.4, name="at_0_4")],
            weighted_metrics=["mae"],
            loss_weights=[0.5],
        ),
        "y_binary",
    ),
    "regression": (
        mlp(2),
        compile_with(lambda: optimizers.Adam(0.01), lambda: losses.Huber(delta=0.5),
                     lambda: ["mae", metrics.RootMeanSquaredError()]),
        "y_real",
    ),
    "named": (named, adam, "y_sparse"),
    "every_layer": (every_layer, adam, "y_sparse"),
    "every_argument": (every_argument, adam, "y_sparse"),
    "frozen": (frozen, adam, "y_sparse"),
    "functional": (functional, adam, "y_sparse"),
    "functional_sgd": (functional, compile_with(lambda: optimizers.SGD(0.05, momentum=0.9)), "y_sparse"),
    # Compiled, never fitted: its optimizer has no slots yet. Training would draw random numbers.
    "dropout": (dropout, adam, None),
    "uncompiled": (mlp(), None, None),
}


def unsupported():
    return keras.Sequential([
        layers.Input((8, 8, 1)),
        layers.Conv2D(2, 3, name="conv"),
        layers.Reshape((6, 12)),
        layers.LSTM(3, return_sequences=True),
        keras.Sequential(
            [layers.Input((6, 3)), layers.Bidirectional(layers.GRU(2), name="both_ways"), layers.Dense(4)],
            name="block",
        ),
        layers.BatchNormalization(),
        layers.Dense(CLASSES),
    ])


# A Lambda layer saves its code with the name of the file the code is from: not that of this one.
DOUBLE = eval(compile("lambda v: v * 2.0", "<lambda>", "eval"))


def with_lambda():
    return keras.Sequential([
        layers.Input((FEATURES,)),
        layers.Dense(4, name="before"),
        layers.Lambda(DOUBLE, name="times_two"),
        layers.Dense(CLASSES, name="after"),
    ])


@keras.saving.register_keras_serializable(package="golden")
class Doubling(keras.layers.Layer):
    """A user's own layer: an archive holds its name, never its code."""

    def call(self, inputs):
        return inputs * 2.0


def custom_layer():
    return keras.Sequential([layers.Input((FEATURES,)), Doubling(name="mine"), layers.Dense(CLASSES)])


def nested():
    block = [layers.Input((FEATURES,)), layers.Dense(4, activation="relu"), layers.Dense(4)]
    return keras.Sequential([
        layers.Input((FEATURES,)),
        keras.Sequential(block, name="block"),
        layers.Dense(CLASSES),
    ])


def branches():
    inputs = keras.Input((FEATURES,), name="features")
    left = layers.Dense(4, activation="relu", name="left")(inputs)
    right = layers.Dense(4, activation="tanh", name="right")(inputs)
    joined = layers.Concatenate(name="joined")([left, layers.Add(name="summed")([left, right])])
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(joined))


def ftrl():
    return {"optimizer": optimizers.Ftrl(0.01), "loss": losses.Poisson(), "metrics": [metrics.AUC()]}


# Archives that are saved only; `contains` lists their layers besides KNOWN.
UNTRAINED = {
    "unsupported_layers": (unsupported, None),
    "lambda": (with_lambda, None),
    "custom_layer": (custom_layer, None),
    "nested": (nested, None),
    "branches": (branches, None),
    "compiled_ftrl": (mlp(), ftrl),
}
KNOWN = {"InputLayer", "Dense", "Activation", "Dropout", "Flatten", "Reshape", "Rescaling", "Identity"}


def fresh(make_model, make_compile):
    """A model with weights that depend on nothing but the seed."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(808)  # for layers that draw a seed themselves
    model = make_model()
    draw = rng(808)
    for weight in model.weights:
        weight.assign(normal(draw, weight.shape, 0.5))
    if make_compile:
        model.compile(**make_compile())
    return model


def state(model):
    """Weights and optimizer variables, with their paths."""
    weights = model.weights
    variables = model.optimizer.variables if model.compiled else []
    return [w.path for w in weights], [numpy(w) for w in weights], \
        [v.path for v in variables], [numpy(v) for v in variables]


def add(group, place, label, make_model, make_compile, arrays, y_name):
    model = fresh(make_model, make_compile)
    if y_name:
        before = {"batch_size": BATCH, "epochs": EPOCHS_BEFORE, "shuffle": False, "verbose": 0}
        model.fit(arrays["x"], arrays[y_name], **before)
    path = place / f"{label}.keras"
    model.save(path)
    keras.backend.clear_session()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on loading an optimizer that has no slots yet
        model = keras.models.load_model(path)
    predictions = model.predict(arrays["x"], batch_size=BATCH, verbose=0)
    np.save(place / f"{label}.predictions.npy", predictions)

    weight_names, weights, variable_names, variables = state(model)
    tensors = {"weights": weights, "optimizer_variables": variables}
    extra = {
        "file": f"{FOLDER}/{label}.keras",
        "x": f"{FOLDER}/x.npy",
        "predictions": f"{FOLDER}/{label}.predictions.npy",
        "weight_names": weight_names,
        "variable_names": variable_names,
    }
    config = keras.saving.serialize_keras_object(model)
    if y_name:
        y = arrays[y_name]
        scores = model.evaluate(arrays["x"], y, batch_size=BATCH, verbose=0, return_dict=True)
        fit = {"batch_size": BATCH, "epochs": EPOCHS_AFTER}
        history = model.fit(arrays["x"], y, shuffle=False, verbose=0, **fit)
        _, tensors["final"], _, tensors["final_optimizer_variables"] = state(model)
        extra |= {
            "y": f"{FOLDER}/{y_name}.npy",
            "evaluate": {name: float(v) for name, v in scores.items()},
            "fit": {**fit, "shuffle": False},
            "history": {name: [float(v) for v in values] for name, values in history.history.items()},
        }
    group.case(label, config, tensors, **extra)


def contents(model, path=""):
    """(path, class) of every layer below a model that is not among KNOWN, wrappers' insides too."""
    found = []
    for layer in model._layers if isinstance(model, keras.Model) else []:
        name = type(layer).__name__
        here = f"{path}{layer.name}"
        if name not in KNOWN:
            found.append({"path": here, "class_name": name})
        found += contents(layer, f"{here}/")
    return found


def add_untrained(group, place, label, make_model, make_compile):
    model = fresh(make_model, make_compile)
    contains = contents(model)
    model.save(place / f"{label}.keras")
    config = None if label == "lambda" else keras.saving.serialize_keras_object(model)
    group.case(label, config, {}, file=f"{FOLDER}/{label}.keras", contains=contains)


def add_unbuilt(group, place):
    """A Sequential that never saw its input shape has no weights to save."""
    keras.backend.clear_session()
    model = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(CLASSES)])
    model.compile(**adam())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(place / "unbuilt.keras")
    config = keras.saving.serialize_keras_object(model)
    tensors = {"weights": [], "optimizer_variables": []}
    group.case("unbuilt", config, tensors, file=f"{FOLDER}/unbuilt.keras")
