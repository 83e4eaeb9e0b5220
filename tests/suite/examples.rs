//! The examples that no other test uses, run.

#[path = "../../examples/custom_step.rs"]
mod custom_step;
#[path = "../../examples/own_objects.rs"]
mod own_objects;

use sconce::prelude::*;

#[test]
fn objects_of_one_s_own_go_through_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.keras");
    let (before, after) = own_objects::save_and_load(&path).unwrap();
    assert_eq!(before, after);
    assert_eq!(before.names(), ["loss", "near", "mae"]);
    assert!(before.get("near").unwrap() > 0.5, "{before}");
    let error = Model::load(&path).unwrap_err().to_string();
    for name in ["example>ScaledTanh", "example>PowerError", "example>Near"] {
        assert!(error.contains(name), "{name} is not in: {error}");
    }
    assert!(error.contains("register it under this name in `CustomObjects`"), "{error}");
}

#[test]
fn a_training_step_of_one_s_own_runs_inside_fit() {
    let (history, distance) = custom_step::train().unwrap();
    assert_eq!(history.get("d_loss").len(), 30);
    assert_eq!(history.history.keys().collect::<Vec<_>>(), ["d_loss", "g_loss"]);
    assert!(history.get("g_loss").iter().all(|loss| loss.is_finite()));
    // Points of a circle of radius 1; an untrained generator stays near the centre.
    assert!((0.5..1.5).contains(&distance), "{distance}");
}
