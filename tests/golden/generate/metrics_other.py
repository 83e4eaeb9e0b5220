"""The metrics of confusion, overlap, correlation and the losses besides crossentropies: as in metrics.py."""

import keras
import numpy as np
from keras import metrics
from keras.src.trainers.compile_utils import get_metric

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
        self.determination()
        self.intersections()
        self.loss_objects()

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

    def determination(self):
        r2 = metrics.R2Score
        for aggregation in ("uniform_average", "variance_weighted_average", None):
            self.add(f"R2Score/{aggregation}", lambda: r2(class_aggregation=aggregation), self.target, self.logits)
        self.add("R2Score/adjusted", lambda: r2(num_regressors=3, name="own"), self.target, self.logits)
        self.add("R2Score/too_many_regressors", lambda: r2(num_regressors=60), self.target, self.logits)
        one = [v[:, 0] for v in self.target], [v[:, :1] for v in self.logits]
        self.add("R2Score/B_and_B1", lambda: r2(), *one)
        far = [v + np.float32(3) for v in self.target]
        self.record("R2Score/weights=BK", lambda: r2(), {"y_true": far, "y_pred": self.logits}, self.weights_of(far))
        constant = [np.ones_like(v) for v in self.target]
        self.add("R2Score/constant", lambda: r2(), constant, self.logits)

    def weights_of(self, arrays):
        draw = rng(911)
        return [draw.uniform(0.0, 2.0, v.shape).astype(np.float32) for v in arrays]

    def intersections(self):
        draw = rng(912)
        classes = 4
        guesses = [draw.integers(0, classes, v.shape) for v in self.labels]
        maps = [draw.integers(-1, classes + 1, (n, 3, 2)) for n in BATCHES]  # some are no class
        map_guesses = [draw.integers(0, classes, v.shape).astype(np.float32) for v in maps]
        map_scores = [draw.standard_normal((*v.shape, classes)).astype(np.float32) for v in maps]
        map_one_hot = [np.eye(classes, dtype=np.float32)[v.clip(0, classes - 1)] for v in maps]
        each = self.weights_of(maps)
        iou, mean = metrics.IoU, metrics.MeanIoU
        one_hot, one_hot_mean = metrics.OneHotIoU, metrics.OneHotMeanIoU
        for dtype in (None, "float32"):
            self.add(f"IoU/{dtype}", lambda: iou(classes, [1, 3], dtype=dtype), self.labels, guesses)
            self.add(f"MeanIoU/{dtype}", lambda: mean(classes, dtype=dtype), self.labels, guesses)
            self.record(f"MeanIoU/maps/{dtype}/weights=BHW", lambda: mean(classes, dtype=dtype),
                        {"y_true": maps, "y_pred": map_guesses}, each)
            self.add(f"OneHotIoU/{dtype}", lambda: one_hot(classes, [0], dtype=dtype), self.one_hot, self.logits)
            self.add(f"OneHotMeanIoU/{dtype}", lambda: one_hot_mean(classes, dtype=dtype), self.one_hot, self.logits)
            for threshold in (0.5, 0.3):
                make = lambda: metrics.BinaryIoU(threshold=threshold, dtype=dtype)
                flat = [v[:, 0] for v in self.binary], [v[:, 0] for v in self.sigmoids]
                self.add(f"BinaryIoU/{threshold}/{dtype}", make, *flat)
        maps_and = lambda guesses: {"y_true": maps, "y_pred": guesses}
        self.record("IoU/ignore_class", lambda: iou(classes, [0, 2], ignore_class=2), maps_and(map_guesses), None)
        self.record("IoU/out_of_range", lambda: iou(2, [0, 1], name="own"), maps_and(map_guesses), None)
        self.record("MeanIoU/scores", lambda: mean(classes, sparse_y_pred=False, ignore_class=-1),
                    maps_and(map_scores), None)
        self.record("OneHotMeanIoU/maps", lambda: one_hot_mean(classes, ignore_class=1),
                    {"y_true": map_one_hot, "y_pred": map_scores}, None)
        self.record("OneHotIoU/sparse_y_pred", lambda: one_hot(classes, [1, 2], sparse_y_pred=True),
                    {"y_true": map_one_hot, "y_pred": map_guesses}, None)
        self.record("BinaryIoU/one", lambda: metrics.BinaryIoU(target_class_ids=[1], name="own"),
                    {"y_true": self.binary, "y_pred": self.sigmoids}, None)
        absent = [np.full_like(v, 3) for v in self.labels]
        self.add("IoU/absent", lambda: iou(classes, [0, 1]), absent, absent)

    def loss_objects(self):
        """What `metrics=[..]` makes of losses: a mean of the values a batch has."""
        losses = keras.losses
        shares = [v / v.sum(-1, keepdims=True) for v in self.sigmoids]
        for label, loss, true, pred in (
            ("Huber", losses.Huber(name="own"), self.target, self.logits),
            ("CosineSimilarity", losses.CosineSimilarity(), self.target, self.logits),
            ("MeanSquaredError/sum", losses.MeanSquaredError(reduction="sum"), self.target, self.logits),
            ("MeanAbsoluteError/none", losses.MeanAbsoluteError(reduction=None), self.target, self.logits),
            ("Dice", losses.Dice(), self.binary, self.sigmoids),
            ("SparseCategoricalCrossentropy/ignore_class", losses.SparseCategoricalCrossentropy(ignore_class=1),
             self.labels, shares),
        ):
            self.of_loss(f"loss_object/{label}", loss, true, pred)
        for function, true, pred in (
            (losses.cosine_similarity, self.target, self.logits),
            (losses.dice, self.binary, self.sigmoids),
            (losses.categorical_focal_crossentropy, self.one_hot, shares),
        ):
            self.of_loss(f"loss_function/{function.__name__}", function, true, pred)
        wrapper = lambda: metrics.MeanMetricWrapper(losses.tversky, name="t", alpha=0.3, axis=-1)
        self.add("MeanMetricWrapper/tversky", wrapper, self.binary, self.sigmoids)

    def of_loss(self, label, loss, y_true, y_pred):
        metric = get_metric(loss, y_true[0], y_pred[0])
        self.record(label, lambda: metric, {"y_true": y_true, "y_pred": y_pred}, None)
        self.group.cases[-1]["config"] = keras.losses.serialize(loss)
