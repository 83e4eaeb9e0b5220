"""Layers that change shapes."""

from keras import layers

from .layer_case import LayerCases


def make(_folder):
    cases = LayerCases("layers_reshaping", 1305)
    add = cases.add
    x2, x3, x4, x5 = cases.normal(3, 4), cases.normal(2, 4, 3), cases.normal(2, 3, 4, 2), cases.normal(2, 3, 3, 4, 2)
    add("permute", lambda: layers.Permute((2, 1)), x3)
    add("permute/rank_4", lambda: layers.Permute((3, 1, 2)), x4)
    add("repeat_vector", lambda: layers.RepeatVector(3), x2)

    add("cropping_1d", lambda: layers.Cropping1D(), x3)
    add("cropping_1d/sides", lambda: layers.Cropping1D((2, 0)), x3)
    add("zero_padding_1d", lambda: layers.ZeroPadding1D(), x3)
    add("zero_padding_1d/sides", lambda: layers.ZeroPadding1D((0, 2)), x3)
    add("zero_padding_1d/first", lambda: layers.ZeroPadding1D((1, 2), data_format="channels_first"), x3)
    add("up_sampling_1d", lambda: layers.UpSampling1D(), x3)
    add("up_sampling_1d/3", lambda: layers.UpSampling1D(3), x3)
    for form in ("channels_last", "channels_first"):
        to = lambda label: f"{label}/{form.split('_')[1]}"
        images = x4 if form == "channels_last" else x4.transpose(0, 3, 1, 2).copy()
        volumes = x5 if form == "channels_last" else x5.transpose(0, 4, 1, 2, 3).copy()
        add(to("cropping_2d"), lambda: layers.Cropping2D(1, data_format=form), images)
        add(to("cropping_2d/axes"), lambda: layers.Cropping2D((1, 0), data_format=form), images)
        add(to("cropping_2d/sides"), lambda: layers.Cropping2D(((0, 1), (2, 1)), data_format=form), images)
        add(to("cropping_3d"), lambda: layers.Cropping3D(data_format=form), volumes)
        add(to("cropping_3d/sides"), lambda: layers.Cropping3D(((0, 1), (2, 0), (1, 1)), data_format=form), volumes)
        add(to("zero_padding_2d"), lambda: layers.ZeroPadding2D(data_format=form), images)
        add(to("zero_padding_2d/sides"), lambda: layers.ZeroPadding2D(((0, 1), (2, 1)), data_format=form), images)
        add(to("zero_padding_3d"), lambda: layers.ZeroPadding3D(1, data_format=form), volumes)
        add(to("zero_padding_3d/sides"), lambda: layers.ZeroPadding3D((1, (0, 2), (1, 0)), data_format=form), volumes)
        add(to("up_sampling_2d"), lambda: layers.UpSampling2D(data_format=form), images)
        add(to("up_sampling_3d"), lambda: layers.UpSampling3D((1, 2, 3), data_format=form), volumes)
        for interpolation in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
            up = lambda: layers.UpSampling2D((3, 2), data_format=form, interpolation=interpolation)
            add(to(f"up_sampling_2d/{interpolation}"), up, images)
    add("up_sampling_2d/large", lambda: layers.UpSampling2D(2, interpolation="lanczos5"), cases.normal(1, 12, 9, 1))
    return cases.group
