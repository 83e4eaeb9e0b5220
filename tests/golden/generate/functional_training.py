"""Training runs of models with several inputs and outputs, each output with its own loss and metrics."""

import json

import keras
import numpy as np
from keras import layers, losses, metrics, optimizers, regularizers

from .common import Group, double, normal, numpy, rng, run_tensors
from .layer_case import finalize

ROWS, CLASSES, BATCH, EPOCHS = 42, 3, 16, 3
VALIDATION_ROWS = 20  # not a multiple of the batch size either

def make(_folder):
    return training_group("functional_training", runs(Data(rng(707))))


def training_group(name, all_runs):
    """A group of training runs by their labels."""
    group = Group(
        name,
        "model.fit(x, y, shuffle=False, **fit), lists in the order of the model's inputs and outputs, from the "
        "weights `initial` ends with the weights `final`",
    )
    for label, run in all_runs.items():
        add(group, label, run)
    return group


class Data:
    def __init__(self, draw):
        rows = ROWS + VALIDATION_ROWS
        self.wide, self.narrow = normal(draw, (rows, 4)), normal(draw, (rows, 2))
        self.labels = draw.integers(0, CLASSES, rows)
        self.real = (self.wide[:, :2] + normal(draw, (rows, 2), 0.2)).astype(np.float32)
        self.weights = [draw.uniform(0.2, 2.0, rows).astype(np.float32) for _ in range(2)]
        self.steps = normal(draw, (rows, 5, 3))
        # Steps that are padded are zero, and each row keeps its first one.
        keep = np.arange(5)[None, :] < draw.integers(1, 6, rows)[:, None]
        self.steps[~keep] = 0.0
        self.steps_labels = draw.integers(0, CLASSES, (rows, 5))


class Run:
    """`x` and `y` are lists in the model's order; `keys` names the targets where Keras is given a dict."""

    def __init__(self, model, compile, x, y, weights=None, keys=None, validation=True, **fit):
        self.model, self.compile, self.keys = model, compile, keys
        self.fit = {"batch_size": BATCH, "epochs": EPOCHS, **fit}
        self.tensors = run_tensors(ROWS, x, y, weights, validation)


def two_heads(out="softmax", penalty=None, outputs=list):
    """One input, a shared body, classes `a` and numbers `b`."""

    def build():
        x = keras.Input((4,), name="wide")
        h = layers.Dense(5, activation="tanh", name="body", kernel_regularizer=penalty and penalty())(x)
        a = layers.Dense(CLASSES, activation=out, name="a")(h)
        b = layers.Dense(2, name="b")(h)
        return keras.Model(x, [a, b] if outputs is list else {"b": b, "a": a})

    return build


def shared():
    """Two inputs, and a layer with a penalty that is used on both of their projections."""
    wide, narrow = keras.Input((4,), name="wide"), keras.Input((2,), name="narrow")
    twice = layers.Dense(4, activation="tanh", name="twice", kernel_regularizer=regularizers.L2(0.1))
    left = twice(layers.Dense(3, name="left")(wide))
    right = twice(layers.Dense(3, name="right")(narrow))
    return keras.Model([wide, narrow], [
        layers.Dense(CLASSES, activation="softmax", name="a")(left),
        layers.Dense(2, name="b")(right),
    ])


def masked():
    """A mask from padded steps reaches the losses of both outputs."""
    x = keras.Input((5, 3), name="steps")
    h = layers.Masking(name="masking")(x)
    return keras.Model(x, [
        layers.Dense(CLASSES, activation="softmax", name="a")(h),
        layers.Dense(2, name="b")(h),
    ])


def masked_one():
    x = keras.Input((5, 3), name="steps")
    return keras.Model(x, layers.Dense(CLASSES, activation="softmax", name="a")(layers.Masking(name="masking")(x)))


def sequence():
    """Logits of 4 classes for each of 5 steps."""
    x = keras.Input((5, 3), name="steps")
    return keras.Model(x, layers.Dense(4, name="a")(x))


def sequences():
    """Labels from 1 on, of several lengths."""
    draw = rng(1309)
    labels = draw.integers(1, 4, (ROWS + VALIDATION_ROWS, 3))
    labels[np.arange(3)[None, :] >= draw.integers(0, 4, len(labels))[:, None]] = 0
    return labels


