"""Core layers: EinsumDense, Masking; LoRA."""

import numpy as np
from keras import layers

from .layer_case import LayerCases


def make(_folder):
    cases = LayerCases("layers_core", 1308)
    x2, x3, x4 = cases.normal(3, 4), cases.normal(2, 3, 4), cases.normal(2, 3, 2, 4)
    for label, equation, shape, bias, x in [
        ("dense", "ab,bc->ac", 5, "c", x2),
        ("sequence", "abc,cd->abd", (None, 5), "d", x3),
        ("no_bias", "abc,cd->abd", (None, 5), None, x3),
        ("heads", "abc,cde->abde", (None, 2, 3), "de", x3),
        ("heads/one_bias", "abc,cde->abde", (None, 2, 3), "d", x3),
        ("join_heads", "abcd,cde->abe", (None, 5), "e", x4),
        ("kernel_reversed", "abc,dc->abd", (None, 5), "d", x3),
        ("output_reordered", "abc,cd->adb", (5, None), "d", x3),
        ("shared", "abc,bcd->abd", (3, 5), "bd", x3),
        ("shared_heads", "abcd,cde->abce", (None, 2, 5), "ce", x4),
        ("only_shared", "abc,c->abc", (None, 4), None, x3),
        ("left", "...x,xy->...y", 5, "y", x3),
        ("left/rank_4", "...x,xy->...y", 5, "y", x4),
        ("right", "ab...,bc->ac...", 5, "c", x4),
        ("right/no_bias", "ab...,bc->ac...", 5, None, x3),
        ("summed", "abc,bd->ad", 5, "d", x3),
    ]:
        make_layer = lambda: layers.EinsumDense(equation, shape, bias_axes=bias)
        cases.add(f"einsum_dense/{label}", make_layer, x)
    cases.add("einsum_dense/activation", lambda: layers.EinsumDense(
        "abc,cd->abd", (None, 5), bias_axes="d", activation="relu", kernel_regularizer="l2", bias_regularizer="l1",
        activity_regularizer="l2", kernel_constraint="non_neg", bias_constraint="non_neg"), x3)

    steps = np.array(cases.normal(3, 4, 2))
    steps[0, 2:], steps[1, 0, 0], steps[2] = 0.0, 0.0, 0.0
    cases.add("masking", lambda: layers.Masking(), steps)
    steps = np.array(cases.normal(2, 3, 2))
    steps[0, 1] = -1.0
    cases.add("masking/value", lambda: layers.Masking(mask_value=-1.0), steps)

    image, ids = cases.normal(2, 4, 5, 4), cases.draw.integers(0, 6, (2, 3))
    for label, make_layer, x in [
        ("dense", lambda: layers.Dense(5, activation="tanh", lora_rank=2), x3),
        ("einsum_dense", lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="e", lora_rank=2, lora_alpha=5), x3),
        ("embedding", lambda: layers.Embedding(6, 4, lora_rank=3), ids),
        ("conv_1d", lambda: layers.Conv1D(3, 2, lora_rank=1, lora_alpha=0.5), x3),
        ("conv_2d", lambda: layers.Conv2D(
            4, 3, padding="same", groups=2, lora_rank=2, lora_alpha=3, kernel_regularizer="l2"), image),
        ("conv_3d", lambda: layers.Conv3D(2, (1, 2, 1), lora_rank=2), cases.normal(1, 2, 3, 2, 3)),
    ]:
        cases.add(f"lora/{label}", make_layer, x, training=True)
    return cases.group
