"""Whole training runs without shuffling: weights, optimizer variables and history after fit."""

import json

import keras
import numpy as np
from keras import constraints, layers, losses, metrics, optimizers, regularizers
from keras.optimizers.schedules import CosineDecay, ExponentialDecay

from .common import Group, double, normal, numpy, rng, run_tensors

ROWS, FEATURES, CLASSES, BATCH, EPOCHS = 50, 6, 3, 16, 4
VALIDATION_ROWS = 20  # not a multiple of the batch size either


def make(_folder):
    group = Group(
        "training",
        "model.fit(x, y, shuffle=False, **fit) from the weights `initial` ends with the weights `final`",
    )
    data = Data(rng(505))
    for label, run in runs(data).items():
        add(group, label, run)
    return group


class Data:
    """Three clusters that overlap, and targets of each kind for the same rows."""

    def __init__(self, draw):
        rows = ROWS + VALIDATION_ROWS
        self.labels = draw.integers(0, CLASSES, rows)
        centres = normal(draw, (CLASSES, FEATURES), 1.5)
        self.x = centres[self.labels] + normal(draw, (rows, FEATURES))
        self.hot = np.eye(CLASSES, dtype=np.float32)[self.labels]
        self.binary = (self.labels == 1).astype(np.int64)
        self.multi = (self.x[:, :CLASSES] > 0).astype(np.float32)
        self.real = (self.x @ normal(draw, (FEATURES, 2), 0.5) + normal(draw, (rows, 2), 0.1)).astype(np.float32)
        self.ignoring = np.where(draw.uniform(size=rows) < 0.2, -1, self.labels)
        self.weights = draw.uniform(0.2, 2.0, rows).astype(np.float32)
        self.steps_x = normal(draw, (rows, 4, FEATURES))
        self.steps_y = draw.integers(0, CLASSES, (rows, 4))
        self.steps_weights = draw.uniform(0.2, 2.0, (rows, 4)).astype(np.float32)


class Run:
    """What to build, compile and fit. `model`, `compile` and `callbacks` are made afresh each time."""

    def __init__(self, model, compile, x, y, weights=None, validation=True, callbacks=list, **fit):
        self.model, self.compile, self.callbacks = model, compile, callbacks
        self.fit = {"batch_size": BATCH, "epochs": EPOCHS, **fit}
        self.tensors = run_tensors(ROWS, x, y, weights, validation)


def mlp(outputs=CLASSES, out=None, hidden=("relu",), units=5, shape=(FEATURES,), **dense):
    def build():
        body = [layers.Dense(units, activation=name, **dense) for name in hidden]
        return keras.Sequential([layers.Input(shape), *body, layers.Dense(outputs, activation=out)])

    return build


def compile_with(optimizer=lambda: optimizers.Adam(0.01), loss=None, metrics=("accuracy",), **more):
    def arguments():
        made = (loss or (lambda: losses.SparseCategoricalCrossentropy(from_logits=True)))()
        resolved = metrics() if callable(metrics) else list(metrics)
        return {"optimizer": optimizer(), "loss": made, "metrics": resolved, **more}

    return arguments


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05),
    "sgd_momentum": lambda: optimizers.SGD(0.05, momentum=0.9),
    "sgd_nesterov": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "sgd_clipnorm": lambda: optimizers.SGD(0.1, clipnorm=0.5),
    "sgd_global_clipnorm": lambda: optimizers.SGD(0.1, global_clipnorm=0.5),
    "sgd_clipvalue": lambda: optimizers.SGD(0.1, clipvalue=0.05),
    "sgd_weight_decay": lambda: optimizers.SGD(0.1, weight_decay=0.1),
    "sgd_ema": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9),
    "sgd_ema_overwrite": lambda: optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3
    ),
    # Five does not divide the 16 steps: the last gradients stay in the accumulator.
    "sgd_accumulation": lambda: optimizers.SGD(0.2, momentum=0.9, gradient_accumulation_steps=5),
    "sgd_exponential_decay": lambda: optimizers.SGD(ExponentialDecay(0.2, 4, 0.5)),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "rmsprop_momentum": lambda: optimizers.RMSprop(0.005, rho=0.8, momentum=0.9),
    "rmsprop_centered": lambda: optimizers.RMSprop(0.005, centered=True, momentum=0.5),
    "rmsprop_clipnorm": lambda: optimizers.RMSprop(0.01, clipnorm=0.5),
    "adam": lambda: optimizers.Adam(0.02),
    "adam_default": lambda: optimizers.Adam(),
    "adam_amsgrad": lambda: optimizers.Adam(0.02, amsgrad=True),
    "adam_clipnorm": lambda: optimizers.Adam(0.02, clipnorm=0.5),
    "adam_global_clipnorm": lambda: optimizers.Adam(0.02, global_clipnorm=0.5),
    "adam_clipvalue": lambda: optimizers.Adam(0.02, clipvalue=0.05),
    "adam_weight_decay": lambda: optimizers.Adam(0.02, weight_decay=0.1),
    "adam_ema": lambda: optimizers.Adam(0.02, use_ema=True, ema_momentum=0.9),
    "adam_accumulation": lambda: optimizers.Adam(0.02, gradient_accumulation_steps=2),
    "adam_exponential_decay_staircase": lambda: optimizers.Adam(
        ExponentialDecay(0.05, 4, 0.5, staircase=True)
    ),
    "adamw": lambda: optimizers.AdamW(0.02, weight_decay=0.1),
    "adamw_amsgrad_cosine_decay": lambda: optimizers.AdamW(
        CosineDecay(0.001, 10, alpha=0.1, warmup_target=0.05, warmup_steps=4), amsgrad=True
    ),
    "adamw_everything": lambda: optimizers.AdamW(
        ExponentialDecay(0.05, 4, 0.5),
        clipnorm=0.5,
        use_ema=True,
        ema_momentum=0.9,
        gradient_accumulation_steps=2,
    ),
}

