"""The metrics of confusion, overlap, correlation and the losses besides crossentropies: as in metrics.py."""

import keras
import numpy as np
from keras import metrics

from .common import Group, numpy, rng
from .metrics import BATCHES, Cases


def make(_folder):
    group = Group("metrics_other", "as metrics, without the variables")
    Others(group, rng(910)).all()
    return group


class Others(Cases):
    def all(self):
        self.confusion()
        self.areas()
        self.f_scores()
        self.losses()
        self.correlations()

    def add(self, label, make_metric, y_true, y_pred, weight=None):
        arrays = {"y_true": y_true, "y_pred": y_pred}
        self.record(label, make_metric, arrays, None)
        self.record(f"{label}/weights=B", make_metric, arrays, self.weights)

    def record(self, label, make_metric, arrays, weight):
        keras.backend.clear_session()
        metric = make_metric()
        config = keras.metrics.serialize(metric)
        results = []
        for batch in range(len(BATCHES)):
            values = [v[batch] for v in arrays.values()]
            metric.update_state(*values, sample_weight=None if weight is None else weight[batch])
            results.append(numpy(metric.result()))
        weights = [None] * len(BATCHES) if weight is None else weight
        self.group.case(label, config, {**arrays, "sample_weight": weights, "results": np.stack(results)})

    def confusion(self):
        columns = [v[:, :1] for v in self.binary], [v[:, :1] for v in self.sigmoids]
        flat = [v[:, 0] for v in self.binary], [v[:, 0] for v in self.sigmoids]
        for cls in (metrics.TruePositives, metrics.TrueNegatives, metrics.FalsePositives, metrics.FalseNegatives):
            label = cls.__name__
            self.add(f"{label}/BK", lambda: cls(), self.binary, self.sigmoids)
            self.add(f"{label}/several", lambda: cls(thresholds=[0.7, 0.1, 0.4]), *columns)
        for cls in (metrics.Precision, metrics.Recall):
            label = cls.__name__
            self.add(f"{label}/B", lambda: cls(), *flat)
            self.add(f"{label}/B1", lambda: cls(thresholds=0.3, name="own"), *columns)
            self.add(f"{label}/even", lambda: cls(thresholds=[0.0, 0.5, 1.0]), self.binary, self.sigmoids)
            self.add(f"{label}/top_k=2", lambda: cls(top_k=2), self.binary, self.sigmoids)
            self.add(f"{label}/top_k=2/class_id=1", lambda: cls(top_k=2, class_id=1, thresholds=0.2), self.binary,
                     self.sigmoids)
            zeros = [np.zeros_like(v) for v in self.binary]
            self.add(f"{label}/nothing", lambda: cls(), zeros, zeros)
        for cls in (metrics.PrecisionAtRecall, metrics.RecallAtPrecision, metrics.SensitivityAtSpecificity,
                    metrics.SpecificityAtSensitivity):
            label = cls.__name__
            self.add(f"{label}/0.6", lambda: cls(0.6), self.binary, self.sigmoids)
            self.add(f"{label}/class_id=2", lambda: cls(0.3, num_thresholds=7, class_id=2), self.binary, self.sigmoids)
            self.add(f"{label}/one", lambda: cls(0.5, num_thresholds=1), *columns)

    def areas(self):
        auc = metrics.AUC
        for curve in ("ROC", "PR", "PRGAIN"):
            for method in ("interpolation", "majoring", "minoring"):
                make = lambda: auc(num_thresholds=20, curve=curve, summation_method=method)
                self.add(f"AUC/{curve}/{method}", make, self.binary, self.sigmoids)
            weights = [0.5, 1.0, 0.0, 2.0]
            multi = lambda: auc(num_thresholds=10, curve=curve, multi_label=True, num_labels=4, label_weights=weights)
            self.record(f"AUC/{curve}/multi_label", multi, {"y_true": self.binary, "y_pred": self.sigmoids}, None)
        self.add("AUC/default", lambda: auc(name="own"), self.binary, self.sigmoids)
        self.add("AUC/logits", lambda: auc(from_logits=True), self.binary, self.logits)
        self.add("AUC/thresholds", lambda: auc(thresholds=[0.6, 0.2, 0.25]), self.binary, self.sigmoids)
        ones = [np.ones_like(v) for v in self.binary]
        self.add("AUC/one_class", lambda: auc(num_thresholds=5), ones, self.sigmoids)

    def f_scores(self):
        for average in (None, "micro", "macro", "weighted"):
            self.add(f"F1Score/{average}", lambda: metrics.F1Score(average=average), self.one_hot, self.probabilities)
            self.add(f"FBetaScore/{average}", lambda: metrics.FBetaScore(average=average, beta=2.0, threshold=0.4),
                     self.binary, self.sigmoids)

    def losses(self):
        positive = [np.abs(v) for v in self.target]
        for cls, true, pred in (
            (metrics.MeanAbsolutePercentageError, self.target, self.logits),
            (metrics.MeanSquaredLogarithmicError, positive, self.logits),
            (metrics.LogCoshError, self.target, self.logits),
            (metrics.Poisson, positive, self.sigmoids),
            (metrics.KLDivergence, self.one_hot, self.probabilities),
            (metrics.Hinge, self.binary, self.logits),
            (metrics.SquaredHinge, self.binary, self.logits),
            (metrics.CategoricalHinge, self.one_hot, self.logits),
            (metrics.CosineSimilarity, self.target, self.logits),
        ):
            self.add(cls.__name__, lambda: cls(), true, pred)

    def correlations(self):
        for cls in (metrics.PearsonCorrelation, metrics.ConcordanceCorrelation):
            self.add(cls.__name__, lambda: cls(), self.target, self.logits)
            arrays = {"y_true": self.one_hot_3, "y_pred": self.logits_3}
            self.record(f"{cls.__name__}/axis=1", lambda: cls(axis=1, name="own"),
                        {"y_true": [v + np.float32(0.1) * w for v, w in zip(self.one_hot_3, self.logits_3)],
                         "y_pred": arrays["y_pred"]}, None)
