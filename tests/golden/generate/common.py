"""Helpers that several groups use."""

from contextlib import contextmanager

import jax
import jax.numpy as jnp
import keras
import numpy as np

from .group import Group, check_versions, dumps  # noqa: F401: the groups take them from here


def aliases(objects):
    """Keras's table of the names that JSON and users may use, and what each name stands for."""
    return {name: objects[name].__name__ for name in sorted(objects)}


def rng(seed):
    """The generator of all random numbers here."""
    return np.random.default_rng(seed)


def normal(generator, shape, scale=1.0):
    """Standard normal numbers, rounded to float32."""
    return (scale * generator.standard_normal(shape)).astype(np.float32)


def numpy(value):
    """A NumPy copy of a Keras or JAX tensor or variable."""
    return np.array(keras.ops.convert_to_numpy(value))


def run_tensors(rows, x, y, weights, validation):
    """The data of a training run by role: the first rows to train on, the others to validate with. Arrays, or
    lists of them."""
    given = {"x": x, "y": y} if weights is None else {"x": x, "y": y, "sample_weight": weights}
    cut = lambda value, part: [v[part] for v in value] if isinstance(value, list) else value[part]
    tensors = {role: cut(value, slice(None, rows)) for role, value in given.items()}
    if validation:
        tensors |= {f"{role}_val": cut(value, slice(rows, None)) for role, value in given.items()}
    return tensors


@contextmanager
def double():
    """Inside, JAX keeps float64 and Keras's default float is float64."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        with jax.enable_x64(True):
            yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


@contextmanager
def exact_tanh():
    """Inside, tanh of float64 is float64: Keras's gives float32 on JAX, which a loop over states refuses."""
    from keras.src.backend.jax import numpy as backend

    rounded = backend.tanh
    backend.tanh = jnp.tanh
    try:
        yield
    finally:
        backend.tanh = rounded


def in_both(compute):
    """Runs `compute(dtype) -> {role: array}` in float32 and float64; the latter's roles end in 64."""
    tensors = dict(compute(np.float32))
    with double():
        tensors |= {f"{role}64": value for role, value in compute(np.float64).items()}
    return tensors
