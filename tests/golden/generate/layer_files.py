"""Files of models with layers that keep state, in the form of `keras_forms`."""

import shutil

import keras
import numpy as np
from keras import layers
from keras.src.applications.convnext import LayerScale, StochasticDepth

from .common import Group, normal, rng
from .keras_forms import add, sgd

FOLDER = "layer_files"


def make(folder):
    group = Group(
        FOLDER,
        "Keras wrote `file`; of `x` it predicts `predictions` then, and has the weights `final` after one more fit on "
        "`y`, which gives `history`",
    )
    place = folder / FOLDER
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    draw = rng(1309)
    x, y = (3 * normal(draw, (20, 4)) + 1).astype(np.float32), normal(draw, (20, 2))
    for label, make_model in {"normalized": lambda: normalized(x), "convnext": convnext, "nested": nested, "lora": lora,
                              "spectral": spectral, "frames": frames}.items():
        # Keras on JAX does not train its StochasticDepth, which draws without a seed.
        compile = None if label == "convnext" else sgd
        add(group, place, label, make_model, [x], None, compile, y, FOLDER)
    return group


def normalized(x):
    """Statistics of the data, and of batches."""
    normalization = layers.Normalization()
    normalization.adapt(x)
    return keras.Sequential([
        layers.Input((4,)), normalization, layers.Dense(5, use_bias=False), layers.BatchNormalization(momentum=0.8),
        layers.PReLU(), layers.GroupNormalization(5), layers.Dense(2),
    ])


def convnext():
    """The block of keras.applications' ConvNeXt, of dense layers."""
    x = keras.Input((4,))
    h = layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 3.0, 2.0, 1.0])(x)
    y = layers.LayerNormalization(epsilon=1e-6)(h)
    y = layers.Dense(4, activation="gelu")(y)
    y = StochasticDepth(0.5)(LayerScale(0.1, 4)(y))
    return keras.Model(x, layers.Dense(2)(h + y))


def lora():
    """Changes of low rank, which the file holds merged into the kernels."""
    return keras.Sequential([
        layers.Input((4,)), layers.Dense(5, activation="tanh", lora_rank=2), layers.Reshape((5, 1)),
        layers.Conv1D(2, 3, lora_rank=1, lora_alpha=2), layers.Flatten(), layers.Dense(2),
    ])


def spectral():
    return keras.Sequential([
        layers.Input((4,)), layers.SpectralNormalization(layers.Dense(5, activation="tanh"), power_iterations=2),
        layers.Dense(2),
    ])


def frames():
    """Models in TimeDistributed, one within another, and one with batch statistics."""
    row = keras.Sequential([layers.Input((1,)), layers.Dense(3, activation="tanh")])
    part = keras.Input((2, 1))
    h = layers.Flatten()(layers.TimeDistributed(row)(part))
    of_part = keras.Model(part, layers.Dense(3)(h), name="part")
    normalized = keras.Sequential([layers.Dense(3, use_bias=False), layers.BatchNormalization()], name="normalized")
    return keras.Sequential([
        layers.Input((4,)), layers.Reshape((2, 2, 1)), layers.TimeDistributed(of_part),
        layers.TimeDistributed(normalized), layers.SimpleRNN(3), layers.Dense(2),
    ])


def nested():
    """A model with moving statistics, frozen and used twice in another."""
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(4), layers.BatchNormalization(), layers.ReLU()])
    frozen = keras.Sequential([layers.Input((4,)), layers.BatchNormalization()], name="frozen")
    frozen.trainable = False
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(2)(layers.Concatenate()([inner(frozen(x)), inner(x)])))
