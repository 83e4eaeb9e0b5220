//! Outputs never replace inputs or each other.

use crate::{config, folder, sconce};
use sconce::data::{ToTensor, write_npy};
use serde_json::json;

#[test]
fn runs_whose_outputs_collide_are_refused() {
    let mut config = config();
    config["data"] = json!({"train": {"x": "x.npy", "y": "y.npy"}});
    config["output"] = json!({"model": "m.keras", "history": "h.json"});
    let dir = folder(&config);
    write_npy(dir.path().join("x.npy"), &vec![[0f32; 4]; 3].to_tensor().unwrap()).unwrap();
    write_npy(dir.path().join("y.npy"), &[0i64, 1, 2].to_tensor().unwrap()).unwrap();
    std::fs::create_dir(dir.path().join("runs")).unwrap();
    let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let before = (bytes("x.npy"), bytes("y.npy"), bytes("run.json"));
    for (set, at, other) in [
        ("output.history=y.npy", "output.history", "data that the run reads (`data.train`)"),
        ("output.history=./runs/../y.npy", "output.history", "data that the run reads"),
        ("output.history=run.json", "output.history", "this configuration"),
        ("output.history=m.keras", "output.history", "what `output.model` names"),
        (
            "callbacks=[{\"class_name\": \"CSVLogger\", \"config\": {\"filename\": \"h.json\"}}]",
            "callbacks[0].config.filename",
            "what `output.history` names",
        ),
        (
            "callbacks=[{\"class_name\": \"CSVLogger\", \"config\": {\"filename\": \"x.npy\"}}]",
            "callbacks[0].config.filename",
            "data that the run reads",
        ),
        (
            "callbacks=[{\"class_name\": \"ModelCheckpoint\", \"config\": {\"filepath\": \"m.keras\", \"monitor\": \"loss\"}}]",
            "callbacks[0].config.filepath",
            "what `output.model` names",
        ),
    ] {
        let error = sconce(dir.path(), &["train", "run.json", "--set", set]).fails(2);
        assert!(error.contains(&format!("at `{at}`: ")) && error.contains(other), "{set}: {error}");
        assert!(error.contains("choose another name"), "{error}");
    }
    assert_eq!(before, (bytes("x.npy"), bytes("y.npy"), bytes("run.json")));
    // A model may go on in its own file.
    sconce(dir.path(), &["train", "run.json", "--quiet"]).ok();
    let again = ["train", "run.json", "--quiet", "--set", "model=m.keras"];
    sconce(dir.path(), &again).ok();
    let null = ["--set", "output.model=null", "--set", "output.history=/dev/null"];
    sconce(dir.path(), &[&again[..], &null].concat()).ok();
}

#[test]
fn predictions_that_would_replace_something_are_refused() {
    let mut config = config();
    config["output"] = json!({"model": "m.keras"});
    let dir = folder(&config);
    sconce(dir.path(), &["train", "run.json", "--quiet"]).ok();
    write_npy(dir.path().join("x.npy"), &vec![[0f32; 4]; 3].to_tensor().unwrap()).unwrap();
    let before = std::fs::read(dir.path().join("x.npy")).unwrap();
    let predict = |args: &[&str]| {
        sconce(dir.path(), &[&["predict", "m.keras", "--input", "x.npy"], args].concat())
    };
    let error = predict(&["--output", "./x.npy"]).fails(2);
    assert!(error.contains("`./x.npy` is also an input; choose another name"), "{error}");
    let error = predict(&["--output", "a.npy", "--output", "a.npy"]).fails(2);
    assert!(error.contains("is also another output"), "{error}");
    let error = predict(&["--output", "-", "--json"]).fails(2);
    assert!(error.contains("only one output can go to stdout"), "{error}");
    let error = predict(&["--output", "a.txt"]).fails(2);
    assert!(error.contains("must be a .npy or .csv file, or -"), "{error}");
    assert_eq!(std::fs::read(dir.path().join("x.npy")).unwrap(), before);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("m.keras", dir.path().join("link.json")).unwrap();
        let error = sconce(dir.path(), &["convert", "m.keras", "link.json"]).fails(2);
        assert!(error.contains("OUT is the same file as IN"), "{error}");
    }
}
