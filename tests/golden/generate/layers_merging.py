"""Layers that make one tensor of several."""

from keras import layers
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from .layer_case import LayerCases


def make(_folder):
    cases = LayerCases("layers_merging", 1304)
    a, b, c = (cases.normal(3, 4, 5) for _ in range(3))
    row, column, vector = cases.normal(3, 1, 5), cases.normal(3, 4, 1), cases.normal(3, 5)
    for name in ["Add", "Multiply", "Average", "Maximum", "Minimum"]:
        make_layer = getattr(layers, name)
        add = lambda label, *x, **more: cases.add(f"{name.lower()}{label}", make_layer, *x, **more)
        add("", a, b)
        add("/three", a, b, c)
        add("/broadcast", row, column)
        add("/ranks", a, vector)
        masks = [cases.mask(3, 4) for _ in range(3)]
        add("/masks", a, b, masks=masks[:2])
        add("/three_masks", a, b, c, masks=masks)
        add("/first_mask", a, b, masks=[masks[0], None])
        add("/second_mask", a, b, masks=[None, masks[1]])
        add("/some_masks", a, b, c, masks=[masks[0], None, masks[2]])
    cases.add("subtract", layers.Subtract, a, b)
    cases.add("subtract/broadcast", layers.Subtract, a, column)
    cases.add("subtract/masks", layers.Subtract, a, b, masks=[cases.mask(3, 4), cases.mask(3, 4)])

    concatenate = layers.Concatenate
    cases.add("concatenate", concatenate, a, b, cases.normal(3, 4, 2))
    cases.add("concatenate/axis_1", lambda: concatenate(axis=1), a, cases.normal(3, 2, 5))
    cases.add("concatenate/masks", concatenate, a, b, masks=[cases.mask(3, 4), cases.mask(3, 4)])
    cases.add("concatenate/one_mask", concatenate, a, b, masks=[None, cases.mask(3, 4)])
    cases.add("concatenate/axis_1/masks", lambda: concatenate(axis=1), a, b,
              masks=[cases.mask(3, 4), cases.mask(3, 4)])

    dot = layers.Dot
    for normalize in (False, True):
        add = lambda label, axes, *x: cases.add(
            f"dot/{label}{'/normalize' if normalize else ''}", lambda: dot(axes=axes, normalize=normalize), *x)
        add("vectors", 1, vector, cases.normal(3, 5))
        add("axis_2", 2, a, b)
        add("axis_-1", -1, a, b)
        add("axes", (2, 1), a, cases.normal(3, 5, 2))
        add("rank_4", (1, 2), a, cases.normal(3, 2, 4, 2))
        add("vector_and_matrix", (1, 2), vector, a)
        add("matrix_and_vector", (-1, -1), a, vector)
    cases.add("custom_scale_layer", lambda: CustomScaleLayer(0.17), a, b)
    return cases.group
