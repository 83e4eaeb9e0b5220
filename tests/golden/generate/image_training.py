"""Whole training runs of convolutional models without shuffling."""

import keras
from keras import layers, optimizers

from .common import Group, normal, rng
from .training import CLASSES, ROWS, VALIDATION_ROWS, Run, add, compile_with

SHAPES = {1: (9,), 2: (6, 6), 3: (4, 4, 4)}


def make(_folder):
    group = Group(
        "image_training",
        "model.fit(x, y, shuffle=False, **fit) from the weights `initial` ends with the weights `final`",
    )
    draw = rng(808)
    rows = ROWS + VALIDATION_ROWS
    labels = draw.integers(0, CLASSES, rows)
    data = {}
    for rank, shape in SHAPES.items():
        patterns = normal(draw, (CLASSES, *shape, 2))
        data[rank] = (patterns[labels] + normal(draw, (rows, *shape, 2))).astype("float32")
    sgd = compile_with(lambda: optimizers.SGD(0.02, momentum=0.9))
    adam = compile_with(lambda: optimizers.Adam(0.01))
    for label, (rank, body, compile) in {
        "cnn": (2, cnn, adam),
        "separable": (2, separable, sgd),
        "upward": (2, upward, sgd),
        "sequence": (1, sequence, sgd),
        "depthwise_sequence": (1, depthwise_sequence, sgd),
        "volume": (3, volume, sgd),
        "adaptive_1d": (1, lambda: adaptive(1), sgd),
        "adaptive_2d": (2, lambda: adaptive(2), sgd),
        "adaptive_3d": (3, lambda: adaptive(3), sgd),
        "global_1d": (1, lambda: whole(1), sgd),
        "global_2d": (2, lambda: whole(2), sgd),
        "global_3d": (3, lambda: whole(3), sgd),
    }.items():
        build = lambda rank=rank, body=body: keras.Sequential(
            [layers.Input((*SHAPES[rank], 2)), *body(), layers.Dense(CLASSES)]
        )
        add(group, f"image/{label}", Run(build, compile, data[rank], labels, epochs=2))
    return group


def cnn():
    return [
        layers.Conv2D(4, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(3, 2, padding="same", activation="relu", kernel_regularizer="l2"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.0),
    ]


def separable():
    return [
        layers.SeparableConv2D(4, 3, padding="same", activation="tanh"),
        layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(4, 3, groups=2, dilation_rate=1, padding="same", activation="tanh"),
        layers.GlobalAveragePooling2D(),
    ]


def upward():
    return [
        layers.Conv2D(3, 3, strides=2, padding="same", activation="tanh"),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="tanh"),
        layers.Conv2DTranspose(2, 2, activation="relu"),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.Flatten(),
    ]


def sequence():
    return [
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu"),
        layers.MaxPooling1D(2),
        layers.Conv1DTranspose(3, 3, strides=2, activation="tanh"),
        layers.AveragePooling1D(3, strides=2, padding="same"),
        layers.GlobalMaxPooling1D(),
    ]


def depthwise_sequence():
    return [
        layers.DepthwiseConv1D(3, depth_multiplier=2, activation="tanh"),
        layers.SeparableConv1D(4, 3, strides=2, activation="tanh"),
        layers.GlobalAveragePooling1D(),
    ]


def volume():
    return [
        layers.Conv3D(3, 2, activation="relu"),
        layers.Conv3DTranspose(2, 2, activation="tanh"),
        layers.MaxPooling3D(2, strides=1),
        layers.AveragePooling3D(2),
        layers.Flatten(),
    ]


def adaptive(rank):
    layer = lambda kind: getattr(layers, f"Adaptive{kind}Pooling{rank}D")
    return [
        getattr(layers, f"Conv{rank}D")(3, 2, padding="same", activation="tanh"),
        layer("Max")(3),
        layer("Average")(2),
        layers.Flatten(),
    ]


def whole(rank):
    layer = lambda kind: getattr(layers, f"Global{kind}Pooling{rank}D")
    return [
        getattr(layers, f"Conv{rank}D")(3, 2, activation="tanh"),
        layer("Average")(keepdims=True),
        getattr(layers, f"Conv{rank}D")(3, 1, activation="relu"),
        layer("Max")(),
    ]
