#!/usr/bin/env python3
"""Makes the golden files: what Keras itself computes, for Sconce's tests to compare with.

Pinned: keras==3.15.1, jax==0.10.2, numpy==2.4.6, h5py==3.16.0, safetensors==0.8.0.

    python3.11 -m venv venv
    venv/bin/pip install -r tests/golden/requirements.txt
    venv/bin/python tests/golden/make_golden.py              # every group
    venv/bin/python tests/golden/make_golden.py losses layers  # only these

Every random number comes from a NumPy generator with a fixed seed, so a second run on the same kind
of processor gives the same tensors; another processor may differ in the last bits. The `.keras`
archives carry the time they were saved and a random build id, so their bytes differ from run to run.

The layout of the files is described in README.md beside this script.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
# Users' ~/.keras/keras.json must not change a default.
os.environ["KERAS_HOME"] = "/nonexistent"

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

GROUPS = [
    "activations",
    "adversarial_training",
    "losses",
    "losses_other",
    "optimizers",
    "optimizer_exclusions",
    "optimizer_training",
    "schedules",
    "layers",
    "layers_activation",
    "layers_attention",
    "layers_core",
    "layers_images",
    "layers_merging",
    "layers_normalization",
    "layers_preprocessing",
    "layers_recurrent",
    "layers_regularization",
    "layers_reshaping",
    "operations",
    "training",
    "layer_training",
    "attention_training",
    "sequence_training",
    "image_training",
    "image_models_training",
    "functional_training",
    "keras_files",
    "keras_forms",
    "layer_files",
    "metrics",
    "metrics_other",
    "initializers",
    "regularizers",
    "constraints",
    "saving",
    "callbacks",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    chosen = parser.parse_args().groups or GROUPS
    unknown = sorted(set(chosen) - set(GROUPS))
    if unknown:
        parser.error(f"unknown group {', '.join(unknown)}; the groups are {', '.join(GROUPS)}")

    from generate.common import check_versions

    check_versions(HERE / "requirements.txt")
    for name in chosen:
        group = importlib.import_module(f"generate.{name}").make(HERE)
        group.write(HERE)


if __name__ == "__main__":
    main()
