"""The losses: per sample, reduced, and the gradient with regard to the predictions."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.losses import ALL_OBJECTS_DICT

from .common import Group, aliases, in_both, normal, numpy, rng

REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None]
BATCH = 6
STEPS = 3
CLASSES = 4


def make(_folder):
    group = Group(
        "losses",
        "per_sample = loss.call(y_true, y_pred); loss = loss(y_true, y_pred, sample_weight); "
        "gradient = d sum(loss) / d y_pred",
        aliases(ALL_OBJECTS_DICT),
    )
    draw = rng(202)
    data = Data(draw)
    sparse(group, data)
    categorical(group, data)
    binary(group, data)
    regression(group, data)
    return group


class Data:
    def __init__(self, draw):
        self.logits = normal(draw, (BATCH, CLASSES), 2.0)
        self.logits_3 = normal(draw, (BATCH, STEPS, CLASSES), 2.0)
        self.labels = draw.integers(0, CLASSES, (BATCH,))
        self.labels_3 = draw.integers(0, CLASSES, (BATCH, STEPS))
        self.weights = draw.uniform(0.1, 2.0, (BATCH,)).astype(np.float32)
        self.weights[2] = 0.0
        self.weights_3 = draw.uniform(0.1, 2.0, (BATCH, STEPS)).astype(np.float32)
        self.binary = draw.integers(0, 2, (BATCH, CLASSES)).astype(np.float32)
        self.target = normal(draw, (BATCH, CLASSES))
        self.target_3 = normal(draw, (BATCH, STEPS, CLASSES))
        self.soft = softmax(normal(draw, (BATCH, CLASSES)))

    def weight_cases(self):
        """The shapes of sample weights that a loss with one value a sample takes."""
        return {
            "": None,
            "/weights=B": self.weights,
            "/weights=B1": self.weights[:, None],
        }


def softmax(logits, axis=-1):
    e = np.exp(logits.astype(np.float64) - logits.max(axis, keepdims=True))
    return (e / e.sum(axis, keepdims=True)).astype(np.float32)


def sigmoid(logits):
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


def one_hot(labels, axis=-1):
    return np.moveaxis(np.eye(CLASSES, dtype=np.float32)[labels], -1, axis)


SATURATED_LOGITS = np.float32(
    [[100, -100, 0, 0], [-100, 100, 0, 0], [100, 100, -100, -100], [-100, -100, -100, -100],
     [100, -100, 100, -100], [0, 0, 0, 100]]
)
SATURATED_PROBABILITIES = np.float32(
    [[1, 0, 0, 0], [0, 1, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 1], [1e-8, 1, 0, 0], [1, 1, 1, 1]]
)
SATURATED_LABELS = np.array([0, 0, 1, 3, 0, 2])
# Rows that do not sum to one: Keras normalises them.
UNNORMALISED = np.float32(
    [[2, 1, 1, 0.5], [0.1, 0.1, 0.1, 0.1], [3, 0, 1, 1], [0.2, 0.3, 0.1, 0.9], [5, 5, 5, 5], [1, 2, 3, 4]]
)


def add(group, label, cls, arguments, y_true, y_pred, sample_weight=None):
    def compute(dtype):
        loss = cls(**arguments)
        true = y_true if y_true.dtype == np.int64 else y_true.astype(dtype)
        weight = None if sample_weight is None else sample_weight.astype(dtype)
        pred = jnp.asarray(y_pred.astype(dtype))
        total = lambda p: jnp.sum(loss(true, p, sample_weight=weight))
        return {
            "per_sample": numpy(loss.call(jnp.asarray(true).astype(dtype), pred)),
            "loss": numpy(loss(true, pred, sample_weight=weight)),
            "gradient": numpy(jax.grad(total)(pred)),
        }

    tensors = {"y_true": y_true, "y_pred": y_pred}
    if sample_weight is not None:
        tensors["sample_weight"] = sample_weight
    config = keras.losses.serialize(cls(**arguments))
    group.case(label, config, {**tensors, **in_both(compute)})


def reductions(group, data, label, cls, arguments, y_true, y_pred):
    """One plain case with each reduction and each shape of sample weights."""
    for reduction in REDUCTIONS:
        for suffix, weight in data.weight_cases().items():
            add(group, f"{label}/reduction={reduction}{suffix}", cls,
                {**arguments, "reduction": reduction}, y_true, y_pred, weight)


def sparse(group, data):
    cls, label = keras.losses.SparseCategoricalCrossentropy, "sparse_categorical_crossentropy"
    logits, probs = {"from_logits": True}, {"from_logits": False}
    d = data
    reductions(group, d, f"{label}/logits", cls, logits, d.labels, d.logits)
    reductions(group, d, f"{label}/probabilities", cls, probs, d.labels, softmax(d.logits))
    add(group, f"{label}/logits/column_labels", cls, logits, d.labels[:, None], d.logits)
    add(group, f"{label}/logits/float_labels", cls, logits, np.float32(d.labels), d.logits)
    add(group, f"{label}/logits/saturated", cls, logits, SATURATED_LABELS, SATURATED_LOGITS)
    add(group, f"{label}/probabilities/saturated", cls, probs, SATURATED_LABELS, SATURATED_PROBABILITIES)
    add(group, f"{label}/probabilities/unnormalised", cls, probs, SATURATED_LABELS, UNNORMALISED)
    # Keras refuses [B] weights for [B, T] losses, so there is no such case.
    for suffix, weight in {"": None, "/weights=B1": d.weights[:, None], "/weights=BT": d.weights_3}.items():
        add(group, f"{label}/logits/rank_3{suffix}", cls, logits, d.labels_3, d.logits_3, weight)
        add(group, f"{label}/probabilities/rank_3{suffix}", cls, probs, d.labels_3, softmax(d.logits_3), weight)
    add(group, f"{label}/logits/rank_3/column_labels", cls, logits, d.labels_3[..., None], d.logits_3)

    for ignored in (-1, 0):
        labels, labels_3 = d.labels.copy(), d.labels_3.copy()
        labels[[1, 4]] = ignored
        labels_3[0] = ignored
        labels_3[3, 1] = ignored
        for kind, predict in {"logits": lambda v: v, "probabilities": softmax}.items():
            arguments = {"from_logits": kind == "logits", "ignore_class": ignored}
            base = f"{label}/{kind}/ignore_class={ignored}"
            reductions(group, d, base, cls, arguments, labels, predict(d.logits))
            add(group, f"{base}/rank_3", cls, arguments, labels_3, predict(d.logits_3))
            add(group, f"{base}/rank_3/weights=BT", cls, arguments, labels_3,
                predict(d.logits_3), d.weights_3)
            add(group, f"{base}/all_ignored", cls, arguments, np.full(BATCH, ignored), predict(d.logits))


def categorical(group, data):
    cls, label = keras.losses.CategoricalCrossentropy, "categorical_crossentropy"
    d = data
    hot, hot_3 = one_hot(d.labels), one_hot(d.labels_3)
    for kind, predict in {"logits": lambda v, axis=-1: v, "probabilities": softmax}.items():
        arguments = {"from_logits": kind == "logits"}
        base = f"{label}/{kind}"
        reductions(group, d, base, cls, arguments, hot, predict(d.logits))
        add(group, f"{base}/soft_targets", cls, arguments, d.soft, predict(d.logits))
        add(group, f"{base}/integer_targets", cls, arguments, hot.astype(np.int64), predict(d.logits))
        add(group, f"{base}/rank_3", cls, arguments, hot_3, predict(d.logits_3))
        add(group, f"{base}/rank_3/weights=BT", cls, arguments, hot_3, predict(d.logits_3), d.weights_3)
        for smoothing in (0.1, 0.5, 1.0):
            smooth = {**arguments, "label_smoothing": smoothing}
            add(group, f"{base}/label_smoothing={smoothing}", cls, smooth, hot, predict(d.logits))
        add(group, f"{base}/label_smoothing=0.1/weights=B", cls,
            {**arguments, "label_smoothing": 0.1}, hot, predict(d.logits), d.weights)
        axis = {**arguments, "axis": 1}
        channels_first = np.moveaxis(d.logits_3, -1, 1)
        add(group, f"{base}/axis=1", cls, axis, one_hot(d.labels_3, 1), predict(channels_first, axis=1))
        # Keras counts the classes on the last axis when it smooths, whatever `axis` says.
        add(group, f"{base}/axis=1/label_smoothing=0.1", cls, {**axis, "label_smoothing": 0.1},
            one_hot(d.labels_3, 1), predict(channels_first, axis=1))
    saturated = one_hot(SATURATED_LABELS)
    probs = {"from_logits": False}
    add(group, f"{label}/logits/saturated", cls, {"from_logits": True}, saturated, SATURATED_LOGITS)
    add(group, f"{label}/probabilities/saturated", cls, probs, saturated, SATURATED_PROBABILITIES)
    add(group, f"{label}/probabilities/unnormalised", cls, probs, saturated, UNNORMALISED)


def binary(group, data):
    cls, label = keras.losses.BinaryCrossentropy, "binary_crossentropy"
    d = data
    shapes = {"B": (d.binary[:, 0], d.logits[:, 0]), "B1": (d.binary[:, :1], d.logits[:, :1])}
    for kind, predict in {"logits": lambda v: v, "probabilities": sigmoid}.items():
        arguments = {"from_logits": kind == "logits"}
        base = f"{label}/{kind}"
        reductions(group, d, base, cls, arguments, d.binary, predict(d.logits))
        for shape, (true, pred) in shapes.items():
            for suffix, weight in d.weight_cases().items():
                if shape == "B" and weight is not None:
                    continue  # the mean over the last axis leaves a scalar: nothing to weigh
                add(group, f"{base}/shape={shape}{suffix}", cls, arguments, true, predict(pred), weight)
        add(group, f"{base}/shape=B_and_B1", cls, arguments, shapes["B"][0], predict(shapes["B1"][1]))
        add(group, f"{base}/shape=B1_and_B", cls, arguments, shapes["B1"][0], predict(shapes["B"][1]))
        add(group, f"{base}/integer_targets", cls, arguments, d.binary.astype(np.int64), predict(d.logits))
        add(group, f"{base}/soft_targets", cls, arguments, d.soft, predict(d.logits))
        for smoothing in (0.1, 1.0):
            smooth = {**arguments, "label_smoothing": smoothing}
            add(group, f"{base}/label_smoothing={smoothing}", cls, smooth, d.binary, predict(d.logits))
        add(group, f"{base}/axis=1/rank_3", cls, {**arguments, "axis": 1}, np.sign(d.target_3).clip(0),
            predict(d.logits_3))
    add(group, f"{label}/logits/saturated", cls, {"from_logits": True}, d.binary, SATURATED_LOGITS)
    add(group, f"{label}/probabilities/saturated", cls, {"from_logits": False}, d.binary,
        SATURATED_PROBABILITIES)


def regression(group, data):
    d = data
    losses = {
        "mean_squared_error": (keras.losses.MeanSquaredError, [{}]),
        "mean_absolute_error": (keras.losses.MeanAbsoluteError, [{}]),
        "huber": (keras.losses.Huber, [{}, {"delta": 0.5}, {"delta": 2.0}]),
    }
    # An error of exactly zero and exactly delta, where a gradient has its kink.
    kink = d.target.copy()
    kink[1:3] = 0.0
    kink_pred = kink.copy()
    kink_pred[1] = [1.0, -1.0, 0.5, -0.5]
    kink_pred[2] = [2.0, -2.0, 0.0, 100.0]
    column, flat = d.target[:, :1], d.target[:, 0]
    for label, (cls, calls) in losses.items():
        for arguments in calls:
            base = "/".join([label] + [f"{k}={v}" for k, v in arguments.items()])
            reductions(group, d, base, cls, arguments, d.target, d.logits)
            add(group, f"{base}/kinks", cls, arguments, kink, kink_pred)
            add(group, f"{base}/rank_3", cls, arguments, d.target_3, d.logits_3)
            add(group, f"{base}/rank_3/weights=BT", cls, arguments, d.target_3, d.logits_3, d.weights_3)
        add(group, f"{label}/shape=B", cls, {}, flat, d.logits[:, 0])
        add(group, f"{label}/shape=B1", cls, {}, column, d.logits[:, :1])
        add(group, f"{label}/shape=B1/weights=B", cls, {}, column, d.logits[:, :1], d.weights)
        add(group, f"{label}/shape=B_and_B1", cls, {}, flat, d.logits[:, :1])
        add(group, f"{label}/shape=B1_and_B", cls, {}, column, d.logits[:, 0])
        add(group, f"{label}/integer_targets", cls, {}, d.labels[:, None], d.logits[:, :1])