HIDDEN = ["tanh", "gelu", "selu", "silu", "elu", "leaky_relu", "sigmoid", "softplus", "mish", "hard_silu"]


def runs(d):
    """Every run by its name."""
    named = {}
    for name, optimizer in OPTIMIZERS.items():
        named[f"optimizer/{name}"] = Run(mlp(), compile_with(optimizer), d.x, d.labels)
    for name in HIDDEN:
        named[f"hidden/{name}"] = Run(mlp(hidden=(name, name)), compile_with(), d.x, d.labels)
    return named | loss_runs(d) | metric_runs(d) | fit_runs(d) | model_runs(d)


def loss_runs(d):
    """Each loss on a suitable last layer; "accuracy" is resolved from its shapes."""
    table = {
        "sparse_probabilities": (mlp(out="softmax"), "sparse_categorical_crossentropy", d.labels),
        "sparse_ignore_class": (
            mlp(),
            lambda: losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
            d.ignoring,
        ),
        "sparse_column_labels": (mlp(out="softmax"), "sparse_categorical_crossentropy", d.labels[:, None]),
        # Keras resolves "crossentropy" as it does "accuracy".
        "crossentropy_sparse": (mlp(out="softmax"), "crossentropy", d.labels),
        "crossentropy_binary": (mlp(1, "sigmoid"), "crossentropy", d.binary[:, None]),
        "crossentropy_categorical": (mlp(out="softmax"), "crossentropy", d.hot),
        "categorical_probabilities": (mlp(out="softmax"), "categorical_crossentropy", d.hot),
        "categorical_logits": (mlp(), lambda: losses.CategoricalCrossentropy(from_logits=True), d.hot),
        "categorical_label_smoothing": (
            mlp(),
            lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            d.hot,
        ),
        "binary_probabilities": (mlp(1, "sigmoid"), "binary_crossentropy", d.binary[:, None]),
        "binary_flat_labels": (mlp(1, "sigmoid"), "binary_crossentropy", d.binary),
        "binary_logits": (mlp(1), lambda: losses.BinaryCrossentropy(from_logits=True), d.binary[:, None]),
        "binary_multi_label": (mlp(CLASSES, "sigmoid"), "binary_crossentropy", d.multi),
        "binary_label_smoothing": (
            mlp(CLASSES),
            lambda: losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
            d.multi,
        ),
        "mean_squared_error": (mlp(2, hidden=("tanh",)), "mean_squared_error", d.real),
        "mse_flat_targets": (mlp(1, hidden=("tanh",)), "mse", d.real[:, 0]),
        "mean_absolute_error": (mlp(2, hidden=("selu",)), "mean_absolute_error", d.real),
        "huber": (mlp(2, hidden=("gelu",)), "huber", d.real),
        "huber_delta": (mlp(2, hidden=("gelu",)), lambda: losses.Huber(delta=0.3), d.real),
        "reduction_sum": (
            mlp(),
            lambda: losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
            d.labels,
        ),
    }
    named = {}
    for name, (model, loss, y) in table.items():
        regression = name.startswith(("mean", "mse", "huber"))
        chosen = ("mae", "root_mean_squared_error") if regression else ("accuracy",)
        made = loss if callable(loss) else lambda loss=loss: loss
        adam = lambda: optimizers.Adam(0.02)
        named[f"loss/{name}"] = Run(model, compile_with(adam, made, chosen), d.x, y)
    return named


