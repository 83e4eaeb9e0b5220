"""Training runs of models of sequences, in the form of `functional_training`."""

import contextlib

import keras
import numpy as np
from keras import layers, optimizers

from .common import exact_tanh, normal, rng
from .functional_training import CLASSES, ROWS, VALIDATION_ROWS, Run, training_group

SPARSE = "sparse_categorical_crossentropy"
WORDS, STEPS, AHEAD = 9, 6, 3


def make(_folder):
    with exact_tanh(), masks_reach_metrics():
        return training_group("sequence_training", runs(Data(rng(1511))))


@contextlib.contextmanager
def masks_reach_metrics():
    """Metrics of training exclude masked steps, as those of evaluation do: on JAX, outputs lose their mask on the
    way through the gradient."""
    compute_metrics = keras.Model.compute_metrics

    def with_mask(model, x, y, y_pred, sample_weight=None):
        first = model.layers[0]
        if y_pred.ndim == 3 and getattr(first, "mask_zero", False):
            keras.src.backend.set_keras_mask(y_pred, first.compute_mask(x))
        return compute_metrics(model, x, y, y_pred, sample_weight)

    keras.Model.compute_metrics = with_mask
    try:
        yield
    finally:
        keras.Model.compute_metrics = compute_metrics


class Data:
    def __init__(self, draw):
        rows = ROWS + VALIDATION_ROWS
        # Each character follows from the two before it, mostly.
        self.text = draw.integers(1, WORDS, (rows, STEPS + 1))
        for step in range(2, STEPS + 1):
            follows = (self.text[:, step - 1] + self.text[:, step - 2]) % (WORDS - 1) + 1
            self.text[:, step] = np.where(draw.uniform(size=rows) < 0.8, follows, self.text[:, step])
        keep = np.arange(STEPS)[None, :] < draw.integers(1, STEPS + 1, rows)[:, None]
        self.padded = np.where(keep, self.text[:, :-1], 0)
        self.tags = (self.padded + np.roll(self.padded, 1, axis=1)) % CLASSES
        self.labels = self.padded.sum(axis=1) % CLASSES
        self.series = normal(draw, (rows, STEPS, 3))
        self.films = normal(draw, (rows, 3, 4, 4, 1))
        hours = np.arange(STEPS + AHEAD)[None, :] * 0.6 + draw.uniform(0, 6, rows)[:, None]
        self.waves = np.stack([np.sin(hours), np.cos(hours), np.sin(2 * hours)], axis=2).astype(np.float32)
        self.real = self.series.sum(axis=(1, 2))[:, None].astype(np.float32)


def compiled(loss=SPARSE, **more):
    more.setdefault("metrics", ["accuracy"] if loss == SPARSE else None)
    return lambda: {"optimizer": optimizers.Adam(0.02), "loss": loss, **more}


def stack(*body, shape=(STEPS,), units=CLASSES, activation="softmax", dtype="int64"):
    """A Sequential of layers that are made afresh each time."""
    return lambda: keras.Sequential(
        [layers.Input(shape, dtype=dtype), *(make() for make in body), layers.Dense(units, activation=activation)]
    )


def embedding(**more):
    return lambda: layers.Embedding(WORDS, 4, **more)


def sequence_to_sequence():
    """The states of the encoder are where the decoder begins."""
    source = keras.Input((STEPS,), dtype="int64", name="source")
    target = keras.Input((STEPS,), dtype="int64", name="target")
    x = layers.Embedding(WORDS, 4, name="source_words")(source)
    _, h, c = layers.LSTM(5, return_state=True, name="encoder")(x)
    y = layers.Embedding(WORDS, 4, name="target_words")(target)
    y = layers.LSTM(5, return_sequences=True, name="decoder")(y, initial_state=[h, c])
    return keras.Model([source, target], layers.Dense(WORDS, activation="softmax", name="words")(y))


def language_model():
    """Words in and out by the same vectors."""
    x = keras.Input((STEPS,), dtype="int64", name="text")
    words = layers.ReversibleEmbedding(WORDS, 4, logit_soft_cap=5.0, name="words")
    h = layers.GRU(4, return_sequences=True, name="body")(words(x))
    return keras.Model(x, words(h, reverse=True))


def forecaster():
    """The next steps of a series, each from what the steps before are remembered as."""
    x = keras.Input((STEPS, 3), name="series")
    h = layers.GRU(5, return_sequences=True, name="below")(x)
    h = layers.LSTM(4, name="memory")(h)
    h = layers.LSTM(4, return_sequences=True, name="ahead")(layers.RepeatVector(AHEAD, name="repeat")(h))
    return keras.Model(x, layers.TimeDistributed(layers.Dense(2, name="values"), name="each")(h))


def runs(d):
    text, follows = [d.text[:, :-1].copy()], [d.text[:, 1:].copy()]
    lstm = lambda **more: lambda: layers.LSTM(5, **more)
    cells = lambda: layers.StackedRNNCells([
        layers.LSTMCell(4, name="first"), layers.GRUCell(3, name="second"), layers.SimpleRNNCell(4, name="third"),
    ])
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {
        "characters": Run(
            stack(embedding(), lstm(return_sequences=True), lstm(return_sequences=True), units=WORDS), compiled(), text, follows
        ),
        "classes": Run(stack(embedding(mask_zero=True), lstm()), compiled(), [d.padded], [d.labels]),
        "tags": Run(
            stack(embedding(mask_zero=True), lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True)),
                  lambda: layers.TimeDistributed(layers.Dense(4, activation="tanh"))),
            compiled(weighted_metrics=[SPARSE]), [d.padded], [d.tags],
        ),
        "stacked_cells": Run(stack(embedding(), lambda: layers.RNN(cells())), compiled(), text, [d.labels]),
        "series": Run(
            stack(lambda: layers.Masking(), lambda: layers.SimpleRNN(5), shape=(STEPS, 3), units=1, activation=None,
                  dtype="float32"),
            compiled("mse"), [d.series], [d.real],
        ),
        "forecaster": Run(
            forecaster, compiled("mse", metrics=["mae"]), [d.waves[:, :STEPS].copy()], [d.waves[:, STEPS:, :2].copy()]
        ),
        "forecaster/direct": Run(
            stack(lambda: layers.GRU(5, reset_after=False, return_sequences=True), lambda: layers.GRU(5),
                  lambda: layers.Dense(2 * AHEAD), lambda: layers.Reshape((AHEAD, 2)), shape=(STEPS, 3), units=2,
                  activation=None, dtype="float32"),
            compiled("huber", metrics=["mae"]), [d.waves[:, :STEPS].copy()], [d.waves[:, STEPS:, :2].copy()],
        ),
        "films": Run(
            stack(lambda: layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True),
                  lambda: layers.Reshape((3, 16, 2)), lambda: layers.ConvLSTM1D(2, 3, strides=2, return_sequences=True),
                  lambda: layers.Reshape((1, 3, 7, 1, 2)), lambda: layers.ConvLSTM3D(2, 1), lambda: layers.Flatten(),
                  shape=(3, 4, 4, 1), dtype="float32"),
            compiled(), [d.films], [d.labels],
        ),
        "sequence_to_sequence": Run(sequence_to_sequence, compiled(), [d.padded, text[0]], follows),
        "language_model": Run(language_model, compiled(logits), text, follows),
    }