def compiled(loss, optimizer=lambda: optimizers.SGD(0.05, momentum=0.9), **more):
    return lambda: {"optimizer": optimizer(), "loss": loss, **more}


SPARSE = "sparse_categorical_crossentropy"


def runs(d):
    x, y = [d.wide], [d.labels, d.real]
    both = [d.wide, d.narrow]
    l2 = lambda: regularizers.L2(0.1)
    by_name = {"b": "mse", "a": SPARSE}
    return {
        "loss/list": Run(two_heads(), compiled([SPARSE, "mse"]), x, y),
        "loss/by_name": Run(two_heads(), compiled(by_name), x, y),
        "loss/one_for_all": Run(two_heads("linear"), compiled("mse"), x, [d.wide[:, :3].copy(), d.real]),
        "loss/none": Run(two_heads(), compiled([SPARSE, None], metrics=[["accuracy"], ["mae"]]), x, y),
        "loss/objects": Run(
            two_heads("linear"),
            compiled({"a": losses.SparseCategoricalCrossentropy(from_logits=True), "b": losses.Huber()}),
            x, y,
        ),
        "loss_weights/list": Run(two_heads(), compiled([SPARSE, "mse"], loss_weights=[0.25, 2.0]), x, y),
        "loss_weights/by_name": Run(two_heads(), compiled(by_name, loss_weights={"a": 0.25, "b": 3.0}), x, y),
        "loss_weights/penalties": Run(
            two_heads(penalty=l2), compiled([SPARSE, "mse"], loss_weights=[0.01, 0.02], metrics=["accuracy", "mae"]), x, y
        ),
        "metrics/list": Run(two_heads(), compiled([SPARSE, "mse"], metrics=["accuracy", "mae"]), x, y),
        "metrics/lists": Run(
            two_heads(), compiled([SPARSE, "mse"], metrics=[["accuracy", "sparse_top_k_categorical_accuracy"], ["mae", "mse"]]), x, y
        ),
        "metrics/by_name": Run(two_heads(), compiled([SPARSE, "mse"], metrics={"b": ["mae"], "a": "accuracy"}), x, y),
        "metrics/one_output": Run(two_heads(), compiled([SPARSE, "mse"], metrics={"b": [metrics.MeanAbsoluteError(name="off")]}), x, y),
        "metrics/losses": Run(
            two_heads(),
            compiled(
                [SPARSE, "mse"],
                metrics={
                    "a": [losses.SparseCategoricalCrossentropy(name="own"), losses.sparse_categorical_crossentropy],
                    "b": [
                        losses.Huber(), losses.huber, losses.cosine_similarity, losses.MeanSquaredError(reduction="sum"),
                        metrics.MeanMetricWrapper(losses.huber, name="wrapped", delta=0.3),
                    ],
                },
                weighted_metrics={"b": [losses.log_cosh, metrics.R2Score()]},
            ),
            x, y, d.weights,
        ),
        "metrics/intersections": Run(
            two_heads(),
            compiled(
                [SPARSE, "mse"],
                metrics=[
                    [
                        metrics.IoU(CLASSES, [0, 2], sparse_y_pred=False),
                        metrics.MeanIoU(CLASSES, sparse_y_pred=False, ignore_class=1),
                    ],
                    [metrics.R2Score(class_aggregation="variance_weighted_average"), "r2_score"],
                ],
            ),
            x, y,
        ),
        "loss/ctc": Run(sequence, compiled(losses.CTC(), metrics=[losses.ctc]), [d.steps], [sequences()], d.weights[:1]),
        "sample_weight/list": Run(
            two_heads(),
            compiled([SPARSE, "mse"], metrics=["accuracy", "mae"], weighted_metrics=[["accuracy"], ["mae"]]),
            x, y, d.weights,
        ),
        "sample_weight/by_name": Run(
            two_heads(outputs=dict),
            compiled(by_name, weighted_metrics={"a": ["accuracy"], "b": ["mse"]}, loss_weights={"a": 0.5, "b": 1.5}),
            x, y, d.weights, keys=["a", "b"],
        ),
        "sample_weight/one_for_all": Run(
            two_heads(), compiled([SPARSE, "mse"], weighted_metrics=["accuracy", "mae"]), x, y, d.weights[:1]
        ),
        "model/dict_outputs": Run(two_heads(outputs=dict), compiled(by_name, metrics={"a": ["accuracy"]}), x, y, keys=["a", "b"]),
        "model/shared": Run(shared, compiled([SPARSE, "mse"], loss_weights=[2.0, 0.5], metrics=["accuracy", "mae"]), both, y),
        "fit/no_validation": Run(shared, compiled([SPARSE, "mse"]), both, y, validation=False),
        "fit/validation_split": Run(shared, compiled([SPARSE, "mse"], metrics=["accuracy", "mae"]), both, y, d.weights,
                                    validation=False, validation_split=0.25),
        "optimizer/adam": Run(
            two_heads("linear", penalty=l2),
            compiled(
                [losses.SparseCategoricalCrossentropy(from_logits=True), "mse"], lambda: optimizers.Adam(0.01),
                metrics=[None, ["mae"]], weighted_metrics=[["accuracy"], ["mae"]],
            ),
            x, y, d.weights,
        ),
        "mask/one": Run(masked_one, compiled(SPARSE), [d.steps], [d.steps_labels]),
        "mask/two": Run(masked, compiled([SPARSE, "mse"]), [d.steps], [d.steps_labels, d.steps[:, :, :2].copy()]),
    }


