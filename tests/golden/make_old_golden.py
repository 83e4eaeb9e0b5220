#!/usr/bin/env python3
"""Makes old_files: files of older Keras, and what Keras 2.15 predicts with them.

Pinned: keras==2.15.0, tensorflow-cpu==2.15.1, numpy==1.26.4, h5py==3.16.0, safetensors==0.8.0.

    python3.11 -m venv venv
    venv/bin/pip install -r tests/golden/requirements-old.txt
    venv/bin/python tests/golden/make_old_golden.py

Keras 1, 2.0 to 2.3 and cuDNN's layers cannot be run here. Their files are made by hand of a model of Keras 2.15
(generate/old_files.py): the configuration in the words of that time, the weights laid out as then, by the inverse
of the conversions in Keras's hdf5_format.py.
"""

import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["KERAS_HOME"] = "/nonexistent"

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def main():
    from generate.group import check_versions

    check_versions(HERE / "requirements-old.txt")
    from generate import old_files

    old_files.make(HERE).write(HERE)


if __name__ == "__main__":
    main()
