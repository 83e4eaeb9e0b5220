"""Layers that prepare data."""

from keras import layers

from .layer_case import LayerCases


def make(_folder):
    cases = LayerCases("layers_preprocessing", 1301)
    x2, x4 = cases.normal(6, 5), cases.normal(2, 3, 4, 3)
    add = lambda label, layer, x: cases.add(f"normalization/{label}", layer, x)
    add("adapted", lambda: layers.Normalization(), x2)
    add("adapted/rank_4", lambda: layers.Normalization(), x4)
    add("adapted/axes", lambda: layers.Normalization(axis=[1, -1]), x4)
    add("adapted/axis_1", lambda: layers.Normalization(axis=1), x4)
    add("adapted/no_axis", lambda: layers.Normalization(axis=None), x2)
    add("invert", lambda: layers.Normalization(invert=True), x2)
    given = {"mean": [0.5, -1.0, 2.0], "variance": [4.0, 0.25, 0.0]}
    add("given", lambda: layers.Normalization(**given), x4)
    add("given/invert", lambda: layers.Normalization(**given, invert=True), x4)
    add("given/numbers", lambda: layers.Normalization(mean=1.5, variance=2.0), x2)
    add("given/axes", lambda: layers.Normalization(axis=(1, 3), mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0]), x4)
    return cases.group