def first_value(weight, drawn):
    """Variances are positive, whole numbers stay as they are."""
    if "int" in str(weight.dtype):
        return numpy(weight)
    return np.abs(drawn) + np.float32(0.3) if "variance" in weight.path else drawn


def train(run, dtype):
    keras.backend.clear_session()
    model = run.model()
    draw = rng(808)
    initial = [first_value(w, normal(draw, w.shape, 0.5)) for w in model.weights]
    model.set_weights([w if w.dtype.kind == "i" else w.astype(dtype) for w in initial])
    for layer in model.layers:
        finalize(layer)
    model.compile(**run.compile())
    index = {
        "config": json.loads(model.to_json()),
        "compile_config": model.get_compile_config(),
        "weight_names": [w.path for w in model.weights],
    }

    def given(role):
        arrays = run.tensors.get(role)
        if arrays is None:
            return None
        arrays = [a if a.dtype == np.int64 else a.astype(dtype) for a in arrays]
        if run.keys and not role.startswith("x"):
            return dict(zip(run.keys, arrays))
        # Keras takes one array of weights for all outputs as it is.
        return arrays if len(arrays) > 1 else arrays[0]

    validation = [given("x_val"), given("y_val"), given("sample_weight_val")]
    history = model.fit(
        given("x"),
        given("y"),
        sample_weight=given("sample_weight"),
        validation_data=None if validation[0] is None else tuple(v for v in validation if v is not None),
        shuffle=False,
        verbose=0,
        **run.fit,
    )
    index["history"] = {name: [float(v) for v in values] for name, values in history.history.items()}
    final = [numpy(w) for w in model.weights]
    variables = [numpy(v) for v in model.optimizer.variables]
    if validation[0] is not None:
        named = dict(zip(("x", "y", "sample_weight"), validation))
        scores = model.evaluate(**named, batch_size=BATCH, verbose=0, return_dict=True)
        index["evaluate"] = {name: float(v) for name, v in scores.items()}
    predictions = model.predict(given("x"), batch_size=BATCH, verbose=0)
    if isinstance(predictions, dict):
        predictions = [predictions[key] for key in run.keys]
    predictions = predictions if isinstance(predictions, list) else [predictions]
    return initial, final, variables, predictions, index


def add(group, label, run):
    initial, final, variables, predictions, index = train(run, np.float32)
    with double():
        _, final64, _, predictions64, index64 = train(run, np.float64)
    tensors = {
        **run.tensors,
        "initial": initial,
        "final": final,
        "final64": final64,
        "optimizer_variables": variables,
        "predictions": predictions,
        "predictions64": predictions64,
    }
    config = index.pop("config")
    more = {} if run.keys is None else {"keys": run.keys}
    group.case(label, config, tensors, fit={"shuffle": False, **run.fit}, **more, **index, history64=index64["history"])
