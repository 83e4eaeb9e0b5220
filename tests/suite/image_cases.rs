//! The cases of convolution and pooling layers.

use crate::layer_cases::{LayerCase, case};
use serde_json::json;

pub fn cases() -> Vec<LayerCase> {
    let mut cases = convolutions();
    cases.extend(pooling());
    cases
}

fn convolutions() -> Vec<LayerCase> {
    vec![
        case(
            "Conv1D",
            json!({"filters": 3, "kernel_size": [2], "padding": "causal", "dilation_rate": 2}),
            &[5, 2],
            &[("kernel", &[2, 2, 3]), ("bias", &[3])],
        ),
        case(
            "Conv2D",
            json!({"filters": 4, "kernel_size": [3, 2], "strides": 2, "padding": "same", "groups": 2,
                   "activation": "tanh"}),
            &[4, 3, 2],
            &[("kernel", &[3, 2, 1, 4]), ("bias", &[4])],
        ),
        case(
            "Conv2D",
            json!({"filters": 2, "kernel_size": 2, "use_bias": false, "data_format": "channels_first",
                   "activation": "softmax"}),
            &[2, 3, 4],
            &[("kernel", &[2, 2, 2, 2])],
        ),
        case(
            "Conv2D",
            json!({"filters": 2, "kernel_size": 1}),
            &[2, 3, 2],
            &[("kernel", &[1, 1, 2, 2]), ("bias", &[2])],
        ),
        case(
            "Conv3D",
            json!({"filters": 2, "kernel_size": 2}),
            &[2, 3, 2, 1],
            &[("kernel", &[2, 2, 2, 1, 2]), ("bias", &[2])],
        ),
        case(
            "Conv1DTranspose",
            json!({"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}),
            &[3, 3],
            &[("kernel", &[3, 2, 3]), ("bias", &[2])],
        ),
        case(
            "Conv2DTranspose",
            json!({"filters": 2, "kernel_size": 2, "strides": [2, 3], "output_padding": [1, 0],
                   "activation": "tanh"}),
            &[2, 2, 1],
            &[("kernel", &[2, 2, 2, 1]), ("bias", &[2])],
        ),
        case(
            "Conv3DTranspose",
            json!({"filters": 1, "kernel_size": 2}),
            &[2, 1, 2, 2],
            &[("kernel", &[2, 2, 2, 1, 2]), ("bias", &[1])],
        ),
        case(
            "DepthwiseConv1D",
            json!({"kernel_size": 2, "depth_multiplier": 2}),
            &[4, 2],
            &[("kernel", &[2, 2, 2]), ("bias", &[4])],
        ),
        case(
            "DepthwiseConv2D",
            json!({"kernel_size": 3, "padding": "same", "strides": 2, "activation": "sigmoid"}),
            &[3, 4, 3],
            &[("kernel", &[3, 3, 3, 1]), ("bias", &[3])],
        ),
        case(
            "SeparableConv1D",
            json!({"filters": 2, "kernel_size": 2}),
            &[4, 2],
            &[("depthwise_kernel", &[2, 2, 1]), ("pointwise_kernel", &[1, 2, 2]), ("bias", &[2])],
        ),
        case(
            "SeparableConv2D",
            json!({"filters": 2, "kernel_size": 2, "depth_multiplier": 2, "use_bias": false}),
            &[3, 3, 2],
            &[("depthwise_kernel", &[2, 2, 2, 2]), ("pointwise_kernel", &[1, 1, 4, 2])],
        ),
    ]
}

fn pooling() -> Vec<LayerCase> {
    let sequence: &[usize] = &[5, 2];
    let image: &[usize] = &[4, 5, 2];
    let volume: &[usize] = &[2, 3, 4, 2];
    let windows = json!({"pool_size": 2, "strides": 1, "padding": "same"});
    let apart = json!({"pool_size": 2, "data_format": "channels_first"});
    let kept = json!({"keepdims": true});
    let first = json!({"data_format": "channels_first"});
    let mut cases = Vec::new();
    for (name, config, sample) in [
        ("MaxPooling1D", windows.clone(), sequence),
        ("MaxPooling2D", json!({}), image),
        ("MaxPooling2D", apart.clone(), &[2, 4, 3]),
        ("MaxPooling3D", windows.clone(), volume),
        ("AveragePooling1D", json!({"pool_size": 3, "strides": 2, "padding": "same"}), sequence),
        ("AveragePooling2D", windows, image),
        ("AveragePooling3D", apart, &[1, 2, 3, 2]),
        ("GlobalMaxPooling1D", json!({}), sequence),
        ("GlobalMaxPooling2D", kept.clone(), image),
        ("GlobalMaxPooling3D", first.clone(), volume),
        ("GlobalAveragePooling1D", first, sequence),
        ("GlobalAveragePooling2D", json!({}), image),
        ("GlobalAveragePooling3D", kept, volume),
        ("AdaptiveMaxPooling1D", json!({"output_size": 3}), sequence),
        ("AdaptiveMaxPooling2D", json!({"output_size": [3, 2]}), image),
        ("AdaptiveMaxPooling3D", json!({"output_size": 2}), volume),
        ("AdaptiveAveragePooling1D", json!({"output_size": [7]}), sequence),
        ("AdaptiveAveragePooling2D", json!({"output_size": 3}), image),
        (
            "AdaptiveAveragePooling3D",
            json!({"output_size": 2, "data_format": "channels_first"}),
            volume,
        ),
    ] {
        cases.push(case(name, config, sample, &[]));
    }
    cases
}
