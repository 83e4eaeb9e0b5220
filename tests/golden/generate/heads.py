"""Training runs of models with several outputs: losses, weights and metrics for each."""

import json

import keras
import numpy as np
from keras import layers, losses, optimizers, regularizers

from .common import Group, normal, numpy, rng

ROWS, FEATURES, CLASSES, BATCH, EPOCHS = 40, 5, 3, 16, 3


def make(_folder):
    group = Group("heads", "model.fit(x, [a, b], shuffle=False) from `initial` ends with `final`")
    draw = rng(909)
    x = normal(draw, (ROWS, FEATURES))
    tensors = {
        "x": x,
        "a": draw.integers(0, CLASSES, ROWS),
        "b": (x[:, :2] * 0.5 + normal(draw, (ROWS, 2), 0.1)).astype(np.float32),
        "weight_a": draw.uniform(0.2, 2.0, ROWS).astype(np.float32),
        "weight_b": draw.uniform(0.2, 2.0, ROWS).astype(np.float32),
    }
    logits = lambda: losses.SparseCategoricalCrossentropy(from_logits=True)
    both = {"a": logits, "b": "mse"}
    cases = {
        "list": dict(loss=[logits, "mse"]),
        "named": dict(loss=both),
        "weights_list": dict(loss=[logits, "mse"], loss_weights=[0.3, 2.0]),
        "weights_named": dict(loss=both, loss_weights={"b": 2.0, "a": 0.3}),
        "metrics_list": dict(loss=[logits, "mse"], metrics=[["accuracy"], ["mae", "mse"]]),
        "metrics_flat": dict(loss=[logits, "mse"], metrics=["accuracy", "mae"]),
        "metrics_named": dict(loss=both, metrics={"b": ["mae"]}),
        "weighted": dict(loss=[logits, "mse"], weighted_metrics=[["accuracy"], ["mae"]], metrics=[None, ["mae"]]),
        "penalties": dict(loss=[logits, "mse"], loss_weights=[0.5, 0.5], penalty=True),
    }
    for label, arguments in cases.items():
        weights = ("weight_a", "weight_b") if label in ("weighted", "list") else ()
        add(group, label, dict(arguments), tensors, weights)
    return group


def build(penalty):
    inputs = keras.Input((FEATURES,), name="features")
    regularizer = regularizers.L2(0.05) if penalty else None
    hidden = layers.Dense(4, activation="tanh", kernel_regularizer=regularizer, name="hidden")(inputs)
    return keras.Model(inputs, [layers.Dense(CLASSES, name="a")(hidden), layers.Dense(2, name="b")(hidden)])


def add(group, label, arguments, tensors, weights):
    keras.backend.clear_session()
    model = build(arguments.pop("penalty", False))
    draw = rng(707)
    initial = [normal(draw, w.shape, 0.5) for w in model.weights]
    model.set_weights(initial)
    made = lambda loss: loss() if callable(loss) else loss
    loss = arguments["loss"]
    arguments["loss"] = {k: made(v) for k, v in loss.items()} if isinstance(loss, dict) else [made(v) for v in loss]
    model.compile(optimizer=optimizers.Adam(0.01), **arguments)
    config = model.get_compile_config()
    history = model.fit(
        tensors["x"], [tensors["a"], tensors["b"]], batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0,
        sample_weight=[tensors[w] for w in weights] or None,
        validation_data=(tensors["x"][:10], [tensors["a"][:10], tensors["b"][:10]]),
    )
    used = {role: value for role, value in tensors.items() if not role.startswith("weight") or role in weights}
    group.case(
        label, json.loads(model.to_json()),
        {**used, "initial": initial, "final": [numpy(w) for w in model.weights],
         "optimizer_variables": [numpy(v) for v in model.optimizer.variables]},
        compile_config=config, output_names=list(model.output_names),
        history={name: [float(v) for v in values] for name, values in history.history.items()},
        fit={"batch_size": BATCH, "epochs": EPOCHS},
    )
