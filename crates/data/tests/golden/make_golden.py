"""Makes the golden files beside it: run with Keras 3.15.1 and numpy, KERAS_BACKEND=jax.

validation_split.json: [rows, validation_split, first validation row or null if Keras refuses].
npy.json: arrays as numpy saves them; for each file its bytes in hexadecimal, its shape and its flat
values in C order (null for files that have to be refused).
"""

import io
import json
import os
import pathlib

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
from keras.src.trainers.data_adapters.array_slicing import train_validation_split

HERE = pathlib.Path(__file__).parent


def validation_split():
    cases = []
    for rows in [1, 2, 3, 4, 5, 7, 9, 10, 11, 32, 99, 100, 150, 569, 1000, 1797, 10000]:
        for fraction in [0.01, 0.1, 0.15, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.7, 0.9, 0.99]:
            try:
                train, _ = train_validation_split((np.zeros(rows),), fraction)
                cases.append([rows, fraction, len(train[0])])
            except ValueError:
                cases.append([rows, fraction, None])
    text = "[" + ",\n".join(json.dumps(case) for case in cases) + "]\n"
    (HERE / "validation_split.json").write_text(text)


def npy():
    expected = {}

    def save(name, array, version=None, refuse=False):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, version=version)
        values = None if refuse else array.ravel().tolist()
        case = {"bytes": file.getvalue().hex(), "shape": array.shape, "values": values}
        expected[name] = case

    floats = np.array([[0.5, -1.25, 3e-7], [65504, 0.0, -0.1]])
    for kind in ["f2", "f4", "f8"]:
        for end, ends in [("<", "le"), (">", "be")]:
            array = floats.astype(end + kind)
            save(f"{kind}_{ends}_c", array)
            save(f"{kind}_{ends}_f", np.asfortranarray(array))
    for kind in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
        info = np.iinfo(kind)
        low, high = int(info.min), min(int(info.max), 2**63 - 1)
        for end, ends in [("<", "le"), (">", "be")]:
            save(f"{kind}_{ends}", np.array([low, high, 1, 100], dtype=end + kind))
    save("bool", np.array([[True], [False], [True]]))
    save("cube_f", np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4)))
    save("scalar", np.array(2.5, dtype="<f4"))
    save("empty", np.zeros((0, 3), dtype="<f4"))
    save("empty_f", np.asfortranarray(np.zeros((3, 0, 2), dtype="<f8")))
    save("version2", np.arange(3, dtype="<i4"), version=(2, 0))
    save("version3", np.arange(3, dtype="<i4"), version=(3, 0))
    # Halves of every exponent, subnormal ones included.
    save("halves", np.arange(0, 0x7C00, 13, dtype="<u2").view("<f2"))

    save("refused_u8", np.array([2**63], dtype="<u8"), refuse=True)
    save("refused_object", np.array([{"a": 1}, None], dtype=object), refuse=True)
    save("refused_complex", np.array([1j], dtype="<c8"), refuse=True)
    save("refused_text", np.array(["a", "bc"]), refuse=True)
    save("refused_record", np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f4")]), refuse=True)
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items()]
    (HERE / "npy.json").write_text("{" + ",\n".join(lines) + "}\n")


validation_split()
npy()
