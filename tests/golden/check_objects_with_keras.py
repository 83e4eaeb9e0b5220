#!/usr/bin/env python3
"""Makes objects of Keras from JSON, and writes what Keras writes of them.

    python check_objects_with_keras.py OBJECTS.json

OBJECTS.json holds a list of documents by kind ("loss", "metric", ..). Prints one JSON object: `written`, the documents
that Keras writes of the same objects, by kind, and `names`, the names that Keras knows by kind.
"""

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
from keras import activations, constraints, initializers, losses, metrics, optimizers, regularizers
from keras.saving import deserialize_keras_object
from keras.src import activations as all_activations
from keras.src import constraints as all_constraints
from keras.src import initializers as all_initializers
from keras.src import losses as all_losses
from keras.src import metrics as all_metrics
from keras.src import optimizers as all_optimizers
from keras.src import regularizers as all_regularizers

# The public module of a kind, and the one with the table of its names.
KINDS = {
    "activation": (activations, all_activations),
    "constraint": (constraints, all_constraints),
    "initializer": (initializers, all_initializers),
    "loss": (losses, all_losses),
    "metric": (metrics, all_metrics),
    "optimizer": (optimizers, all_optimizers),
    "regularizer": (regularizers, all_regularizers),
    "learning rate schedule": (optimizers.schedules, None),
}
# What is public besides objects.
OTHERS = {"deserialize", "get", "serialize", "legacy", "schedules"}


def main():
    with open(sys.argv[1]) as file:
        objects = json.load(file)
    written, names = {}, {}
    for kind, (module, table) in KINDS.items():
        # As `compile_from_config` does; `losses.deserialize` does not know CategoricalGeneralizedCrossEntropy.
        read = lambda document: module.get(document) if isinstance(document, str) else deserialize_keras_object(document)
        written[kind] = [module.serialize(read(document)) for document in objects[kind]]
        public = {name for name in dir(module) if not name.startswith("_")} - OTHERS
        names[kind] = sorted(public | set(table.ALL_OBJECTS_DICT if table else {}))
    plain = lambda value: value.item() if hasattr(value, "item") else float(value)
    print(json.dumps({"written": written, "names": names}, default=plain))


if __name__ == "__main__":
    main()
