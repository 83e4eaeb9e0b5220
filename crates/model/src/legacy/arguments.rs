//! Classes and arguments that were called something else, meant something else or are gone.

use super::{Changes, HARD_SIGMOID_SCALE, OLD_SHAPE, is_class};
use sconce_core::{Error, Json, Kind, Result};
use sconce_layers::Layers;
use sconce_layers::initializers::Initializers;
use serde_json::{Map, json};

/// Old class, class of Keras 3.
const CLASSES: [(&str, &str); 29] = [
    ("Convolution1D", "Conv1D"),
    ("Convolution2D", "Conv2D"),
    ("Convolution3D", "Conv3D"),
    ("AtrousConvolution1D", "Conv1D"),
    ("AtrousConvolution2D", "Conv2D"),
    ("AtrousConv1D", "Conv1D"),
    ("AtrousConv2D", "Conv2D"),
    ("Deconvolution2D", "Conv2DTranspose"),
    ("Deconvolution3D", "Conv3DTranspose"),
    ("Convolution2DTranspose", "Conv2DTranspose"),
    ("SeparableConvolution1D", "SeparableConv1D"),
    ("SeparableConvolution2D", "SeparableConv2D"),
    ("MaxPool1D", "MaxPooling1D"),
    ("MaxPool2D", "MaxPooling2D"),
    ("MaxPool3D", "MaxPooling3D"),
    ("AvgPool1D", "AveragePooling1D"),
    ("AvgPool2D", "AveragePooling2D"),
    ("AvgPool3D", "AveragePooling3D"),
    ("GlobalMaxPool1D", "GlobalMaxPooling1D"),
    ("GlobalMaxPool2D", "GlobalMaxPooling2D"),
    ("GlobalAvgPool1D", "GlobalAveragePooling1D"),
    ("GlobalAvgPool2D", "GlobalAveragePooling2D"),
    ("TimeDistributedDense", "Dense"),
    ("CuDNNLSTM", "LSTM"),
    ("CuDNNGRU", "GRU"),
    ("BatchNormalizationV1", "BatchNormalization"),
    ("BatchNormalizationV2", "BatchNormalization"),
    ("SyncBatchNormalization", "BatchNormalization"),
    ("ThresholdedReLU", "ReLU"),
];

/// Names or values of then, and those of today.
type Renamed = &'static [(&'static str, &'static str)];

/// Arguments of another name, by class of Keras 3: (old, Keras 3). Those of every class come last.
const ARGUMENTS: [(&[&str], Renamed); 14] = [
    (&["Dense"], &[("output_dim", "units")]),
    (
        &["Embedding"],
        &[
            ("init", "embeddings_initializer"),
            ("W_regularizer", "embeddings_regularizer"),
            ("W_constraint", "embeddings_constraint"),
        ],
    ),
    (
        &["SimpleRNN", "LSTM", "GRU", "ConvLSTM2D"],
        &[
            ("output_dim", "units"),
            ("inner_init", "recurrent_initializer"),
            ("inner_activation", "recurrent_activation"),
            ("U_regularizer", "recurrent_regularizer"),
            ("dropout_W", "dropout"),
            ("dropout_U", "recurrent_dropout"),
        ],
    ),
    (
        &["Conv1D", "SeparableConv1D"],
        &[("filter_length", "kernel_size"), ("subsample_length", "strides")],
    ),
    (
        &[
            "Conv1D",
            "Conv2D",
            "Conv3D",
            "Conv2DTranspose",
            "Conv3DTranspose",
            "SeparableConv1D",
            "SeparableConv2D",
            "ConvLSTM2D",
        ],
        &[("nb_filter", "filters"), ("subsample", "strides"), ("atrous_rate", "dilation_rate")],
    ),
    (&["MaxPooling1D", "AveragePooling1D"], &[("pool_length", "pool_size"), ("stride", "strides")]),
    (&["UpSampling1D"], &[("length", "size")]),
    (
        &["Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout"],
        &[("p", "rate")],
    ),
    (&["GaussianNoise"], &[("sigma", "stddev")]),
    (&["LeakyReLU"], &[("alpha", "negative_slope")]),
    (&["ReLU"], &[("theta", "threshold")]),
    (&["PReLU"], &[("init", "alpha_initializer")]),
    (
        &["BatchNormalization"],
        &[("beta_init", "beta_initializer"), ("gamma_init", "gamma_initializer")],
    ),
    (
        &[],
        &[
            ("init", "kernel_initializer"),
            ("W_regularizer", "kernel_regularizer"),
            ("W_constraint", "kernel_constraint"),
            ("b_regularizer", "bias_regularizer"),
            ("b_constraint", "bias_constraint"),
            ("bias", "use_bias"),
            ("border_mode", "padding"),
            ("dim_ordering", "data_format"),
        ],
    ),
];