def metric_runs(d):
    return {
        "metrics/sparse": Run(
            mlp(),
            compile_with(metrics=lambda: [
                "accuracy",
                "sparse_categorical_crossentropy",
                metrics.SparseTopKCategoricalAccuracy(k=2, name="top_2"),
                metrics.SparseCategoricalCrossentropy(from_logits=True, name="bits"),
            ]),
            d.x, d.labels,
        ),
        "metrics/categorical": Run(
            mlp(out="softmax"),
            compile_with(
                loss=lambda: "categorical_crossentropy",
                metrics=lambda: ["acc", "mse", "mae", "categorical_crossentropy", metrics.TopKCategoricalAccuracy(k=2)],
            ),
            d.x, d.hot,
        ),
        "metrics/binary": Run(
            mlp(1, "sigmoid"),
            compile_with(
                loss=lambda: "binary_crossentropy",
                metrics=lambda: ["accuracy", "bce", metrics.BinaryAccuracy(threshold=0.3, name="low")],
            ),
            d.x, d.binary[:, None],
        ),
        "metrics/weighted": Run(
            mlp(),
            compile_with(weighted_metrics=["accuracy", "sparse_categorical_crossentropy"]),
            d.x, d.labels, d.weights,
        ),
        "metrics/none": Run(mlp(), compile_with(metrics=()), d.x, d.labels),
    }


