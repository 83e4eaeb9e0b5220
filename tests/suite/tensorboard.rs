//! What TensorBoard reads of a run.

use sconce::prelude::*;
use sconce::train::callbacks::{TensorBoard, UpdateFreq};
use std::path::Path;

/// A run of two epochs of three batches, with validation.
fn logs(folder: &Path) -> sconce::train::History {
    let x = Tensor::arange(0f32, 12.0, &Device::Cpu).unwrap().reshape((12, 1)).unwrap();
    let mut model = Sequential::new().add(Dense::new(2)).add(Dense::new(1));
    model.compile_with(Compile::new(SGD::new(0.001), "mse").metrics(["mae"])).unwrap();
    let board =
        TensorBoard::new().log_dir(folder).histogram_freq(1).update_freq(UpdateFreq::Batches(2));
    let fit = Fit::new(2, 4).validation_data(&x, &x).verbose(Verbose::Silent).callback(board);
    model.fit_with(&x, &x, fit).unwrap()
}

#[test]
fn a_run_leaves_an_event_file_of_training_and_one_of_validation() {
    let dir = tempfile::tempdir().unwrap();
    logs(dir.path());
    for (run, tags) in [
        (
            "train",
            &["epoch_loss", "batch_mae", "epoch_learning_rate", "dense/kernel/histogram"][..],
        ),
        ("validation", &["epoch_mae", "evaluation_loss_vs_iterations"]),
    ] {
        let files: Vec<_> = std::fs::read_dir(dir.path().join(run)).unwrap().collect();
        let [Ok(file)] = files.as_slice() else { panic!("{files:?}") };
        assert!(file.file_name().to_str().unwrap().starts_with("events.out.tfevents."));
        let bytes = std::fs::read(file.path()).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(holds("brain.Event:2"));
        assert!(tags.iter().all(|tag| holds(tag)), "{run}");
    }
}

/// Prints every scalar, and what there is of the rest.
const READ: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
runs = {}
for run in ("train", "validation"):
    events = EventAccumulator(f"{sys.argv[1]}/{run}", size_guidance={"tensors": 0})
    events.Reload()
    tags = {}
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        values = [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
        text = lambda v: v.item().decode() if v.dtype == object else v.tolist()
        tags[tag] = {"plugin": plugin, "values": [[step, text(v)] for step, v in values]}
    runs[run] = tags
from google.protobuf import json_format
from tensorboard.plugins.hparams import metadata
session = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0})
session.Reload()
content = session.PluginTagToContent("hparams")
start = metadata.parse_session_start_info_plugin_data(content["_hparams_/session_start_info"])
end = metadata.parse_session_end_info_plugin_data(content["_hparams_/session_end_info"])
runs["hparams"] = {k: json_format.MessageToDict(v) for k, v in start.hparams.items()}
runs["status"] = end.status
print(json.dumps(runs))
"#;

/// With `SCONCE_PYTHON`, if that Python has the package.
#[test]
fn the_tensorboard_package_reads_the_values() {
    let Some(python) = std::env::var_os("SCONCE_PYTHON") else { return };
    let has = std::process::Command::new(&python).args(["-c", "import tensorboard"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let history = logs(dir.path());
    let output =
        std::process::Command::new(&python).args(["-c", READ]).arg(dir.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let runs: serde_json::Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    for (run, prefix) in [("train", ""), ("validation", "val_")] {
        for name in ["loss", "mae"] {
            let read = &runs[run][format!("epoch_{name}")];
            assert_eq!(read["plugin"], "scalars");
            let ours = history.get(&format!("{prefix}{name}"));
            for (epoch, value) in ours.iter().enumerate() {
                assert_eq!(read["values"][epoch][0], epoch);
                let read = read["values"][epoch][1].as_f64().unwrap();
                assert_eq!(read, f64::from(*value as f32), "{run} {name}");
            }
        }
    }
    let hyperparameters = &runs["hparams"];
    assert_eq!(hyperparameters["optimizer"], "SGD");
    assert_eq!(hyperparameters["learning_rate"].as_f64().unwrap() as f32, 0.001);
    assert_eq!(
        (&hyperparameters["nesterov"], &hyperparameters["epochs"]),
        (&false.into(), &2.0.into())
    );
    assert_eq!(hyperparameters["loss"], "mse");
    assert_eq!(runs["status"], 1, "STATUS_SUCCESS");
    let train = &runs["train"];
    assert_eq!(train["epoch_learning_rate"]["values"][1][1].as_f64().unwrap() as f32, 0.001);
    let steps = train["batch_loss"]["values"].as_array().unwrap().iter().map(|value| &value[0]);
    assert_eq!(steps.collect::<Vec<_>>(), [2, 4, 6]);
    let iterations = &runs["validation"]["evaluation_loss_vs_iterations"]["values"];
    assert_eq!((&iterations[0][0], &iterations[1][0]), (&3.into(), &6.into()));
    let histogram = &train["dense/kernel/histogram"];
    assert_eq!(histogram["plugin"], "histograms");
    let buckets = histogram["values"][1][1].as_array().unwrap();
    assert_eq!(buckets.iter().map(|bucket| bucket[2].as_f64().unwrap()).sum::<f64>(), 2.0);
    assert_eq!(train["keras"]["plugin"], "graph_keras_model");
    let model: serde_json::Value =
        serde_json::from_str(train["keras"]["values"][0][1].as_str().unwrap()).unwrap();
    assert_eq!(model["class_name"], "Sequential");
    assert_eq!(train["compile"]["plugin"], "text");
}