/// Sizes that were an argument for each axis.
const SIZES: [&[&str]; 2] = [&["nb_row", "nb_col"], &["kernel_dim1", "kernel_dim2", "kernel_dim3"]];

/// When an argument that is gone changes nothing.
enum Harmless {
    Always,
    /// With this value in JSON.
    Only(&'static str),
}

use Harmless::{Always, Only};

/// Arguments that are gone, by class of Keras 3.
const GONE: [(&[&str], &str, Harmless); 26] = [
    (&[], "implementation", Always),
    (&[], "consume_less", Always),
    (&[], "time_major", Only("false")),
    (&[], "ragged", Only("false")),
    (&[], "num_constants", Only("null")),
    (&[], "input_dtype", Always),
    (&["LSTM", "ConvLSTM2D"], "forget_bias_init", Always),
    (&["Embedding"], "input_length", Always),
    (&["Embedding"], "dropout", Only("0.0")),
    (&["BatchNormalization"], "mode", Only("0")),
    (&["BatchNormalization"], "fused", Always),
    (&["BatchNormalization"], "renorm", Only("false")),
    (&["BatchNormalization"], "renorm_clipping", Only("null")),
    (&["BatchNormalization"], "renorm_momentum", Always),
    (&["BatchNormalization"], "virtual_batch_size", Only("null")),
    (&["BatchNormalization"], "adjustment", Only("null")),
    (&["MultiHeadAttention"], "query_shape", Always),
    (&["MultiHeadAttention"], "key_shape", Always),
    (&["MultiHeadAttention"], "value_shape", Always),
    (&DEPTHWISE, "groups", Only("1")),
    (&TRANSPOSED, "groups", Only("1")),
    (&SEPARABLE, "groups", Only("1")),
    (&SEPARABLE, "kernel_initializer", Always),
    (&SEPARABLE, "kernel_regularizer", Only("null")),
    (&SEPARABLE, "kernel_constraint", Only("null")),
    (&["Conv2DTranspose"], "output_shape", Always),
];

const DEPTHWISE: [&str; 2] = ["DepthwiseConv1D", "DepthwiseConv2D"];
const TRANSPOSED: [&str; 3] = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"];
const SEPARABLE: [&str; 2] = ["SeparableConv1D", "SeparableConv2D"];

/// What a merge of Keras 1 does.
const MERGES: [(&str, &str, Renamed); 6] = [
    ("sum", "Add", &[]),
    ("mul", "Multiply", &[]),
    ("ave", "Average", &[]),
    ("max", "Maximum", &[]),
    ("concat", "Concatenate", &[("concat_axis", "axis")]),
    ("dot", "Dot", &[("dot_axes", "axes")]),
];

/// Brings class and arguments of a layer or an initializer to those of Keras 3. `path` is that of the
/// configuration.
///
/// # Errors
/// For an argument that is gone and that the layer's numbers depend on.
pub(super) fn translate(
    map: &mut Map<String, Json>,
    is_old: bool,
    path: &str,
    changes: &mut Changes,
) -> Result<()> {
    let Some(Json::String(found)) = map.get("class_name").cloned() else { return Ok(()) };
    if found == "Merge" {
        merge(map, path)?;
    }
    let class =
        CLASSES.iter().find(|(old, _)| *old == found).map_or(found.as_str(), |(_, new)| new);
    let Some(config) = map.get_mut("config").and_then(Json::as_object_mut) else { return Ok(()) };
    if Initializers::find(class).is_some_and(|entry| entry.class_name == class) {
        initializer(config);
        return Ok(());
    }
    if Layers::find(class).is_none_or(|entry| entry.class_name != class) {
        return Ok(());
    }
    if class != found {
        changes.add(format!("{found} is {class}"));
    }
    rename(config, class, changes);
    join_sizes(config);
    drop_gone(config, class, path, changes)?;
    common_values(config);
    stated_input(config, class);
    of_class(config, class, &found, is_old);
    map.insert("class_name".to_string(), class.into());
    Ok(())
}

fn rename(config: &mut Map<String, Json>, class: &str, changes: &mut Changes) {
    for (classes, pairs) in ARGUMENTS {
        if !classes.is_empty() && !classes.contains(&class) {
            continue;
        }
        for (old, new) in pairs {
            if config.contains_key(*new) {
                continue;
            }
            if let Some(value) = config.shift_remove(*old) {
                changes.add(format!("`{old}` of {class} is `{new}`"));
                config.insert(new.to_string(), value);
            }
        }
    }
}

fn join_sizes(config: &mut Map<String, Json>) {
    for sizes in SIZES {
        if sizes.iter().all(|size| config.contains_key(*size)) {
            let joined: Vec<Json> =
                sizes.iter().filter_map(|size| config.shift_remove(*size)).collect();
            config.insert("kernel_size".to_string(), joined.into());
        }
    }
}

fn drop_gone(
    config: &mut Map<String, Json>,
    class: &str,
    path: &str,
    changes: &mut Changes,
) -> Result<()> {
    for (classes, key, harmless) in GONE {
        if !classes.is_empty() && !classes.contains(&class) {
            continue;
        }
        let Some(value) = config.get(key) else { continue };
        let same = |allowed: &str| match serde_json::from_str::<Json>(allowed) {
            Ok(allowed) => {
                allowed == *value || value.as_f64().is_some_and(|v| allowed.as_f64() == Some(v))
            }
            Err(_) => false,
        };
        match harmless {
            Only(allowed) if !same(allowed) => {
                let message = format!(
                    "`{key}` of {class} is gone from Keras and changes what the layer computes unless it is \
                     {allowed}; it is {value}"
                );
                return Err(Error::config(format!("{path}.{key}"), message));
            }
            _ => {
                changes.add(format!(
                    "`{key}` of {class}, {value}, is left out: nothing depends on it"
                ));
                config.shift_remove(key);
            }
        }
    }
    Ok(())
}

/// Values that were written in another form, whatever the class.
fn common_values(config: &mut Map<String, Json>) {
    for (key, value) in config.iter_mut() {
        let written = match value {
            Json::String(format) if key == "data_format" => match format.as_str() {
                "tf" | "default" => json!("channels_last"),
                "th" => json!("channels_first"),
                _ => continue,
            },
            Json::Object(policy) if key == "dtype" && is_class(policy, "Policy") => policy
                .get("config")
                .and_then(|config| config.get("name"))
                .cloned()
                .unwrap_or_default(),
            Json::String(name) if key.ends_with("activation") && name == "softmax_v2" => {
                json!("softmax")
            }
            Json::Object(old) if !old.contains_key("class_name") && old.contains_key("name") => {
                if key.ends_with("_regularizer") {
                    named_regularizer(old)
                } else if key.ends_with("_constraint") {
                    named_constraint(old)
                } else {
                    continue;
                }
            }
            _ => continue,
        };
        *value = written;
    }
}

/// `{"name": "WeightRegularizer", "l1": 0, "l2": 0.01}`.
fn named_regularizer(old: &Map<String, Json>) -> Json {
    let part = |key: &str| old.get(key).cloned().unwrap_or(json!(0.0));
    json!({"class_name": "L1L2", "config": {"l1": part("l1"), "l2": part("l2")}})
}

/// `{"name": "MaxNorm", "m": 2, "axis": 0}`.
fn named_constraint(old: &Map<String, Json>) -> Json {
    let mut config = old.clone();
    let class = config.shift_remove("name");
    for (from, to) in [("m", "max_value"), ("low", "min_value"), ("high", "max_value")] {
        if let Some(value) = config.shift_remove(from) {
            config.insert(to.to_string(), value);
        }
    }
    json!({"class_name": class, "config": config})
}

/// TensorFlow's initializers had a type; `normal` was the truncated one.
fn initializer(config: &mut Map<String, Json>) {
    config.shift_remove("dtype");
    if let Some(distribution) = config.get_mut("distribution").filter(|d| **d == "normal") {
        *distribution = json!("truncated_normal");
    }
}

/// The sizes of a first layer's input, which Keras 1 states on their own.
fn stated_input(config: &mut Map<String, Json>, class: &str) {
    if class == "InputLayer" {
        if let Some(shape) = config.shift_remove(OLD_SHAPE) {
            config.entry("batch_shape").or_insert(shape);
        }
        return;
    }
    if ["Embedding", "Normalization"].contains(&class) {
        return;
    }
    let dim = config.shift_remove("input_dim").filter(|dim| !dim.is_null());
    let length = config.shift_remove("input_length");
    let states = ["input_shape", OLD_SHAPE].iter().any(|key| config.contains_key(*key));
    if let (Some(dim), false) = (dim, states) {
        let recurrent_or_1d = ["LSTM", "GRU", "SimpleRNN", "Conv1D"].contains(&class);
        let shape = match length {
            Some(length) if recurrent_or_1d => json!([null, length, dim]),
            None if recurrent_or_1d => json!([null, null, dim]),
            _ => json!([null, dim]),
        };
        config.insert(OLD_SHAPE.to_string(), shape);
    }
}

/// What belongs to one class. `found`: what it was called in the file.
fn of_class(config: &mut Map<String, Json>, class: &str, found: &str, is_old: bool) {
    let mut state = |key: &str, value: Json| {
        config.entry(key.to_string()).or_insert(value);
    };
    match (class, found) {
        ("LSTM", "CuDNNLSTM") | ("GRU", "CuDNNGRU") => {
            state("activation", json!("tanh"));
            state("recurrent_activation", json!("sigmoid"));
            if class == "GRU" {
                state("reset_after", json!(true));
            }
        }
        // Keras 3 takes `true` where nothing is said.
        ("GRU", _) if is_old => state("reset_after", json!(false)),
        ("BatchNormalization", _) => {
            if let Some(axis) = config.get_mut("axis")
                && let Some([one]) = axis.as_array().map(Vec::as_slice)
            {
                *axis = one.clone();
            }
        }
        _ => {}
    }
}

/// Keras 1's `Merge`, as the layer that its mode names.
fn merge(map: &mut Map<String, Json>, path: &str) -> Result<()> {
    let Some(config) = map.get_mut("config").and_then(Json::as_object_mut) else { return Ok(()) };
    let mode = config.get("mode").and_then(Json::as_str).unwrap_or_default().to_string();
    let plain = config.get("mode_type").and_then(Json::as_str).is_none_or(|kind| kind == "raw");
    let known = MERGES.iter().find(|(name, ..)| *name == mode).filter(|_| plain);
    let Some((_, class, arguments)) = known else {
        let modes: Vec<&str> = MERGES.iter().map(|(name, ..)| *name).collect();
        let message =
            format!("the merge mode {mode:?} is not supported; known are {}", modes.join(", "));
        return Err(Error::config(format!("{path}.mode"), message));
    };
    if config.contains_key("layers") {
        let message = "a Merge with models of its own inside a Sequential is not supported; save the model \
                       as a functional one";
        return Err(Error::config(format!("{path}.layers"), message));
    }
    let mut own = Map::new();
    for key in ["name", "trainable"] {
        own.extend(config.get(key).map(|value| (key.to_string(), value.clone())));
    }
    for (old, new) in *arguments {
        own.extend(config.get(*old).map(|value| (new.to_string(), value.clone())));
    }
    map.insert("class_name".to_string(), (*class).into());
    map.insert("config".to_string(), own.into());
    Ok(())
}

/// An Activation layer of the old `hard_sigmoid`, as two layers that compute the same.
pub(super) fn hard_sigmoid(map: &mut Map<String, Json>, changes: &mut Changes) {
    let Some(config) = map.get("config").and_then(Json::as_object) else { return };
    if config.get("activation").and_then(Json::as_str) != Some("hard_sigmoid") {
        return;
    }
    let inner = |what: &str| {
        json!(format!(
            "{}_{what}",
            config.get("name").and_then(Json::as_str).unwrap_or("activation")
        ))
    };
    let layers = json!([
        {"class_name": "Rescaling", "config": {"name": inner("scale"), "scale": HARD_SIGMOID_SCALE}},
        {"class_name": "Activation", "config": {"name": inner("hard_sigmoid"), "activation": "hard_sigmoid"}},
    ]);
    let mut own = Map::new();
    own.extend(config.get("name").map(|name| ("name".to_string(), name.clone())));
    own.insert("layers".to_string(), layers);
    changes.add("Activation of hard_sigmoid, which was steeper before Keras 3, is a Rescaling by 1.2 and that of \
                 Keras 3".to_string());
    map.insert("class_name".to_string(), "Sequential".into());
    map.insert("config".to_string(), own.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(class: &str, config: Json) -> Result<Json> {
        let mut map = Map::new();
        map.insert("class_name".to_string(), class.into());
        map.insert("config".to_string(), config);
        translate(&mut map, true, "config", &mut Changes::default())?;
        Ok(Json::Object(map))
    }

    #[test]
    fn every_renamed_argument() {
        let convolution = json!({
            "nb_filter": 3, "nb_row": 2, "nb_col": 1, "subsample": [1, 1], "border_mode": "same", "dim_ordering": "tf",
            "init": "normal", "W_regularizer": {"name": "L1L2Regularizer", "l1": 0.5, "l2": 0.0},
            "b_regularizer": null, "W_constraint": {"name": "NonNeg"}, "b_constraint": null, "bias": false,
            "input_dtype": "float32",
        });
        let as_now = json!({
            "filters": 3, "kernel_size": [2, 1], "strides": [1, 1], "padding": "same", "data_format": "channels_last",
            "kernel_initializer": "normal",
            "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.0}},
            "bias_regularizer": null, "kernel_constraint": {"class_name": "NonNeg", "config": {}},
            "bias_constraint": null, "use_bias": false,
        });
        let mut dilated = convolution.clone();
        dilated["atrous_rate"] = json!([2, 2]);
        let mut dilated_now = as_now.clone();
        dilated_now["dilation_rate"] = json!([2, 2]);
        let cases = [
            ("Convolution2D", convolution, "Conv2D", as_now),
            (
                "SeparableConvolution2D",
                json!({"nb_filter": 3, "nb_row": 2, "nb_col": 1, "init": "normal", "bias": false}),
                "SeparableConv2D",
                json!({"filters": 3, "kernel_size": [2, 1], "use_bias": false}),
            ),
            ("AtrousConvolution2D", dilated, "Conv2D", dilated_now),
            (
                "Deconvolution2D",
                json!({"output_shape": [null, 4, 4, 3]}),
                "Conv2DTranspose",
                json!({}),
            ),
            (
                "Convolution3D",
                json!({"kernel_dim1": 1, "kernel_dim2": 2, "kernel_dim3": 3}),
                "Conv3D",
                json!({"kernel_size": [1, 2, 3]}),
            ),
            (
                "Convolution1D",
                json!({"filter_length": 2, "subsample_length": 1, "input_dim": 3, "input_length": 5}),
                "Conv1D",
                json!({"kernel_size": 2, "strides": 1, "batch_input_shape": [null, 5, 3]}),
            ),
            (
                "Dense",
                json!({"output_dim": 2, "input_dim": 3}),
                "Dense",
                json!({"units": 2, "batch_input_shape": [null, 3]}),
            ),
            (
                "TimeDistributedDense",
                json!({"output_dim": 2, "input_dim": null}),
                "Dense",
                json!({"units": 2}),
            ),
            (
                "MaxPooling1D",
                json!({"pool_length": 2, "stride": 1}),
                "MaxPooling1D",
                json!({"pool_size": 2, "strides": 1}),
            ),
            (
                "GlobalAveragePooling2D",
                json!({"dim_ordering": "th"}),
                "GlobalAveragePooling2D",
                json!({"data_format": "channels_first"}),
            ),
            ("UpSampling1D", json!({"length": 3}), "UpSampling1D", json!({"size": 3})),
            ("Dropout", json!({"p": 0.5}), "Dropout", json!({"rate": 0.5})),
            ("GaussianNoise", json!({"sigma": 0.5}), "GaussianNoise", json!({"stddev": 0.5})),
            ("LeakyReLU", json!({"alpha": 0.5}), "LeakyReLU", json!({"negative_slope": 0.5})),
            ("ELU", json!({"alpha": 0.5}), "ELU", json!({"alpha": 0.5})),
            ("ThresholdedReLU", json!({"theta": 0.5}), "ReLU", json!({"threshold": 0.5})),
            (
                "BatchNormalization",
                json!({"mode": 0, "axis": [3], "beta_init": "zero", "gamma_init": "one", "renorm": false}),
                "BatchNormalization",
                json!({"axis": 3, "beta_initializer": "zero", "gamma_initializer": "one"}),
            ),
            ("DepthwiseConv2D", json!({"groups": 1}), "DepthwiseConv2D", json!({})),
            (
                "GlorotUniform",
                json!({"seed": null, "dtype": "float32"}),
                "GlorotUniform",
                json!({"seed": null}),
            ),
            (
                "VarianceScaling",
                json!({"distribution": "normal"}),
                "VarianceScaling",
                json!({"distribution": "truncated_normal"}),
            ),
            (
                "Dense",
                json!({"dtype": {"class_name": "Policy", "config": {"name": "float32"}}, "activation": "softmax_v2"}),
                "Dense",
                json!({"dtype": "float32", "activation": "softmax"}),
            ),
            (
                "Merge",
                json!({"name": "m", "mode": "concat", "concat_axis": 1, "mode_type": "raw", "dot_axes": -1}),
                "Concatenate",
                json!({"name": "m", "axis": 1}),
            ),
        ];
        for (class, config, class_now, config_now) in cases {
            let ours = translated(class, config).unwrap();
            assert_eq!(ours, json!({"class_name": class_now, "config": config_now}), "{class}");
        }
    }

    #[test]
    fn what_changes_the_numbers_is_refused_by_name() {
        for (class, key, value) in [
            ("BatchNormalization", "mode", json!(1)),
            ("BatchNormalization", "renorm", json!(true)),
            ("DepthwiseConv2D", "groups", json!(2)),
            ("InputLayer", "ragged", json!(true)),
            ("Merge", "mode", json!("cos")),
        ] {
            let error = translated(class, json!({ key: value })).unwrap_err().to_string();
            assert!(error.contains(&format!("config.{key}")), "{error}");
        }
    }
}
