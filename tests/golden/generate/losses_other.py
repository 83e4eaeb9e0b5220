"""The losses besides crossentropies, mean errors and Huber: as in losses.py."""

import keras
import numpy as np

from .common import Group, normal, rng
from .losses import (
    BATCH, CLASSES, REDUCTIONS, SATURATED_LABELS, SATURATED_PROBABILITIES, UNNORMALISED, Data, add, one_hot, sigmoid, softmax,
)


def make(_folder):
    group = Group("losses_other", "as losses")
    data = Data(rng(303))
    for cases in (distances, focal, margins, overlaps, circle, generalized, alignments):
        cases(group, data)
    return group


def few(group, data, label, cls, arguments, y_true, y_pred):
    """Without sample weights, with them, and divided by their sum."""
    add(group, label, cls, arguments, y_true, y_pred)
    add(group, f"{label}/weights=B", cls, arguments, y_true, y_pred, data.weights)
    add(group, f"{label}/reduction=mean_with_sample_weight/weights=B1", cls,
        {**arguments, "reduction": "mean_with_sample_weight"}, y_true, y_pred, data.weights[:, None])


def over_time(group, data, label, cls, arguments, y_true, y_pred):
    """Values [B, T], with a weight for each."""
    add(group, f"{label}/rank_3/weights=BT", cls, arguments, y_true, y_pred, data.weights_3)


def distances(group, data):
    d = data
    shares, shares_3 = softmax(d.logits), softmax(d.logits_3)
    pairs = {
        "mean_absolute_percentage_error": (keras.losses.MeanAbsolutePercentageError, d.target, d.logits,
                                           d.target_3, d.logits_3),
        "mean_squared_logarithmic_error": (keras.losses.MeanSquaredLogarithmicError, np.abs(d.target),
                                           d.logits, np.abs(d.target_3), d.logits_3),
        "log_cosh": (keras.losses.LogCosh, d.target, d.logits, d.target_3, d.logits_3),
        "poisson": (keras.losses.Poisson, np.abs(d.target), np.exp(d.logits), np.abs(d.target_3),
                    np.exp(d.logits_3)),
        "kl_divergence": (keras.losses.KLDivergence, d.soft, shares, shares_3[::-1].copy(), shares_3),
        "cosine_similarity": (keras.losses.CosineSimilarity, d.target, d.logits, d.target_3, d.logits_3),
    }
    for label, (cls, true, pred, true_3, pred_3) in pairs.items():
        few(group, d, label, cls, {}, true, pred)
        over_time(group, d, label, cls, {}, true_3, pred_3)
        add(group, f"{label}/B1_and_B1", cls, {}, true[:, :1], pred[:, :1])
    add(group, "cosine_similarity/axis=1/rank_3", keras.losses.CosineSimilarity, {"axis": 1}, d.target_3, d.logits_3)
    zeros = d.target.copy()
    zeros[1] = 0
    add(group, "cosine_similarity/zero_target", keras.losses.CosineSimilarity, {}, zeros, d.logits)
    add(group, "kl_divergence/certain", keras.losses.KLDivergence, {}, one_hot(d.labels), SATURATED_PROBABILITIES)
    far = np.float32(40) * d.target
    add(group, "log_cosh/far", keras.losses.LogCosh, {}, far, d.logits)


def focal(group, data):
    d = data
    hot, hot_3 = one_hot(d.labels), one_hot(d.labels_3)
    binary_3 = np.sign(d.target_3).clip(0)
    for kind, logits in {"logits": True, "probabilities": False}.items():
        for smoothing, gamma, alpha in ((0.0, 2.0, 0.25), (0.2, 0.5, 0.6), (0.0, 0.0, 0.5)):
            arguments = {"from_logits": logits, "gamma": gamma, "alpha": alpha, "label_smoothing": smoothing}
            binary, predict = keras.losses.BinaryFocalCrossentropy, (lambda v: v) if logits else sigmoid
            label = f"binary_focal_crossentropy/{kind}/gamma={gamma}"
            add(group, label, binary, arguments, d.binary, predict(d.logits))
            add(group, f"{label}/balanced/weights=B", binary, {**arguments, "apply_class_balancing": True}, d.binary,
                predict(d.logits), d.weights)
            categorical, predict = keras.losses.CategoricalFocalCrossentropy, (lambda v: v) if logits else softmax
            label = f"categorical_focal_crossentropy/{kind}/gamma={gamma}"
            add(group, f"{label}/weights=B", categorical, arguments, hot, predict(d.logits), d.weights)
    over_time(group, d, "binary_focal_crossentropy", binary, {}, binary_3, sigmoid(d.logits_3))
    over_time(group, d, "categorical_focal_crossentropy", categorical, {}, hot_3, softmax(d.logits_3))
    add(group, "binary_focal_crossentropy/axis=1", keras.losses.BinaryFocalCrossentropy, {"axis": 1}, binary_3,
        sigmoid(d.logits_3))
    add(group, "categorical_focal_crossentropy/axis=1", keras.losses.CategoricalFocalCrossentropy, {"axis": 1},
        one_hot(d.labels_3, 1), softmax(np.moveaxis(d.logits_3, -1, 1), 1))
    add(group, "categorical_focal_crossentropy/unnormalised", keras.losses.CategoricalFocalCrossentropy, {},
        one_hot(SATURATED_LABELS), UNNORMALISED)


