"""Makes the files of the built-in data sets, and what the tests know of them, from scikit-learn's
copies: run with scikit-learn 1.9 from anywhere.

digits.bin: for each image 40 bytes, its 64 pixels (0..16) of 5 bits each, the first pixel in the
lowest bits of the first byte, then one byte for the digit.
Others: tables of whole numbers of 3 bytes, little-endian, row by row, the target last; a column's
numbers are its values times 10^d, d the column's number of decimals (printed, and written in the Rust
file of the set). All of them are exact.
"""

import json
import pathlib

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent.parent / "tests" / "golden" / "datasets.json"


def decimals(column):
    for d in range(8):
        if np.array_equal(np.round(column * 10**d) / 10**d, column):
            return d
    raise ValueError("more than 7 decimals")


def table(name, x, y):
    columns = np.column_stack([x, y]).astype(np.float64)
    ds = [decimals(column) for column in columns.T]
    whole = np.round(columns * 10.0 ** np.array(ds)).astype(np.int64)
    assert whole.min() >= 0 and whole.max() < 2**24
    data = b"".join(int(v).to_bytes(3, "little") for v in whole.ravel())
    (HERE / "files" / f"{name}.bin").write_bytes(data)
    print(name, ds)


def digits(x, y):
    out = bytearray()
    for pixels, digit in zip(x.astype(int), y):
        packed = sum(int(pixel) << (5 * i) for i, pixel in enumerate(pixels))
        out += packed.to_bytes(40, "little") + bytes([digit])
    (HERE / "files" / "digits.bin").write_bytes(bytes(out))


def facts(x, y, names):
    """Sums and single rows by which the tests know the whole, and scikit-learn's own scaling."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    rows = [0, len(x) // 3, len(x) - 1]
    scaled = StandardScaler().fit(x[: len(x) // 2]).transform(x)
    return {
        "shape": x.shape,
        "column_sums": x.sum(0).tolist(),
        "target_sum": y.sum(),
        "weighted_target_sum": (y * np.arange(len(y))).sum(),
        "rows": {str(row): [*x[row].tolist(), y[row]] for row in rows},
        "last_row_scaled_by_first_half": scaled[-1].tolist(),
        "class_names": names,
    }


sets = {
    "digits": datasets.load_digits(),
    "iris": datasets.load_iris(),
    "breast_cancer": datasets.load_breast_cancer(),
    "diabetes": datasets.load_diabetes(),
}
digits(sets["digits"].data, sets["digits"].target)
table("iris", sets["iris"].data, sets["iris"].target)
table("breast_cancer", sets["breast_cancer"].data, sets["breast_cancer"].target)
raw = datasets.load_diabetes(scaled=False)
table("diabetes", raw.data, raw.target)

expected = {}
for name, data in sets.items():
    names = [str(n) for n in data["target_names"]] if "target_names" in data else None
    expected[name] = facts(data.data, data.target, names)
lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items()]
GOLDEN.write_text("{" + ",\n".join(lines) + "}\n")
