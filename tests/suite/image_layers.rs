//! Convolution and pooling layers: names, messages, and numbers that must not break anything.

use sconce::layers::json::{from_json, to_json};
use sconce::prelude::*;
use serde_json::{Value as Json, json};

fn layer(class_name: &str, config: Json) -> Result<LayerEntry> {
    from_json(&json!({"class_name": class_name, "config": config}))
}

#[test]
fn other_names_of_layers_are_known() {
    for (alias, name, config) in [
        ("Convolution1D", "Conv1D", json!({"filters": 1, "kernel_size": 1})),
        ("Convolution2D", "Conv2D", json!({"filters": 1, "kernel_size": 1})),
        ("Convolution3D", "Conv3D", json!({"filters": 1, "kernel_size": 1})),
        ("Convolution2DTranspose", "Conv2DTranspose", json!({"filters": 1, "kernel_size": 1})),
        ("SeparableConvolution2D", "SeparableConv2D", json!({"filters": 1, "kernel_size": 1})),
        ("MaxPool2D", "MaxPooling2D", json!({})),
        ("AvgPool1D", "AveragePooling1D", json!({"pool_size": 2})),
        ("GlobalMaxPool3D", "GlobalMaxPooling3D", json!({})),
        ("GlobalAvgPool2D", "GlobalAveragePooling2D", json!({})),
    ] {
        assert_eq!(layer(alias, config).unwrap().class_name(), name);
    }
}

#[test]
fn strides_left_out_are_those_of_the_pool() {
    let entry: LayerEntry = MaxPooling2D::new((3, 2)).into();
    let written = to_json(&entry, "pool", None).unwrap();
    assert_eq!(written["config"]["strides"], json!([3, 2]));
    let config = json!({"pool_size": [3, 2], "strides": null, "data_format": null});
    let entry = layer("MaxPooling2D", config).unwrap();
    let written = to_json(&entry, "pool", None).unwrap();
    assert_eq!(written["config"]["strides"], json!([3, 2]));
    assert_eq!(written["config"]["data_format"], "channels_last");
}

#[test]
fn configurations_that_cannot_work_are_refused_by_place() {
    let conv = |more: Json| {
        let mut config = json!({"filters": 4, "kernel_size": 3});
        more.as_object().unwrap().iter().for_each(|(k, v)| config[k] = v.clone());
        config
    };
    for (class_name, config, message) in [
        ("Conv2D", conv(json!({"filters": 0})), "at `config.filters`: must be"),
        ("Conv2D", conv(json!({"kernel_size": [3, 0]})), "at `config.kernel_size`: must be"),
        ("Conv2D", conv(json!({"kernel_size": [3, 3, 3]})), "at `config.kernel_size`: must be"),
        (
            "Conv2D",
            conv(json!({"kernel_size": -1})),
            "a whole number of at least 0, or a list of 2",
        ),
        ("Conv2D", conv(json!({"strides": 0})), "at `config.strides`: must be"),
        (
            "Conv2D",
            conv(json!({"groups": 3})),
            "at `config.groups`: must be a divisor of 4 filters",
        ),
        (
            "Conv2D",
            conv(json!({"padding": "casual"})),
            "at `config.padding`: unknown value `casual`",
        ),
        ("Conv2D", conv(json!({"padding": "causal"})), "\"causal\" padding is for Conv1D"),
        (
            "Conv2D",
            conv(json!({"strides": 2, "dilation_rate": 2})),
            "do not go with a dilation_rate",
        ),
        ("Conv2D", conv(json!({"data_format": "last"})), "at `config.data_format`: unknown value"),
        (
            "Conv2DTranspose",
            conv(json!({"strides": [2, 3], "output_padding": [1, 3]})),
            "at `config.output_padding`: must be less than strides, found 3 for a stride of 3",
        ),
        ("MaxPooling1D", json!({"pool_size": 0}), "at `config.pool_size`: must be"),
        ("AveragePooling1D", json!({}), "the required key `pool_size` is missing"),
        (
            "AdaptiveMaxPooling2D",
            json!({"output_size": [1, 0]}),
            "at `config.output_size`: must be",
        ),
    ] {
        let found =
            layer(class_name, config).and_then(|entry| entry.layer().check().map(|()| entry));
        let error = found.err().unwrap_or_else(|| panic!("{message}")).to_string();
        assert!(error.contains(message), "{class_name}: {error}\nexpected: {message}");
    }
}

