//! How `train` fails: exit code, place, and what to do.

use crate::{config, folder, line, sconce};
use serde_json::{Value, json};

/// The error of a configuration.
fn error(config: &Value, code: i32) -> String {
    sconce(folder(config).path(), &["train", "run.json"]).fails(code)
}

/// A configuration with a value at a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut config = config();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    config
}

#[test]
fn wrong_configurations_say_where_and_what_to_do() {
    for (pointer, value, place, advice) in [
        ("/fit/epocs", json!(3), "fit.epocs", "unknown key `epocs`. Did you mean `epochs`?"),
        ("/modle", json!({}), "modle", "Did you mean `model`?"),
        (
            "/fit/epochs",
            json!("many"),
            "fit.epochs",
            "must be a whole number of at least 1, found \"many\"",
        ),
        ("/fit/epochs", json!(0), "fit.epochs", "must be a whole number of at least 1, found 0"),
        ("/fit/batch_size", json!(0), "fit.batch_size", "must be a whole number of at least 1"),
        ("/fit/shuffle", json!("rows"), "fit.shuffle", "true, false or \"batch\""),
        ("/fit/verbose", json!(7), "fit.verbose", "must be \"auto\", 0 (silent)"),
        ("/fit/validation_split", json!(1.5), "fit.validation_split", "of at least 0 and below 1"),
        ("/model", json!(7), "model", "Keras's JSON of a model, or the path"),
        ("/model", json!("m.txt"), "model", "read from a .keras, .h5, .json or .safetensors file"),
        (
            "/model/config/layers/1/config/unitss",
            json!(8),
            "model.config.layers[1].config.unitss",
            "Did you mean `units`?",
        ),
        (
            "/model/config/layers/1/class_name",
            json!("Dence"),
            "model.config.layers[1].class_name",
            "Did you mean `Dense`?",
        ),
        (
            "/model/config/layers/1/config/activation",
            json!("rellu"),
            "model.config.layers[1].config.activation",
            "Did you mean `relu`?",
        ),
        (
            "/compile/loss",
            json!("mean_squared_eror"),
            "compile.loss",
            "Did you mean `mean_squared_error`?",
        ),
        ("/compile/optimizer", json!("sdg"), "compile.optimizer", "Did you mean `sgd`?"),
        (
            "/compile/optimizer",
            json!({"class_name": "SGD", "config": {"learning_rat": 0.1}}),
            "compile.optimizer.config.learning_rat",
            "Did you mean `learning_rate`?",
        ),
        (
            "/compile/optimizer",
            json!({"class_name": "SGD", "confg": {"learning_rate": 0.1}}),
            "compile.optimizer.confg",
            "unknown key `confg`. Did you mean `config`?",
        ),
        ("/compile/loss", json!("msee"), "compile.loss", "Did you mean `mse`?"),
        ("/data/train/dataset", json!("blob"), "data.train.dataset", "Did you mean `blobs`?"),
        ("/data/train/rowz", json!(7), "data.train.rowz", "Did you mean `rows`?"),
        (
            "/callbacks",
            json!([{"class_name": "EarlyStoping"}]),
            "callbacks[0].class_name",
            "Did you mean `EarlyStopping`?",
        ),
        (
            "/callbacks",
            json!([{"class_name": "LambdaCallback"}]),
            "callbacks[0].class_name",
            "there is no callback `LambdaCallback`: it holds code",
        ),
        (
            "/callbacks",
            json!([{"class_name": "LearningRateScheduler"}]),
            "callbacks[0].class_name",
            "give the optimizer a schedule as its learning_rate",
        ),
        (
            "/callbacks",
            json!([{"class_name": "ProgbarLogger"}]),
            "callbacks[0].class_name",
            "`fit.verbose` says what it shows",
        ),
        (
            "/callbacks",
            json!([{"class_name": "EarlyStopping", "config": {"patience": -1}}]),
            "callbacks[0].config.patience",
            "-1",
        ),
        (
            "/callbacks",
            json!([{"class_name": "EarlyStopping", "config": {"monitor": "val_acuracy"}}]),
            "callbacks[0].config.monitor",
            "`val_acuracy` is not logged. Did you mean `val_accuracy`? Logged: loss, accuracy,",
        ),
        (
            "/callbacks",
            json!([{"class_name": "ModelCheckpoint", "config": {"filepath": "{epock}.keras"}}]),
            "callbacks[0].config.filepath",
            "Did you mean `epoch`?",
        ),
        ("/output", json!({"model": "m.h5"}), "output.model", "must end in .keras"),
        ("/output", json!({"modle": "m.keras"}), "output.modle", "Did you mean `model`?"),
    ] {
        let config = with(pointer, value);
        let dir = folder(&config);
        let error = sconce(dir.path(), &["train", "run.json"]).fails(2);
        let key = place.rsplit('.').next().unwrap().split('[').next().unwrap();
        let start =
            format!("error: run.json:{}: at `{place}`: ", line(dir.path(), &format!("\"{key}\"")));
        let start = if ["config", "model"].contains(&key)
            || place.contains("activation")
            || place.contains("class_name")
        {
            // Such keys occur more than once; the line is checked where they do not.
            "error: run.json:".to_string()
        } else {
            start
        };
        let last = error.lines().last().unwrap();
        assert!(
            last.starts_with(&start) && last.contains(&format!("at `{place}`: ")),
            "{start}\n{error}"
        );
        assert!(last.contains(advice), "{advice}\n{error}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut config = config();
    config.as_object_mut().unwrap().remove("compile");
    assert!(error(&config, 2).contains("the key `compile` is missing"));
    let mut config = crate::config();
    config.as_object_mut().unwrap().remove("data");
    assert!(error(&config, 2).contains("the required key `data` is missing"));
    let config = with("/data/train", json!({"x": "x.npy"}));
    assert!(error(&config, 1).contains("x.npy: cannot be read"));
    let config = with("/model", json!("no.json"));
    assert!(error(&config, 1).contains("no.json: cannot be read"));

    let dir = folder(&crate::config());
    let error = sconce(dir.path(), &["train", "no.json"]).fails(2);
    assert!(error.starts_with("error: no.json: cannot be read: "), "{error}");
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend("{}".encode_utf16().flat_map(u16::to_le_bytes));
    std::fs::write(dir.path().join("utf16.json"), utf16).unwrap();
    let error = sconce(dir.path(), &["train", "utf16.json"]).fails(2);
    assert!(error.contains("utf16.json: is in UTF-16; save it in UTF-8"), "{error}");
    let marked =
        format!("\u{feff}{}", std::fs::read_to_string(dir.path().join("run.json")).unwrap());
    std::fs::write(dir.path().join("marked.json"), marked).unwrap();
    sconce(dir.path(), &["train", "marked.json", "--quiet"]).ok();
    std::fs::write(dir.path().join("run.json"), "{\n  \"fit\": {\n    \"epochs\": }\n}").unwrap();
    let error = sconce(dir.path(), &["train", "run.json"]).fails(2);
    assert!(error.starts_with("error: run.json:3: this is not JSON: "), "{error}");
}

#[test]
fn a_model_in_its_own_file_is_the_place_of_its_errors() {
    let dir = folder(&with("/model", json!("model.json")));
    let text = "{\"class_name\": \"Sequential\", \"config\": {\"layers\": [\n\n{\"class_name\": \"Dence\"}]}}";
    std::fs::write(dir.path().join("model.json"), text).unwrap();
    let error = sconce(dir.path(), &["train", "run.json"]).fails(2);
    assert!(
        error.starts_with("error: model.json:3: at `model.config.layers[0].class_name`: "),
        "{error}"
    );
}

#[test]
fn wrong_usage_is_refused() {
    let dir = folder(&config());
    let error = |args: &[&str]| sconce(dir.path(), args).fails(2);
    assert!(error(&["tran", "run.json"]).contains("'train'"));
    assert!(error(&["train"]).contains("<CONFIG>"));
    assert!(error(&["train", "run.json", "--set", "fit.epochs"]).contains("KEY.PATH=VALUE"));
    assert!(
        error(&["train", "run.json", "--device", "gpu"]).contains("Known: auto, cpu, metal, cuda")
    );
    let text = error(&["train", "run.json", "--set", "fit.epocs=3"]);
    assert!(
        text.contains("unknown key `epocs`. Did you mean `epochs`?")
            && text.contains("(from --set fit.epocs=3)"),
        "{text}"
    );
    let text = error(&["train", "run.json", "--set", "fit.epochs.x=3"]);
    assert!(
        text.contains("--set fit.epochs.x=3: `fit.epochs` is a number, which has no key `x`"),
        "{text}"
    );
    let text = error(&["train", "run.json", "--set", "model.config.layers[9].config.units=3"]);
    assert!(text.contains("`model.config.layers` has 3 elements, there is no [9]"), "{text}");
    sconce(dir.path(), &["--help"]).ok();
    assert!(
        error(&[
            "predict",
            "m.keras",
            "--input",
            "x.npy",
            "--output",
            "y.npy",
            "--batch-size",
            "0"
        ])
        .contains("0")
    );
}

#[test]
#[cfg(not(feature = "metal"))]
fn a_device_that_was_not_built_in_is_refused() {
    let text =
        sconce(folder(&config()).path(), &["train", "run.json", "--device", "metal"]).fails(2);
    assert!(text.contains("built without `metal`"), "{text}");
}

#[test]
fn outputs_are_checked_before_training() {
    for (key, path) in [("model", "run.json/m.keras"), ("history", "run.json/h.json")] {
        let err = error(&with("/output", json!({key: path})), 1);
        assert!(
            err.contains(path) && err.contains("cannot be written") && !err.contains("Epoch"),
            "{err}"
        );
    }
    let config = with(
        "/callbacks",
        json!([{"class_name": "CSVLogger", "config": {"filename": "run.json/log.csv"}}]),
    );
    let err = error(&config, 1);
    assert!(err.contains("run.json/log.csv: cannot be written") && !err.contains("Epoch"), "{err}");
}

#[test]
fn bad_data_is_refused() {
    let csv = |text: &str| {
        let mut config = config();
        config["data"] = json!({"train": {"csv": "d.csv", "target": "y"}});
        let dir = folder(&config);
        std::fs::write(dir.path().join("d.csv"), text).unwrap();
        sconce(dir.path(), &["train", "run.json"]).fails(1)
    };
    let row = "1,2,3,4,0\n";
    let err = csv(&format!("a,b,c,d,y\n{row}1,NaN,3,4,1\n"));
    assert!(err.contains("d.csv: line 3, column `b`: `NaN` is not a finite number"), "{err}");
    let err = csv(&format!("a,b,c,d,y\n{row}{row}1,2,3,4,3\n"));
    assert!(err.contains("label 3") && err.contains("3 classes"), "{err}");
    let err = csv("a,b,c,y\n1,2,3,0\n");
    assert!(err.contains("[1, 3]") && err.contains("(None, 4)"), "{err}");
    let err = csv("a,b,c,d,y\n");
    assert!(err.contains("d.csv: has a header line and no rows"), "{err}");
}

#[test]
fn a_run_that_diverges_says_where() {
    let mut config = config();
    config["compile"]["optimizer"] =
        json!({"class_name": "SGD", "config": {"learning_rate": 1e30}});
    config["output"] = json!({"model": "m.keras"});
    let dir = folder(&config);
    std::fs::write(dir.path().join("m.keras"), "old").unwrap();
    let ran = sconce(dir.path(), &["train", "run.json"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("error: the loss is not finite at update "), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(dir.path().join("m.keras")).unwrap(), "old");
}

#[test]
fn everything_that_a_model_holds_and_cannot_be_used_is_listed() {
    let mut config = config();
    let layers = config["model"]["config"]["layers"].as_array_mut().unwrap();
    for (class, name) in [("Gates", "gates"), ("Memory", "memory")] {
        layers.insert(1, json!({"class_name": class, "config": {"name": name}}));
    }
    let error = error(&config, 2);
    for part in [
        "at `model`: the model holds 2 things that are not supported",
        "config.layers[1] (layer `memory`): the layer class `Memory` is not supported",
        "config.layers[2] (layer `gates`): the layer class `Gates` is not supported",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
