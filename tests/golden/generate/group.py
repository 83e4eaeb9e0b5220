"""The file format of the golden files; needs neither Keras nor JAX, so that Keras 2 can write it too."""

import importlib.metadata
import json

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

    def __init__(self, name, about, aliases=None, packages=("keras", "jax", "numpy")):
        self.name = name
        self.about = about
        self.packages = packages
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
            "versions": {p: importlib.metadata.version(p) for p in self.packages},
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
