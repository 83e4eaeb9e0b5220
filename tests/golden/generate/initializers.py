"""The initializers: what they draw from for a shape, and the values of those that draw nothing."""

import math
from contextlib import contextmanager
from unittest import mock

import jax.numpy as jnp
import keras
from keras import initializers
from keras.src.initializers import ALL_OBJECTS_DICT, random_initializers

from .common import Group, aliases, normal, numpy, rng

SHAPES = [(7,), (5, 3), (3, 3, 4, 8)]
# The standard deviation of a standard normal cut at two standard deviations, which Keras divides by.
TRUNCATED_STDDEV = 0.87962566103423978

DRAWING = {
    "random_normal": (initializers.RandomNormal, [{}, dict(mean=0.5, stddev=2.0, seed=1)]),
    "truncated_normal": (initializers.TruncatedNormal, [{}, dict(mean=-0.5, stddev=0.3, seed=2)]),
    "random_uniform": (initializers.RandomUniform, [{}, dict(minval=-1.0, maxval=3.0, seed=3)]),
    "glorot_uniform": (initializers.GlorotUniform, [{}, dict(seed=4)]),
    "glorot_normal": (initializers.GlorotNormal, [{}, dict(seed=5)]),
    "he_uniform": (initializers.HeUniform, [{}, dict(seed=6)]),
    "he_normal": (initializers.HeNormal, [{}, dict(seed=7)]),
    "lecun_uniform": (initializers.LecunUniform, [{}, dict(seed=8)]),
    "lecun_normal": (initializers.LecunNormal, [{}, dict(seed=9)]),
    "variance_scaling": (initializers.VarianceScaling, [
        {},
        *(dict(scale=scale, mode=mode, distribution=distribution)
          for scale, mode in [(2.0, "fan_in"), (0.5, "fan_out"), (1.5, "fan_avg")]
          for distribution in ("truncated_normal", "untruncated_normal", "uniform", "normal")),
        dict(scale=2.0, mode="fan_in", distribution="uniform", seed=10),
    ]),
}


def make(_folder):
    group = Group(
        "initializers",
        "draws: what Keras asks its generator for; value: what an initializer without chance returns",
        aliases(ALL_OBJECTS_DICT),
    )
    for label, (cls, calls) in DRAWING.items():
        for number, arguments in enumerate(calls):
            for shape in SHAPES:
                add_drawing(group, f"{label}/{number}", cls(**arguments), shape)
    axes = initializers.VarianceScaling(2.0, "fan_avg", "uniform", input_axes=[0, 2], output_axes=[3])
    add_drawing(group, "variance_scaling/axes", axes, (3, 3, 4, 8))
    orthogonal(group)
    constants(group)
    return group


def name_of(shape):
    return "x".join(map(str, shape))


@contextmanager
def recorded(answer=None):
    """Keras's random functions, recording their arguments; they return `answer` or zeros."""
    calls = []

    def stand_in(distribution):
        def draw(shape, dtype=None, seed=None, **arguments):
            calls.append({"distribution": distribution, **arguments})
            return jnp.zeros(shape) if answer is None else jnp.asarray(answer).reshape(shape)

        return draw

    random = random_initializers.random
    names = ("normal", "truncated_normal", "uniform")
    patches = [mock.patch.object(random, name, stand_in(name)) for name in names]
    for patch in patches:
        patch.start()
    try:
        yield calls
    finally:
        for patch in patches:
            patch.stop()


def add_drawing(group, label, initializer, shape):
    with recorded() as calls:
        initializer(shape)
    (draws,) = calls
    if draws["distribution"] == "uniform":
        low, high = draws["minval"], draws["maxval"]
        mean, stddev = (low + high) / 2, (high - low) / math.sqrt(12)
    else:
        cut = draws["distribution"] == "truncated_normal"
        mean, stddev = draws["mean"], draws["stddev"] * (TRUNCATED_STDDEV if cut else 1.0)
        low, high = (mean - 2 * draws["stddev"], mean + 2 * draws["stddev"]) if cut else (None, None)
    axes = {
        "input_axes": getattr(initializer, "input_axes", None),
        "output_axes": getattr(initializer, "output_axes", None),
    }
    fan_in, fan_out = random_initializers.compute_fans(shape, **axes)
    config = keras.initializers.serialize(initializer)
    statistics = {"mean": mean, "stddev": stddev, "low": low, "high": high}
    group.case(f"{label}/{name_of(shape)}", config, {}, shape=list(shape), fan_in=fan_in, fan_out=fan_out,
               draws=draws, expect=statistics)


def orthogonal(group):
    """Keras's result for a given matrix of normal numbers: the rest is determined."""
    draw = rng(1010)
    for arguments in ({}, {"gain": 0.5, "seed": 11}):
        for shape in [(5, 3), (3, 5), (4, 4), (3, 3, 4, 8), (2, 2, 3, 20)]:
            rows, columns = math.prod(shape[:-1]), shape[-1]
            drawn = normal(draw, (max(rows, columns), min(rows, columns)))
            initializer = initializers.Orthogonal(**arguments)
            with recorded(drawn) as calls:
                value = numpy(initializer(shape))
            label = f"orthogonal/gain={arguments.get('gain', 1.0)}/{name_of(shape)}"
            config = keras.initializers.serialize(initializer)
            group.case(label, config, {"drawn": drawn, "value": value}, shape=list(shape), draws=calls[0],
                       orthonormal="rows" if rows < columns else "columns", gain=initializer.gain)


def constants(group):
    stft = initializers.STFT
    table = {
        "zeros": (initializers.Zeros(), SHAPES),
        "ones": (initializers.Ones(), SHAPES),
        "constant/default": (initializers.Constant(), SHAPES),
        "constant/value=-2.5": (initializers.Constant(-2.5), [*SHAPES, ()]),
        "identity": (initializers.Identity(), [(4, 4), (5, 3), (3, 5)]),
        "identity/gain=0.5": (initializers.Identity(gain=0.5), [(4, 4)]),
        "stft": (stft(), [(8, 1, 5), (7, 1, 9)]),
        "stft/imag": (stft("imag"), [(8, 1, 5)]),
        "stft/hamming_spectrum_periodic": (stft("real", "hamming", "spectrum", True), [(8, 1, 5)]),
        "stft/no_window": (stft("imag", None, None), [(8, 1, 5)]),
    }
    for label, (initializer, shapes) in table.items():
        for shape in shapes:
            value = numpy(initializer(shape, dtype="float32"))
            config = keras.initializers.serialize(initializer)
            group.case(f"{label}/{name_of(shape)}", config, {"value": value}, shape=list(shape))
