//! Models with parts that cannot be used, as Keras writes them (tests/golden/saving).
#![allow(clippy::unwrap_used, clippy::panic)]

use sconce_saving::{
    KerasArchive,
    keras_json::{Class, explain, parse, scan},
};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/saving").join(name)
}

fn unsupported() -> Json {
    serde_json::from_slice(&std::fs::read(golden("unsupported.json")).unwrap()).unwrap()
}

/// Supports these layers and no operation.
fn layers<'a>(names: &'a [&'a str]) -> impl Fn(Class<'_>) -> bool + 'a {
    |class| matches!(class, Class::Layer(name) if names.contains(&name))
}

/// The lines of the error, without the first.
fn lines(model: &Json, supported: &[&str]) -> Vec<String> {
    let error = scan(model, "", &layers(supported)).unwrap_err().to_string();
    error.lines().skip(1).map(|line| line.trim().to_string()).collect()
}

const ALL: [&str; 8] = [
    "Functional",
    "Sequential",
    "InputLayer",
    "Dense",
    "Reshape",
    "TimeDistributed",
    "Bidirectional",
    "GRU",
];

#[test]
fn everything_is_listed_with_its_path_and_layer() {
    let found = lines(&unsupported(), &ALL);
    let expected = [
        (
            "config.layers[1].config.activation (layer `function`)",
            "own function `mine>own_function`",
        ),
        ("config.layers[2].config.activation.value (layer `activation`)", "Python code"),
        ("config.layers[3] (layer `lambda`)", "`Lambda`: Python code"),
        ("config.layers[4] (layer `own`)", "own class `mine>OwnDense`"),
        ("config.layers[5].config.layers[2] (layer `inside`)", "own class `Unregistered`"),
        ("config.layers[6] (layer `add`)", "the operation `Add`"),
        ("config.layers[7] (layer `relu`)", "the operation `Relu`"),
        ("config.layers[9].config.layer (layer `wrapped`)", "own class `Unregistered`"),
        ("compile_config.loss", "own function `own_loss`"),
        ("compile_config.metrics[0]", "`__lambda__`: Python code"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (line, (path, what)) in found.iter().zip(expected) {
        assert!(line.starts_with(&format!("{path}: ")) && line.contains(what), "{line}");
    }
}

#[test]
fn layers_that_are_not_supported_are_listed_inside_models_and_wrappers_too() {
    let mut model = unsupported();
    model.as_object_mut().unwrap().remove("compile_config");
    let found = lines(&model, &["Functional", "InputLayer", "Dense"]);
    for line in [
        "config.layers[5] (layer `inner`): the layer class `Sequential` is not supported",
        "config.layers[8] (layer `reshape`): the layer class `Reshape` is not supported",
        "config.layers[9] (layer `wrapper`): the layer class `TimeDistributed` is not supported",
        "config.layers[10] (layer `both`): the layer class `Bidirectional` is not supported",
        "config.layers[10].config.layer (layer `forward_gru`): the layer class `GRU` is not supported",
        "config.layers[10].config.backward_layer (layer `backward_gru`): the layer class `GRU` is not \
         supported",
    ] {
        assert!(found.iter().any(|found| found == line), "{line} in {found:#?}");
    }
    assert!(!found.iter().any(|line| line.contains("compile_config")));
}

#[test]
fn what_keras_saved_without_code_passes() {
    for name in ["uncompiled", "float32", "nested"] {
        let archive = KerasArchive::read(golden(&format!("{name}.keras"))).unwrap();
        scan(&archive.config, "", &|_| true).unwrap();
        // Every class asked about is that of a layer or a model.
        scan(&archive.config, "", &|class| {
            let Class::Layer(class) = class else { panic!("{class:?}") };
            let known = ["Dropout", "BatchNormalization", "Concatenate", "LSTM"];
            assert!(known.contains(&class) || ALL.contains(&class), "{class}");
            true
        })
        .unwrap();
    }
}

#[test]
fn documents_written_by_hand_need_no_modules() {
    let model = json!({"class_name": "Sequential", "config": {"layers": [
        {"class_name": "Dense", "config": {"units": 1, "kernel_initializer": {"class_name": "HeNormal"}}},
        {"class_name": "Densse", "config": {"units": 1}},
    ]}});
    let error = scan(&model, "model", &layers(&["Sequential", "Dense"])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "at `model`: the model holds something that is not supported:\n  \
         model.config.layers[1]: the layer class `Densse` is not supported (its configuration: `units`). If \
         it is the author's own: write it in Rust, register it in `CustomObjects`, and load the file within its \
         `scope`"
    );
    assert!(error.is_usage());
}

#[test]
fn packages_whose_names_begin_like_keras_are_not_keras() {
    for module in ["keras_hub.models", "kerasx", "tf_keras.layers", "builtins"] {
        let model =
            json!({"module": module, "class_name": "Dense", "config": {}, "registered_name": null});
        let found = lines(&model, &ALL);
        assert!(found[0].contains(&format!("own class `{module}.Dense`")), "{found:?}");
    }
    // A registered name takes the place of Keras's own class.
    let model =
        json!({"module": "keras.layers", "class_name": "Dense", "registered_name": "mine>Dense"});
    assert!(lines(&model, &ALL)[0].contains("own class `mine>Dense`"));
}

#[test]
fn settings_that_no_layer_has_are_listed_for_each() {
    let archive = KerasArchive::read(golden("mixed_float16.keras")).unwrap();
    let found = lines(&archive.config, &["InputLayer", "Dense", "Dropout"]);
    let policy = ": the dtype policy `mixed_float16`; only float32 is supported";
    assert!(found.len() > 1 && found.iter().all(|line| line.ends_with(policy)), "{found:?}");
    let dense = |config: Json| json!({"class_name": "Dense", "config": config});
    let quantised = json!({"module": "keras", "class_name": "QuantizedDTypePolicy",
        "config": {"mode": "int8", "source_name": "float32"}});
    let model = json!({"class_name": "Sequential", "config": {"layers": [
        {"class_name": "InputLayer", "config": {"batch_shape": [null, 2], "dtype": "int32"}},
        dense(json!({"units": 1, "dtype": quantised})),
        dense(json!({"units": 1, "dtype": "float64", "lora_rank": null})),
    ]}});
    let expected = [
        "config.layers[1]: the dtype policy `int8_from_float32`; only float32 is supported",
        "config.layers[2]: the dtype policy `float64`; only float32 is supported",
    ];
    assert_eq!(lines(&model, &ALL), expected);
}

#[test]
fn functions_of_keras_are_known_by_their_names() {
    let model = |name: &str| {
        let function = json!({"module": "builtins", "class_name": "function", "config": name,
            "registered_name": "function"});
        json!({"class_name": "Sequential", "config": {}, "compile_config": {"loss": function}})
    };
    scan(&model("mean_squared_error"), "", &|_| true).unwrap();
    let own = "compile_config.loss: the author's own function `mine`, which only Python can run; write \
               it in Rust, register it under this name in `CustomObjects`, and load the file within its \
               `scope`";
    assert_eq!(lines(&model("mine"), &ALL), [own]);
}

#[test]
fn one_thing_is_left_to_the_first_error_and_several_are_listed() {
    let model = |classes: &[&str]| {
        let layers: Vec<Json> =
            classes.iter().map(|class| json!({"class_name": class, "config": {}})).collect();
        json!({"class_name": "Sequential", "config": {"layers": layers}})
    };
    let explained = |classes: &[&str]| {
        let first = sconce_core::Error::config("config.layers[0]", "did you mean `Dense`?");
        explain(&model(classes), &layers(&ALL), first).to_string()
    };
    assert!(explained(&["Dens"]).contains("did you mean"));
    assert!(explained(&["Dense"]).contains("did you mean"));
    assert!(explained(&["Lambda"]).contains("Python code, which is never run"));
    let all = explained(&["LSTM", "Dense", "Conv1D"]);
    assert!(all.contains("2 things") && all.contains("LSTM") && all.contains("Conv1D"), "{all}");
}

#[test]
fn legacy_lambda_layers_hold_code_too() {
    let code = unsupported()["config"]["layers"][2]["config"]["activation"]["value"].clone();
    let model = json!({"class_name": "Sequential", "config": {"layers": [
        {"class_name": "Dense", "config": {"name": "d", "x": {"function": code, "code": code[0]}}},
    ]}});
    let found = lines(&model, &ALL);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("config.layers[0].config.x.function (layer `d`): Python code"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("config.layers[0].config.x.code (layer `d`): Python code"),
        "{found:?}"
    );
}

#[test]
fn infinity_is_read_as_python_writes_it() {
    let text =
        r#"{"a": Infinity, "b": [-Infinity, 1.5], "c": "Infinity \" Infinity", "Infinity": 1}"#;
    let expected =
        json!({"a": f64::MAX, "b": [f64::MIN, 1.5], "c": "Infinity \" Infinity", "Infinity": 1});
    assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    assert!((f64::MAX as f32).is_infinite());
    for wrong in [
        r#"{"a": NaN, "b": Infinity}"#,
        r#"{"a": Infinit}"#,
        "[Infinity",
        r#"{"a": InfinityInfinity}"#,
    ] {
        parse(wrong.as_bytes()).unwrap_err();
    }
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let text =
        "{\"units\": [{\"a\": 1, \"b\": null},\n {\"a\": 1, \"a\": 1}], \"c\": {\"a\": 2.5}}";
    let error = parse(text.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("the key `a` stands twice in one object"), "{error}");
    assert_eq!(error.line(), 2);
    let text = text.replacen("\"a\": 1, \"a\": 1", "\"a\": -1, \"d\": \"x\"", 1);
    assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text.replace([' ', '\n'], ""));
}