def fit_runs(d):
    """The arguments of fit and compile."""
    plain = compile_with()
    class_weight = {0: 1.0, 1: 0.5, 2: 3.0}
    stopping = lambda: [
        keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
    ]
    nervous = compile_with(lambda: optimizers.SGD(1.5, momentum=0.9))
    return {
        "fit/validation_split": Run(mlp(), plain, d.x, d.labels, validation=False, validation_split=0.3),
        "fit/no_validation": Run(mlp(), plain, d.x, d.labels, validation=False),
        "fit/class_weight": Run(mlp(), plain, d.x, d.labels, class_weight=class_weight),
        "fit/class_weight_one_hot": Run(
            mlp(out="softmax"),
            compile_with(loss=lambda: "categorical_crossentropy"),
            d.x, d.hot, class_weight=class_weight,
        ),
        "fit/sample_weight": Run(mlp(), plain, d.x, d.labels, d.weights),
        "fit/sample_weight_and_split": Run(
            mlp(), plain, d.x, d.labels, d.weights, validation=False, validation_split=0.2
        ),
        "fit/sample_weight_column": Run(mlp(), plain, d.x, d.labels, d.weights[:, None]),
        "fit/sample_weight_regression": Run(
            mlp(2), compile_with(loss=lambda: "mse", metrics=("mae",)), d.x, d.real, d.weights
        ),
        "fit/mean_with_sample_weight": Run(
            mlp(),
            compile_with(loss=lambda: losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight")),
            d.x, d.labels, d.weights,
        ),
        "fit/loss_weights": Run(
            mlp(), compile_with(lambda: optimizers.SGD(0.05), loss_weights=0.25), d.x, d.labels
        ),
        "fit/batch_of_all": Run(mlp(), plain, d.x, d.labels, batch_size=64),
        "fit/batch_of_one": Run(mlp(), plain, d.x, d.labels, batch_size=1, epochs=1),
        "fit/default_batch": Run(mlp(), plain, d.x, d.labels, batch_size=None),
        "fit/initial_epoch": Run(mlp(), plain, d.x, d.labels, initial_epoch=2),
        "fit/steps_per_epoch": Run(mlp(), plain, d.x, d.labels, steps_per_epoch=2),
        "fit/validation_freq": Run(mlp(), plain, d.x, d.labels, validation_freq=2),
        "fit/validation_batch_size": Run(mlp(), plain, d.x, d.labels, validation_batch_size=7),
        "fit/early_stopping": Run(mlp(), nervous, d.x, d.labels, epochs=10, callbacks=stopping),
    }


def model_runs(d):
    def regularized():
        l2 = regularizers.L2(0.01)
        return keras.Sequential([
            layers.Input((FEATURES,)),
            layers.Dense(5, activation="relu", kernel_regularizer=l2, kernel_constraint=constraints.MaxNorm(1.0)),
            layers.Dense(CLASSES, kernel_regularizer=l2, bias_regularizer=regularizers.L1(0.01)),
        ])

    def activity():
        return keras.Sequential([
            layers.Input((FEATURES,)),
            layers.Dense(5, activation="tanh", activity_regularizer=regularizers.L2(0.1)),
            layers.Dense(CLASSES),
        ])

    def constrained():
        return keras.Sequential([
            layers.Input((FEATURES,)),
            layers.Dense(5, activation="relu", kernel_constraint="unit_norm", bias_constraint="non_neg"),
            layers.Dense(CLASSES, kernel_constraint=constraints.MinMaxNorm(0.5, 1.0, rate=0.5)),
        ])

    def frozen():
        return keras.Sequential([
            layers.Input((FEATURES,)),
            layers.Dense(5, activation="relu", trainable=False),
            layers.Dense(4, activation="tanh"),
            layers.Dense(CLASSES),
        ])

    def reshaping():
        return keras.Sequential([
            layers.Input((FEATURES,)),
            layers.Rescaling(0.5, offset=0.1),
            layers.Reshape((3, -1)),
            layers.Dense(4),
            layers.Activation("tanh"),
            layers.Flatten(),
            layers.Identity(),
            layers.Dropout(0.0),
            layers.Dense(CLASSES),
        ])

    steps = mlp(shape=(4, FEATURES))
    plain = compile_with()
    return {
        "model/linear": Run(mlp(hidden=()), plain, d.x, d.labels),
        "model/deep": Run(mlp(hidden=("relu",) * 4), plain, d.x, d.labels),
        "model/no_bias": Run(mlp(use_bias=False), plain, d.x, d.labels),
        "model/regularized": Run(regularized, plain, d.x, d.labels),
        "model/regularized_sample_weight": Run(regularized, plain, d.x, d.labels, d.weights),
        "model/activity_regularizer": Run(activity, plain, d.x, d.labels),
        "model/constrained": Run(constrained, plain, d.x, d.labels),
        "model/frozen": Run(frozen, plain, d.x, d.labels),
        "model/reshaping": Run(reshaping, plain, d.x, d.labels),
        "model/rank_3": Run(steps, plain, d.steps_x, d.steps_y),
        "model/rank_3_sample_weight": Run(steps, plain, d.steps_x, d.steps_y, d.steps_weights),
    }


def train(run, dtype):
    keras.backend.clear_session()
    model = run.model()
    draw = rng(606)
    initial = [normal(draw, w.shape, 0.5) for w in model.weights]
    model.set_weights([w.astype(dtype) for w in initial])
    model.compile(**run.compile())
    index = {
        "config": json.loads(model.to_json()),
        "compile_config": model.get_compile_config(),
        "weight_names": [w.path for w in model.weights],
    }
    cast = {
        role: value if value.dtype == np.int64 else value.astype(dtype)
        for role, value in run.tensors.items()
    }
    validation = [cast.get(role) for role in ("x_val", "y_val", "sample_weight_val")]
    history = model.fit(
        cast["x"],
        cast["y"],
        sample_weight=cast.get("sample_weight"),
        validation_data=None if validation[0] is None else tuple(v for v in validation if v is not None),
        shuffle=False,
        verbose=0,
        callbacks=run.callbacks(),
        **run.fit,
    )
    index["history"] = {name: [float(v) for v in values] for name, values in history.history.items()}
    index["epoch"] = history.epoch
    final = [numpy(w) for w in model.weights]
    variables = [(v.path, numpy(v)) for v in model.optimizer.variables]
    index["variable_names"] = [path for path, _ in variables]
    if validation[0] is not None:
        named = dict(zip(("x", "y", "sample_weight"), validation))
        scores = model.evaluate(**named, batch_size=BATCH, verbose=0, return_dict=True)
        index["evaluate"] = {name: float(v) for name, v in scores.items()}
    predictions = model.predict(cast.get("x_val", cast["x"]), batch_size=BATCH, verbose=0)
    return initial, final, [v for _, v in variables], predictions, index


def add(group, label, run):
    initial, final, variables, predictions, index = train(run, np.float32)
    with double():
        _, final64, _, _, index64 = train(run, np.float64)
    tensors = {
        **run.tensors,
        "initial": initial,
        "final": final,
        "final64": final64,
        "optimizer_variables": variables,
        "predictions": predictions,
    }
    callbacks = [
        {"class_name": type(c).__name__, "config": {"monitor": c.monitor, "patience": c.patience,
         "restore_best_weights": c.restore_best_weights}}
        for c in run.callbacks()
    ]
    config = index.pop("config")
    group.case(label, config, tensors, fit={"shuffle": False, **run.fit}, callbacks=callbacks, **index,
               history64=index64["history"])