def margins(group, data):
    d = data
    signs, signs_3 = np.where(d.target > 0, 1, -1).astype(np.float32), np.where(d.target_3 > 0, 1, -1).astype(np.float32)
    for label, cls in {"hinge": keras.losses.Hinge, "squared_hinge": keras.losses.SquaredHinge}.items():
        few(group, d, f"{label}/signs", cls, {}, signs, d.logits)
        over_time(group, d, f"{label}/signs", cls, {}, signs_3, d.logits_3)
        add(group, f"{label}/binary", cls, {}, d.binary, d.logits)
        add(group, f"{label}/mixed", cls, {}, np.float32(signs * (np.arange(CLASSES) > 0)), d.logits)
    cls = keras.losses.CategoricalHinge
    few(group, d, "categorical_hinge", cls, {}, one_hot(d.labels), d.logits)
    over_time(group, d, "categorical_hinge", cls, {}, one_hot(d.labels_3), d.logits_3)
    add(group, "categorical_hinge/ties", cls, {}, one_hot(d.labels), np.full_like(d.logits, 0.5))


def overlaps(group, data):
    d = data
    shares, true_3 = sigmoid(d.logits), np.sign(d.target_3).clip(0)
    for label, cls, arguments in (
        ("dice", keras.losses.Dice, {}),
        ("tversky", keras.losses.Tversky, {}),
        ("tversky/weights", keras.losses.Tversky, {"alpha": 0.3, "beta": 0.9}),
    ):
        add(group, label, cls, arguments, d.binary, shares)
        add(group, f"{label}/sample_weight", cls, arguments, d.binary, shares, d.weights)
        add(group, f"{label}/empty", cls, arguments, np.zeros_like(d.binary), np.zeros_like(shares))
        for axis in (-1, [1, 2]):
            axes = {**arguments, "axis": axis}
            add(group, f"{label}/axis={axis}", cls, axes, true_3, sigmoid(d.logits_3))
        add(group, f"{label}/axis=1/weights=B", cls, {**arguments, "axis": 1}, d.binary, shares, d.weights)


def circle(group, data):
    d = data
    unit = lambda v: (v / np.linalg.norm(v, axis=-1, keepdims=True)).astype(np.float32)
    cls = keras.losses.Circle
    labels = np.array([0, 1, 0, 2, 1, 0])  # the one of class 2 has no other of its class
    few(group, d, "circle", cls, {"gamma": 8.0}, labels, unit(d.logits))
    add(group, "circle/default", cls, {}, labels, unit(d.logits))
    add(group, "circle/column_labels", cls, {"gamma": 8.0}, labels[:, None], unit(d.logits))
    add(group, "circle/diagonal", cls, {"gamma": 8.0, "remove_diagonal": False}, labels, unit(d.logits))
    add(group, "circle/margin", cls, {"gamma": 3.0, "margin": 0.1}, labels, unit(d.target), d.weights)
    add(group, "circle/one_class", cls, {"gamma": 8.0}, np.zeros(BATCH, np.int64), unit(d.logits))


def generalized(group, data):
    d = data
    cls, label = keras.losses.CategoricalGeneralizedCrossEntropy, "categorical_generalized_cross_entropy"
    few(group, d, label, cls, {}, d.labels, softmax(d.logits))
    add(group, f"{label}/q=0.1", cls, {"q": 0.1}, d.labels, softmax(d.logits))


def alignments(group, _data):
    """CTC: labels of several lengths, also equal neighbours and none, for 7 frames of 5 classes."""
    draw = rng(404)
    logits = normal(draw, (BATCH, 7, 5), 2.0)
    labels = np.array([[1, 2, 3], [2, 2, 0], [4, 0, 0], [0, 0, 0], [1, 1, 1], [3, 4, 3]])
    weights = draw.uniform(0.1, 2.0, (BATCH,)).astype(np.float32)
    weights[3] = 0.0
    cls = keras.losses.CTC
    add(group, "ctc", cls, {}, labels, logits)
    for reduction in REDUCTIONS:
        add(group, f"ctc/reduction={reduction}/weights=B", cls, {"reduction": reduction}, labels, logits, weights)
    add(group, "ctc/weights=B1", cls, {}, labels, logits, weights[:, None])
    add(group, "ctc/few_frames", cls, {}, labels, logits[:, :5])
    add(group, "ctc/large_logits", cls, {}, labels, np.float32(10) * logits)
    add(group, "ctc/equal_logits", cls, {}, labels, np.zeros_like(logits))
