#!/usr/bin/env python3
"""Opens .keras files with Keras itself and checks that nothing in them was lost.

    python check_with_keras.py MODEL.keras ... [--x X.npy ...] [--expect PRED.npy ...] [--train Y.npy ...] [--save FOLDER]

A file for each of the model's inputs (--x) and outputs, in their order.

- The file loads, and every weight and optimizer variable equals what model.weights.h5 holds.
- With --x and --expect: predict(x) is close to the expected array.
- With --x and --train: the file is compiled, its optimizer has taken steps, and one more epoch of
  fit(x, y) takes further steps with a finite loss.
- With --save: Keras writes the model to that folder, under the file's name.

Prints one JSON object a file. Exit status: 0 all is well, 1 a check failed, 2 wrong usage or no Keras here.
"""

import argparse
import io
import json
import os
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

try:
    import h5py
    import keras
    import numpy as np
except ImportError as missing:
    print(json.dumps({"ok": False, "error": f"{missing}: Keras, a backend, h5py and NumPy are needed"}))
    sys.exit(2)


class Failed(Exception):
    """A check that did not hold."""


def stored_arrays(path):
    """Every data set of model.weights.h5 by its path."""
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as member:
        content = io.BytesIO(member.read())
    arrays = {}
    with h5py.File(content, "r") as file:
        file.visititems(
            lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return arrays


def check_variables(model, arrays):
    """The optimizer's variables in order, and the multiset of the weights, as the h5 file has them."""
    slots = {name: value for name, value in arrays.items() if name.startswith("optimizer/vars/")}
    variables = model.optimizer.variables if model.compiled and model.optimizer else []
    if slots and len(slots) != len(variables) and not int(slots.get("optimizer/vars/0", 1)):
        slots = {}  # compiled and never fitted: there is no state to lose
    if slots and len(slots) != len(variables):
        raise Failed(f"the file holds {len(slots)} optimizer variables, Keras's optimizer has {len(variables)}")
    for index, variable in enumerate(variables if slots else []):
        value = np.asarray(keras.ops.convert_to_numpy(variable))
        stored = slots.get(f"optimizer/vars/{index}")
        if stored is None or stored.shape != value.shape or not np.array_equal(stored, value):
            raise Failed(f"optimizer variable {index} ({variable.path}) was not loaded from the file")
    fingerprint = lambda value: (value.shape, np.ascontiguousarray(value).tobytes())
    stored = [fingerprint(value) for value in arrays.values()]
    for weight in model.weights:
        if weight.name.startswith("lora_"):
            continue  # files hold these merged into the kernel
        if fingerprint(np.asarray(keras.ops.convert_to_numpy(weight))) not in stored:
            raise Failed(f"weight {weight.path} was not loaded from the file")
    return len(variables) if slots else 0


def read(files):
    """An array, or a list of those of several files."""
    arrays = [np.load(file) for file in files]
    return arrays if len(arrays) > 1 else arrays[0]


def check(path, arguments):
    model = keras.models.load_model(path)
    arrays = stored_arrays(path)
    report = {"compiled": bool(model.compiled), "weights": len(model.weights)}
    report["optimizer_variables"] = check_variables(model, arrays)
    x = read(arguments.x) if arguments.x else None

    if arguments.expect:
        predictions = keras.tree.flatten(model.predict(x, verbose=0))
        report["max_difference"] = 0.0
        for predicted, file in zip(predictions, arguments.expect, strict=True):
            expected = np.load(file)
            if predicted.shape != expected.shape:
                raise Failed(f"predict gives {predicted.shape}, expected {expected.shape}")
            difference = float(np.max(np.abs(predicted - expected), initial=0.0))
            report["max_difference"] = max(difference, report["max_difference"])
            if not np.allclose(predicted, expected, rtol=arguments.rtol, atol=arguments.atol):
                raise Failed(f"predictions differ by up to {difference}")

    if arguments.train:
        if not model.compiled:
            raise Failed("the file has no compile state to train with")
        before = int(model.optimizer.iterations)
        report["iterations"] = before
        if before <= 0 or not report["optimizer_variables"]:
            raise Failed(f"the optimizer has not taken a step: iterations = {before}")
        history = model.fit(x, read(arguments.train), epochs=1, batch_size=arguments.batch_size, verbose=0)
        report["history"] = {name: float(values[-1]) for name, values in history.history.items()}
        report["iterations_after"] = int(model.optimizer.iterations)
        if not np.isfinite(report["history"]["loss"]):
            raise Failed("the loss of the next epoch is not finite")
        if report["iterations_after"] <= before:
            raise Failed("the next epoch took no step")
    if arguments.save:
        model.save(os.path.join(arguments.save, os.path.basename(path)))
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", metavar="MODEL.keras", nargs="+")
    parser.add_argument("--x", metavar="X.npy", nargs="+", action="extend")
    parser.add_argument("--expect", metavar="PRED.npy", nargs="+", action="extend")
    parser.add_argument("--train", metavar="Y.npy", nargs="+", action="extend")
    parser.add_argument("--save", metavar="FOLDER")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rtol", type=float, default=1e-4)
    parser.add_argument("--atol", type=float, default=1e-5)
    arguments = parser.parse_args()
    if (arguments.expect or arguments.train) and not arguments.x:
        parser.error("--expect and --train need --x")
    ok = True
    for path in arguments.models:
        try:
            report = {"ok": True, **check(path, arguments)}
        except Exception as error:  # whatever Keras says about the file is the answer
            report = {"ok": False, "model": path, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(report, default=str))
        ok &= report["ok"]
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
