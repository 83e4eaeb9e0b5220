"""Training runs of models with the layers of the groups `layers_*`, in the form of `functional_training`."""

import keras
import numpy as np
from keras import layers, optimizers

from .common import Group, normal, rng
from .functional_training import CLASSES, ROWS, VALIDATION_ROWS, Run, add

SPARSE = "sparse_categorical_crossentropy"


def make(_folder):
    group = Group(
        "layer_training",
        "model.fit(x, y, shuffle=False, **fit), lists in the order of the model's inputs and outputs, from the "
        "weights `initial` ends with the weights `final`",
    )
    data = Data(rng(1302))
    for label, run in runs(data).items():
        add(group, label, run)
    return group


class Data:
    def __init__(self, draw):
        rows = ROWS + VALIDATION_ROWS
        self.labels = draw.integers(0, CLASSES, rows)
        centres = normal(draw, (CLASSES, 6), 1.5)
        self.x = centres[self.labels] + normal(draw, (rows, 6))
        self.other = (self.x[::-1] + normal(draw, (rows, 6), 0.1)).astype(np.float32)
        self.real = normal(draw, (rows, 1))
        self.images = (normal(draw, (rows, 4, 4, 3)) + self.labels[:, None, None, None]).astype(np.float32)


def compiled(loss=SPARSE, **more):
    more.setdefault("metrics", ["accuracy"] if loss == SPARSE else None)
    return lambda: {"optimizer": optimizers.SGD(0.05, momentum=0.9), "loss": loss, **more}


def stack(*body, shape=(6,), units=CLASSES, activation="softmax"):
    """A Sequential of layers that are made afresh each time."""
    return lambda: keras.Sequential(
        [layers.Input(shape), *(make() for make in body), layers.Dense(units, activation=activation)]
    )


def dense(units=5, activation="tanh", **more):
    return lambda: layers.Dense(units, activation=activation, **more)


def runs(d):
    return {
        "preprocessing/normalization": Run(
            stack(lambda: layers.Normalization(), dense()), compiled(), [d.x], [d.labels]
        ),
    }
