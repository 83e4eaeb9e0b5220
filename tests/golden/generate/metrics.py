"""The metrics: the result after each of several updates."""

import keras
import numpy as np
from keras import metrics
from keras.src.metrics import ALL_OBJECTS_DICT

from .common import Group, aliases, normal, numpy, rng

BATCHES = (6, 6, 3)
CLASSES = 4


def make(_folder):
    group = Group("metrics", "results[i] = result() after update_state with the i-th arrays; then reset",
                  aliases(ALL_OBJECTS_DICT))
    Cases(group, rng(909)).all()
    return group


class Cases:
    def __init__(self, group, draw):
        self.group = group
        self.logits = [normal(draw, (n, CLASSES), 1.5) for n in BATCHES]
        self.logits[0][1] = [1.0, 1.0, 0.5, 1.0]  # ties for the first place
        self.logits[1][0] = 0.25  # all tied
        self.labels = [draw.integers(0, CLASSES, n) for n in BATCHES]
        self.labels[0][1], self.labels[1][0] = 3, 2
        self.weights = [draw.uniform(0.0, 2.0, n).astype(np.float32) for n in BATCHES]
        self.weights[1][2] = 0.0
        self.binary = [draw.integers(0, 2, (n, CLASSES)).astype(np.float32) for n in BATCHES]
        self.target = [normal(draw, (n, CLASSES)) for n in BATCHES]
        self.logits_3 = [normal(draw, (n, 3, CLASSES)) for n in BATCHES]
        self.labels_3 = [draw.integers(0, CLASSES, (n, 3)) for n in BATCHES]
        self.weights_3 = [draw.uniform(0.0, 2.0, (n, 3)).astype(np.float32) for n in BATCHES]
        self.one_hot = [np.eye(CLASSES, dtype=np.float32)[v] for v in self.labels]
        self.one_hot_3 = [np.eye(CLASSES, dtype=np.float32)[v] for v in self.labels_3]
        self.probabilities = [softmax(v) for v in self.logits]
        self.sigmoids = [(1 / (1 + np.exp(-v))).astype(np.float32) for v in self.logits]
        self.sigmoids[0][0] = [0.5, 0.0, 1.0, 0.7]  # on the threshold

    def all(self):
        self.accuracies()
        self.top_k()
        self.regression()
        self.crossentropies()
        self.reductions()

    def add(self, label, make_metric, y_true, y_pred, weight=None):
        """The updates without weights, with weights [B], and with `weight` if there is one."""
        weights = {"": None, "/weights=B": self.weights, "/weights=B1": [w[:, None] for w in self.weights]}
        if weight is not None:
            weights = {"": None, "/weights=BT": weight}
        # A mean over the only axis leaves one number a batch, nothing that [B] weights could weigh.
        one_number = y_pred[0].ndim == 1 and not label.startswith(("accuracy", "binary_accuracy"))
        for suffix, weight in weights.items():
            if not (one_number and weight is not None):
                arrays = {"y_true": y_true, "y_pred": y_pred}
                self.record(f"{label}{suffix}", make_metric, arrays, weight)

    def record(self, label, make_metric, arrays, weight):
        keras.backend.clear_session()
        metric = make_metric()
        config = keras.metrics.serialize(metric)
        results, states = [], []
        for batch in range(len(BATCHES)):
            values = [v[batch] for v in arrays.values()]
            metric.update_state(*values, sample_weight=None if weight is None else weight[batch])
            results.append(numpy(metric.result()))
            states.append([numpy(v) for v in metric.variables])
        metric.reset_state()
        tensors = {
            **arrays,
            "sample_weight": [None] * len(BATCHES) if weight is None else weight,
            "results": np.stack(results),
            "variables": [np.stack(v) for v in zip(*states)],
            "after_reset": numpy(metric.result()),
        }
        names = [v.name for v in metric.variables]
        self.group.case(label, config, tensors, variable_names=names)

    def accuracies(self):
        equal = [np.float32(v) for v in self.labels]
        other = [v.copy() for v in equal]
        for v in other:
            v[1] += 1
        self.add("accuracy/B", lambda: metrics.Accuracy(), equal, other)
        self.add("accuracy/B1", lambda: metrics.Accuracy(name="own"), [v[:, None] for v in equal],
                 [v[:, None] for v in other])
        self.add("accuracy/BK", lambda: metrics.Accuracy(), self.binary, [v.round() for v in self.sigmoids])
        for threshold in (0.5, 0.3, 0.0, 0.7):
            make = lambda: metrics.BinaryAccuracy(threshold=threshold)
            label = f"binary_accuracy/threshold={threshold}"
            self.add(f"{label}/BK", make, self.binary, self.sigmoids)
            first = [v[:, :1] for v in self.binary], [v[:, :1] for v in self.sigmoids]
            self.add(f"{label}/B1", make, *first)
        self.add("binary_accuracy/B", lambda: metrics.BinaryAccuracy(),
                 [v[:, 0] for v in self.binary], [v[:, 0] for v in self.sigmoids])
        self.add("binary_accuracy/B_and_B1", lambda: metrics.BinaryAccuracy(),
                 [v[:, 0] for v in self.binary], [v[:, :1] for v in self.sigmoids])
        self.add("categorical_accuracy", lambda: metrics.CategoricalAccuracy(), self.one_hot, self.logits)
        self.add("categorical_accuracy/rank_3", lambda: metrics.CategoricalAccuracy(), self.one_hot_3,
                 self.logits_3, self.weights_3)
        make = lambda: metrics.SparseCategoricalAccuracy()
        columns = [v[:, None] for v in self.labels]
        self.add("sparse_categorical_accuracy", make, self.labels, self.logits)
        self.add("sparse_categorical_accuracy/column_labels", make, columns, self.logits)
        self.add("sparse_categorical_accuracy/rank_3", make, self.labels_3, self.logits_3, self.weights_3)

    def top_k(self):
        for k in (1, 2, 3, 5):
            dense = lambda: metrics.TopKCategoricalAccuracy(k=k)
            sparse = lambda: metrics.SparseTopKCategoricalAccuracy(k=k)
            self.add(f"top_k_categorical_accuracy/k={k}", dense, self.one_hot, self.logits)
            self.add(f"sparse_top_k_categorical_accuracy/k={k}", sparse, self.labels, self.logits)
        self.add("top_k_categorical_accuracy/default", lambda: metrics.TopKCategoricalAccuracy(),
                 self.one_hot, self.logits)
        self.add("sparse_top_k_categorical_accuracy/column_labels",
                 lambda: metrics.SparseTopKCategoricalAccuracy(k=2), [v[:, None] for v in self.labels],
                 self.logits)
        self.add("sparse_top_k_categorical_accuracy/rank_3",
                 lambda: metrics.SparseTopKCategoricalAccuracy(k=2), self.labels_3, self.logits_3,
                 self.weights_3)

    def regression(self):
        table = {
            "mean_squared_error": lambda: metrics.MeanSquaredError(),
            "root_mean_squared_error": lambda: metrics.RootMeanSquaredError(),
            "mean_absolute_error": lambda: metrics.MeanAbsoluteError(),
            # Keras has no Huber metric class; the loss function is wrapped, as compile does it.
            "huber": lambda: metrics.MeanMetricWrapper(keras.losses.huber, name="huber"),
        }
        for label, make in table.items():
            self.add(f"{label}/BK", make, self.target, self.logits)
            self.add(f"{label}/B1", make, [v[:, :1] for v in self.target], [v[:, :1] for v in self.logits])
            self.add(f"{label}/B", make, [v[:, 0] for v in self.target], [v[:, 0] for v in self.logits])
            self.add(f"{label}/rank_3", make, self.one_hot_3, self.logits_3, self.weights_3)

    def crossentropies(self):
        for logits in (True, False):
            pred = self.logits if logits else self.probabilities
            label = f"from_logits={logits}"
            sparse = metrics.SparseCategoricalCrossentropy
            self.add(f"sparse_categorical_crossentropy/{label}", lambda: sparse(from_logits=logits),
                     self.labels, pred)
            for ignored in (0, -1):
                labels = [np.where(np.arange(len(v)) % 3 == 1, ignored, v) for v in self.labels]
                self.add(f"sparse_categorical_crossentropy/{label}/ignore_class={ignored}",
                         lambda: sparse(from_logits=logits, ignore_class=ignored), labels, pred)
            for smoothing in (0.0, 0.2):
                self.add(f"categorical_crossentropy/{label}/label_smoothing={smoothing}",
                         lambda: metrics.CategoricalCrossentropy(from_logits=logits, label_smoothing=smoothing),
                         self.one_hot, pred)
                self.add(f"binary_crossentropy/{label}/label_smoothing={smoothing}",
                         lambda: metrics.BinaryCrossentropy(from_logits=logits, label_smoothing=smoothing),
                         self.binary, self.logits if logits else self.sigmoids)

    def reductions(self):
        for label, make in {"mean": lambda: metrics.Mean(), "sum": lambda: metrics.Sum()}.items():
            for kind, values in {"BK": self.target, "B": [v[:, 0] for v in self.target]}.items():
                self.record(f"{label}/{kind}", make, {"values": values}, None)
                self.record(f"{label}/{kind}/weights=B", make, {"values": values}, self.weights)
            scalars = [v[0, 0] for v in self.target]
            self.record(f"{label}/scalar", make, {"values": scalars}, None)


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype(np.float32)
