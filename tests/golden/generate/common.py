"""The file format of the golden files, and helpers that several groups use."""

import importlib.metadata
import json
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import keras
import numpy as np
from safetensors.numpy import save


def check_versions(requirements):
    """Refuses to run with other versions than those the committed files were made with."""
    for line in requirements.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        package, pinned = line.strip().split("==")
        installed = importlib.metadata.version(package)
        if installed != pinned:
            raise SystemExit(f"{package} {installed} is installed, the golden files need {pinned}")


class Group:
    """A list of cases: `NAME.json` is the index, `NAME.safetensors` holds the tensors."""

    def __init__(self, name, about, aliases=None):
        self.name = name
        self.about = about
        self.aliases = {} if aliases is None else {"aliases": aliases}
        self.cases = []
        self._names = set()
        self._tensors = {}
        self._stored = {}

    def case(self, name, config, tensors, **extra):
        """Adds a case. `tensors`: role -> array, or role -> list of arrays (or None in a list)."""
        if name in self._names:
            raise ValueError(f"{self.name}: two cases are called {name}")
        self._names.add(name)
        index = {
            role: [self._store(f"{name}/{role}/{i}", v) for i, v in enumerate(value)]
            if isinstance(value, (list, tuple))
            else self._store(f"{name}/{role}", value)
            for role, value in tensors.items()
        }
        self.cases.append({"name": name, "config": config, **extra, "tensors": index})

    def _store(self, name, value):
        """Stores a tensor, once if an equal one is there already; returns the name it has."""
        if value is None:
            return None
        array = np.ascontiguousarray(np.asarray(value)).reshape(np.shape(value))
        if array.dtype == np.int32:
            array = array.astype(np.int64)
        if array.dtype not in (np.float32, np.float64, np.int64):
            raise ValueError(f"{self.name}: {name} has dtype {array.dtype}")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._stored:
            self._stored[key] = name
            self._tensors[name] = array
        return self._stored[key]

    def write(self, folder):
        """Writes both files; one line of JSON a case, so that a change is a readable diff."""
        head = {
            "group": self.name,
            "about": self.about,
            "versions": {p: importlib.metadata.version(p) for p in ("keras", "jax", "numpy")},
            **self.aliases,
        }
        lines = ",\n".join(dumps(case) for case in self.cases)
        text = f'{dumps(head)[:-1]}, "cases": [\n{lines}\n]}}\n'
        json.loads(text)
        (folder / f"{self.name}.json").write_text(text)
        (folder / f"{self.name}.safetensors").write_bytes(save(self._tensors))
        size = sum((folder / f"{self.name}.{e}").stat().st_size for e in ("json", "safetensors"))
        print(f"{self.name}: {len(self.cases)} cases, {len(self._tensors)} tensors, {size} bytes")


def dumps(value):
    """JSON as Keras writes it, without NaN and Infinity, which are not JSON."""
    return json.dumps(value, allow_nan=False, default=_plain)


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "shape") and np.shape(value) == ():
        return np.asarray(value).item()
    raise TypeError(f"{type(value)} has no place in an index")


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
