//! A disk that fills up while a model is saved: the old file stays, the new one leaves nothing.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

use sconce_saving::{Array, Element, KerasArchive, NamedTensors, SafetensorsFile};
use std::path::Path;
use std::process::Command;

fn weights() -> NamedTensors {
    let mut weights = NamedTensors::new();
    let array = Array::new(Element::Float32, &[1000, 1000], vec![0; 4_000_000]).unwrap();
    weights.insert("layers/dense/vars/0", array).unwrap();
    weights
}

/// What the process under the limit does: only when the other test starts it.
#[test]
fn save_under_a_limit() {
    let Ok(folder) = std::env::var("SCONCE_TEST_FOLDER") else { return };
    let folder = Path::new(&folder);
    let archive = KerasArchive::new(serde_json::json!({}), weights());
    let results = [
        archive.write(folder.join("model.keras")),
        weights().write_h5(folder.join("model.weights.h5")),
        SafetensorsFile::new(weights()).write(folder.join("model.safetensors")),
    ];
    for (result, name) in results.into_iter().zip(["model.keras", "weights.h5", "safetensors"]) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("cannot be written"), "{error}");
    }
}

#[test]
fn the_old_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["model.keras", "model.safetensors", "model.weights.h5"];
    for name in names {
        std::fs::write(dir.path().join(name), "old").unwrap();
    }
    // A limit on the size of files makes the system's write fail as a full disk does. Without the
    // trap the limit would kill the process.
    let script = r#"trap "" XFSZ; ulimit -f 1024; exec "$0" --exact save_under_a_limit"#;
    let mut child = Command::new("sh");
    child.args(["-c", script]).arg(std::env::current_exe().unwrap());
    let output = child.env("SCONCE_TEST_FOLDER", dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    // The zip writer would complain on its own.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    let mut found: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, names);
    for name in names {
        assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"old");
    }
}
