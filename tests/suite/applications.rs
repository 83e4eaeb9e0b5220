//! Models of `keras.applications`, written by Keras with random weights. One by default;
//! `SCONCE_APPLICATIONS=all` (or names with commas between them) takes minutes and gigabytes.

use sconce::prelude::*;
use sconce_testkit::{assert_close, golden};
use std::process::Command;

#[test]
fn keras_applications_predict_the_same() {
    let Some(python) = sconce_testkit::python() else { return };
    let chosen = std::env::var("SCONCE_APPLICATIONS").unwrap_or("MobileNetV2".into());
    let chosen = if chosen == "all" { all(python) } else { chosen };
    for name in chosen.split(',') {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python);
        command.arg(golden::path("applications.py")).arg(folder.path()).arg(name);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let read = |role: &str| {
            sconce::data::read_npy(folder.path().join(format!("{name}.{role}.npy"))).unwrap()
        };
        let model = Model::load(folder.path().join(format!("{name}.keras"))).unwrap();
        let (y, keras) = (model.predict(&read("x")).unwrap(), read("y"));
        let largest: f32 = keras.abs().unwrap().max_all().unwrap().to_scalar().unwrap();
        let scaled = |y: &Tensor| (y / f64::from(largest)).unwrap();
        assert_close(name, &scaled(&y), &scaled(&keras), 1e-4);
        println!("{name}: the largest of {} logits is {largest}", keras.elem_count());
    }
}

fn all(python: &str) -> String {
    let list = "import sys; sys.path.insert(0, sys.argv[1]); import applications as a; print(','.join(a.names()))";
    let output = Command::new(python).args(["-c", list]).arg(golden::path("")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}