/// Numbers that no memory holds, and inputs that do not fit: errors, not panics.
#[test]
fn inputs_that_do_not_fit_are_errors() {
    let huge = 1u64 << 62;
    let conv = |size: Json| json!({"filters": 4, "kernel_size": size});
    let same = json!({"filters": 2, "kernel_size": 2, "padding": "same", "dilation_rate": huge});
    let wide = json!({"filters": 2, "kernel_size": 3, "padding": "same", "strides": huge});
    for (class_name, config, sample, message) in [
        (
            "Conv2D",
            conv(json!(3)),
            vec![5, 6],
            "inputs of shape (batch, height, width, channels), got (None, 5, 6)",
        ),
        ("Conv1D", conv(json!(3)), vec![5], "inputs of shape (batch, steps, channels)"),
        (
            "Conv2D",
            conv(json!([3, 7])),
            vec![5, 6, 1],
            "kernel_size 7 (strides 1, padding Valid) on axis 1",
        ),
        ("Conv2D", conv(json!(huge)), vec![5, 6, 1], "leaves no output"),
        ("Conv2D", same.clone(), vec![5, 6, 1], "beyond what memory holds"),
        (
            "DepthwiseConv2D",
            json!({"kernel_size": 1, "depth_multiplier": huge}),
            vec![5, 6, 8],
            "depth_multiplier",
        ),
        ("Conv2DTranspose", wide, vec![5, 6, 1], "beyond what memory holds"),
        ("Conv2DTranspose", same, vec![5, 6, 1], "beyond what memory holds"),
        (
            "Conv2D",
            json!({"filters": 4, "kernel_size": 1, "groups": 2}),
            vec![5, 6, 3],
            "2 groups, 3 channels",
        ),
        (
            "MaxPooling2D",
            json!({"pool_size": 6}),
            vec![5, 6, 1],
            "pool_size 6 (strides 6, padding Valid) on axis 0",
        ),
        ("AdaptiveMaxPooling1D", json!({"output_size": huge}), vec![5, 1], "cannot be pooled to"),
        ("GlobalMaxPooling2D", json!({}), vec![5], "(batch, height, width, channels)"),
        (
            "AveragePooling3D",
            json!({"pool_size": 1, "data_format": "channels_first"}),
            vec![5, 6],
            "(batch, channels, depth, height, width)",
        ),
    ] {
        let entry = layer(class_name, config.clone()).unwrap();
        let spec = Args::one(Spec::float(Dims::batch_of(&sample)));
        let error = entry.outputs(&spec).err().unwrap_or_else(|| panic!("{class_name} {config}"));
        let error = error.to_string();
        assert!(error.contains(message), "{class_name}: {error}\nexpected: {message}");
    }
}

/// Sizes that are not known stay so, and a model takes images of any size.
#[test]
fn sizes_may_be_left_open() {
    let image =
        json!({"class_name": "InputLayer", "config": {"batch_shape": [null, null, null, 3]}});
    let conv =
        json!({"class_name": "Conv2D", "config": {"filters": 4, "kernel_size": 3, "strides": 2}});
    let pool = json!({"class_name": "AdaptiveMaxPooling2D", "config": {"output_size": [2, 3]}});
    let last = json!({"class_name": "GlobalAveragePooling2D", "config": {}});
    let json = json!({"class_name": "Sequential", "config": {"layers": [image, conv, pool, last]}});
    let mut model = Model::from_json(&json.to_string()).unwrap();
    model.build(&Dims(vec![None, None, None, Some(3)])).unwrap();
    for (height, width) in [(5, 7), (8, 9)] {
        let x = Tensor::zeros((2, height, width, 3), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(model.predict(&x).unwrap().dims(), [2, 4]);
    }
    let spec = Args::one(Spec::float(Dims(vec![None, None, Some(9), Some(3)])));
    let conv: LayerEntry = Conv2D::new(4, [3, 2]).strides(2).into();
    let outputs = conv.outputs(&spec).unwrap();
    assert_eq!(outputs[0].dims, Dims(vec![None, None, Some(4), Some(4)]));
    let pool: LayerEntry = MaxPooling2D::new(3).padding(Padding::Same).into();
    assert_eq!(pool.outputs(&spec).unwrap()[0].dims, Dims(vec![None, None, Some(3), Some(3)]));
}
