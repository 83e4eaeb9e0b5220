//! What goes wrong around a run: disks, folders, callbacks, data, other runs. Nothing of it loses the run.
#![cfg(unix)]

use crate::{config, folder, sconce};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A run of six epochs of three batches with a checkpoint after each batch.
fn with_checkpoints() -> Value {
    let mut config = config();
    config["fit"]["epochs"] = json!(6);
    config["checkpoint"] = json!({"directory": "checkpoints", "every_steps": 1});
    config["output"] = json!({"model": "m.keras", "history": "h.json"});
    config
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"))
        .collect();
    found.sort();
    found
}

fn started(folder: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_sconce"))
        .current_dir(folder)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The loss of every epoch.
fn losses(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("h.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["history"]["loss"].clone()
}

/// What a run ends with that nothing happens to.
fn expected(config: &Value) -> Value {
    let dir = folder(config);
    sconce(dir.path(), &["train", "run.json", "--quiet"]).ok();
    losses(dir.path())
}

/// The command under the name of a user who is not the owner of everything, where the test is run by one
/// who is.
fn as_anyone(folder: &Path) -> Command {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let program = env!("CARGO_BIN_EXE_sconce");
    let mut command = if fs::metadata(folder).unwrap().uid() == 0 {
        // The folders that it was built in may be closed to others.
        let copy = folder.join("sconce");
        if !copy.exists() && fs::hard_link(program, &copy).is_err() {
            fs::copy(program, &copy).unwrap();
        }
        let mut command = Command::new(copy);
        command.uid(65534).gid(65534);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_folder_that_may_not_be_written_is_refused_before_training_and_told_of_within() {
    let mut config = with_checkpoints();
    config.as_object_mut().unwrap().remove("output");
    config["fit"]["epochs"] = json!(10_000_000);
    let dir = folder(&config);
    let kept = dir.path().join("checkpoints");
    fs::create_dir(&kept).unwrap();
    let mode = |mode| fs::set_permissions(&kept, Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let output = as_anyone(dir.path()).args(["train", "run.json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("cannot be written: "), "{}", err(&output));
    assert!(err(&output).contains("choose a folder that you may write to"), "{}", err(&output));
    assert!(!err(&output).contains("Epoch 1"), "{}", err(&output));

    // Within a run.
    mode(0o777);
    for (set, code) in [("continue", 143), ("stop", 1)] {
        let on_failure = format!("checkpoint.on_failure={set}");
        let run = ["train", "run.json", "--quiet", "--set", &on_failure];
        let child = as_anyone(dir.path()).args(run).spawn().unwrap();
        until("a checkpoint", || checkpoints(&kept).len() == 2);
        mode(0o555);
        if set == "continue" {
            std::thread::sleep(Duration::from_millis(300));
            signal(&child, "-TERM");
        }
        let output = child.wait_with_output().unwrap();
        mode(0o777);
        let err = err(&output);
        assert_eq!(output.status.code(), Some(code), "{set}: {err}");
        assert!(err.contains("choose a folder that you may write to"), "{err}");
        if set == "continue" {
            // It is told of once, and at the end.
            let warnings: Vec<&str> = err.lines().filter(|l| l.starts_with("warning: ")).collect();
            let [first, last] = warnings.as_slice() else { panic!("{err}") };
            assert!(first.contains("a checkpoint was not written, training goes on: "), "{err}");
            assert!(last.contains("checkpoints were not written"), "{err}");
        }
        // The old ones are there, and good.
        assert!(!checkpoints(&kept).is_empty());
        let mut child = as_anyone(dir.path());
        let child = child.args(["train", "run.json", "--quiet", "--resume"]).spawn().unwrap();
        let old = checkpoints(&kept);
        until("the run goes on", || checkpoints(&kept) != old);
        signal(&child, "-TERM");
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    }
}

/// A file that cannot grow is what a full disk looks like to the one who writes it.
#[test]
fn a_full_disk_fails_the_checkpoint_and_not_the_run() {
    let mut config = with_checkpoints();
    config["model"]["config"]["layers"][1]["config"]["units"] = json!(4000);
    config["output"] = json!({"history": "h.json"});
    let dir = folder(&config);
    let run = |set: &str| {
        let command = format!(
            "trap '' XFSZ; ulimit -f 64; exec {} train run.json --quiet --set {set}",
            env!("CARGO_BIN_EXE_sconce")
        );
        Command::new("sh").current_dir(dir.path()).args(["-c", &command]).output().unwrap()
    };
    let output = run("checkpoint.on_failure=continue");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let warning = "warning: a checkpoint was not written, training goes on: ";
    assert!(err(&output).contains(warning), "{}", err(&output));
    assert_eq!(losses(dir.path()), expected(&config));
    let output = run("checkpoint.on_failure=stop");
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let message = "step-000000001.safetensors: cannot be written";
    assert!(err(&output).contains(message), "{}", err(&output));
    let left = fs::read_dir(dir.path().join("checkpoints")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing half written stays");
}

/// A file system with room for one checkpoint and a half: the second is not written, the first stays, and
/// the run goes on from it. Where the system lets nobody mount one, the test before this is all there is.
#[cfg(target_os = "linux")]
#[test]
fn a_file_system_that_is_full_keeps_the_checkpoint_before() {
    let mut config = with_checkpoints();
    config["model"]["config"]["layers"][1]["config"]["units"] = json!(4000);
    config["checkpoint"]["every_steps"] = json!(5);
    let whole = folder(&config);
    sconce(whole.path(), &["train", "run.json", "--quiet"]).ok();
    let size = fs::metadata(&checkpoints(&whole.path().join("checkpoints"))[0]).unwrap().len();
    let dir = folder(&config);
    let script = format!(
        "mkdir checkpoints && mount -t tmpfs -o size={} tmpfs checkpoints || exit 77\n\
         {program} train run.json --quiet; code=$?\n\
         ls -A checkpoints; cp checkpoints/step-* . ; exit $code",
        size * 3 / 2,
        program = env!("CARGO_BIN_EXE_sconce"),
    );
    let output =
        Command::new("unshare").args(["-rm", "sh", "-c", &script]).current_dir(dir.path()).output();
    let Ok(output) = output else { return };
    let said = err(&output);
    let out = String::from_utf8(output.stdout).unwrap();
    if output.status.code() == Some(77) || said.contains("unshare") {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("free some space and save again (an older file is kept)"), "{said}");
    let left: Vec<&str> =
        out.lines().filter(|l| l.contains("step-") || l.contains("tmp")).collect();
    assert_eq!(left, ["step-000000005.safetensors"]);
    assert_eq!(losses(dir.path()), losses(whole.path()));
    // The run goes on from what was kept, where there is room again.
    let kept = dir.path().join("step-000000005.safetensors");
    fs::rename(kept, dir.path().join("checkpoints/step-000000005.safetensors")).unwrap();
    let ran = sconce(dir.path(), &["train", "run.json", "--resume"]).ok();
    assert!(ran.err.contains("step-000000005.safetensors, at batch 3 of epoch 2"), "{}", ran.err);
    assert_eq!(losses(dir.path()), losses(whole.path()));
}

/// The folder of a log vanishes and a file takes its place; the command that is named goes on.
#[test]
fn a_callback_that_fails_leaves_a_checkpoint_and_the_command_that_goes_on() {
    let mut config = with_checkpoints();
    config["fit"]["epochs"] = json!(400);
    config["checkpoint"]["every_steps"] = json!(3);
    let plain = expected(&config);
    config["callbacks"] = json!([
        {"class_name": "ModelCheckpoint", "config": {"filepath": "saved/{epoch}.keras", "max_to_keep": 1}},
    ]);
    let dir = folder(&config);
    fs::rename(dir.path().join("run.json"), dir.path().join("my run.json")).unwrap();
    let set = "compile.metrics=[\"accuracy\"]";
    let child = started(dir.path(), &["train", "my run.json", "--set", set, "--events", "e.jsonl"]);
    let saved = dir.path().join("saved");
    until("a model", || saved.exists());
    while fs::remove_dir_all(&saved).is_err() || fs::write(&saved, "").is_err() {}
    let output = child.wait_with_output().unwrap();
    let said = err(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: saved/"), "{said}");
    assert!(said.contains("The run failed after it had written checkpoints/step-"), "{said}");
    let command = said.lines().find_map(|line| line.strip_prefix("  sconce ")).unwrap();
    fs::remove_file(saved).unwrap();
    let command = format!("{} {command} --quiet", env!("CARGO_BIN_EXE_sconce"));
    let output =
        Command::new("sh").current_dir(dir.path()).args(["-c", &command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", err(&output));
    assert_eq!(losses(dir.path()), plain);
    let events = fs::read_to_string(dir.path().join("e.jsonl")).unwrap();
    assert!(events.contains(r#""event":"resumed""#) || events.matches("train_begin").count() == 2);
}

#[test]
fn two_runs_do_not_share_a_folder_of_checkpoints() {
    let mut config = with_checkpoints();
    config["fit"]["epochs"] = json!(10_000_000);
    let dir = folder(&config);
    let first = started(dir.path(), &["train", "run.json", "--quiet"]);
    until("a checkpoint", || !checkpoints(&dir.path().join("checkpoints")).is_empty());
    for resume in [&[][..], &["--resume"]] {
        let args = [&["train", "run.json", "--quiet"], resume].concat();
        let error = sconce(dir.path(), &args).fails(1);
        assert!(error.contains("another run is at work with the checkpoints"), "{error}");
    }
    // The first is none the worse for it, and its lock ends with it, however that ends.
    signal(&first, "-KILL");
    first.wait_with_output().unwrap();
    let rest = started(dir.path(), &["train", "run.json", "--resume"]);
    std::thread::sleep(Duration::from_millis(300));
    signal(&rest, "-INT");
    let output = rest.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", err(&output));
    assert!(err(&output).contains("the run goes on from checkpoints/step-"), "{}", err(&output));
}

/// Data that are gone or others, a folder that was moved, a run that is over.
#[test]
fn what_a_run_finds_changed_when_it_goes_on_is_said() {
    let mut config = with_checkpoints();
    let csv = |seed: usize| -> String {
        let row = |i: usize| format!("{},{},{}\n", i % 7, (i * seed) % 5, i % 3);
        std::iter::once("a,b,y\n".to_string()).chain((0..40).map(row)).collect()
    };
    config["model"]["config"]["layers"][0]["config"]["batch_shape"] = json!([null, 2]);
    config["data"] = json!({"train": {"csv": "d.csv", "target": "y"}});
    let dir = folder(&config);
    fs::write(dir.path().join("d.csv"), csv(3)).unwrap();
    let train = |args: &[&str]| sconce(dir.path(), &[&["train", "run.json"], args].concat());
    let ran = train(&["--resume"]).ok();
    assert!(ran.err.contains("there is no checkpoint in checkpoints yet; the run starts"));
    let whole = losses(dir.path());
    // Over: nothing is trained, and the same is left.
    let ran = train(&["--resume"]).ok();
    assert!(ran.err.contains("is of the end of this run, nothing is left to do"), "{}", ran.err);
    assert!(!ran.err.contains("Epoch 6"), "{}", ran.err);
    assert_eq!(losses(dir.path()), whole);
    // Other data, and none.
    fs::write(dir.path().join("d.csv"), csv(2)).unwrap();
    let error = train(&["--resume", "--quiet"]).fails(2);
    assert!(error.contains("the data has changed"), "{error}");
    fs::remove_file(dir.path().join("d.csv")).unwrap();
    let error = train(&["--resume", "--quiet"]).fails(1);
    assert!(error.contains("d.csv"), "{error}");
    fs::write(dir.path().join("d.csv"), csv(3)).unwrap();
    // Moved, with more epochs.
    let moved = dir.path().join("moved");
    fs::create_dir(&moved).unwrap();
    for name in ["run.json", "d.csv", "checkpoints", "m.keras", "h.json"] {
        fs::rename(dir.path().join(name), moved.join(name)).unwrap();
    }
    let ran = sconce(&moved, &["train", "run.json", "--resume", "--set", "fit.epochs=8"]).ok();
    assert!(ran.err.contains("at batch 1 of epoch 7"), "{}", ran.err);
    let more = losses(&moved);
    assert_eq!(more.as_array().unwrap()[..6], whole.as_array().unwrap()[..]);
    let error = sconce(&moved, &["train", "run.json", "--resume", "--quiet"]).fails(1);
    assert!(error.contains("it is after epoch 8, the run is to end after epoch 6"), "{error}");
}

/// Keras's callback has the place of the checkpoints beside the model, and goes on without being asked.
#[test]
fn backup_and_restore_of_a_configuration_is_what_the_run_goes_on_from() {
    let mut config = with_checkpoints();
    let plain = expected(&config);
    let checkpoint = config.as_object_mut().unwrap().remove("checkpoint");
    let backup =
        json!({"class_name": "BackupAndRestore", "config": {"backup_dir": "b", "save_freq": 1}});
    config["callbacks"] = json!([backup]);
    config["fit"]["epochs"] = json!(10_000_000);
    let dir = folder(&config);
    let child = started(dir.path(), &["train", "run.json", "--quiet"]);
    until("a backup", || !checkpoints(&dir.path().join("b")).is_empty());
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert!(err(&output).contains("a checkpoint is in b/step-"), "{}", err(&output));
    assert!(!dir.path().join("m-checkpoints").exists());
    let done = losses(dir.path()).as_array().unwrap().len();
    let epochs = format!("fit.epochs={}", done.max(5) + 1);
    let ran = sconce(dir.path(), &["train", "run.json", "--set", &epochs]).ok();
    assert!(ran.err.contains("the run goes on from b/step-"), "{}", ran.err);
    assert_eq!(losses(dir.path()).as_array().unwrap()[..6], plain.as_array().unwrap()[..]);
    assert!(checkpoints(&dir.path().join("b")).is_empty(), "the run has ended by itself");
    config["checkpoint"] = checkpoint.unwrap();
    let error = sconce(folder(&config).path(), &["train", "run.json", "--quiet"]).fails(2);
    assert!(
        error.contains("at `callbacks[0]`: a run writes its checkpoints to one folder"),
        "{error}"
    );
}

#[test]
fn settings_of_checkpoints_that_cannot_be_are_refused() {
    for (checkpoint, place, advice) in [
        (json!({"directory": ""}), "checkpoint.directory", "must be the name of a folder"),
        (json!({"directory": "c", "keep": 0}), "checkpoint.keep", "at least 1"),
        (json!({"directory": "c", "every_steps": 0}), "checkpoint.every_steps", "at least 1"),
        (json!({"directory": "c", "every_seconds": -1}), "checkpoint.every_seconds", "at least 0"),
        (json!({"directory": "c", "every_step": 1}), "checkpoint.every_step", "`every_steps`"),
        (json!({"directory": "c", "on_failure": "go"}), "checkpoint.on_failure", "continue"),
        (json!({"every_steps": 1}), "checkpoint", "directory"),
        (json!(true), "checkpoint", "or false"),
        (json!(["c"]), "checkpoint", "an object such as"),
    ] {
        let mut config = config();
        config["checkpoint"] = checkpoint;
        let dir = folder(&config);
        let error = sconce(dir.path(), &["train", "run.json", "--quiet"]).fails(2);
        assert!(error.contains(&format!("at `{place}`")) && error.contains(advice), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left");
    }
    let mut config = config();
    config["checkpoint"] = json!({"directory": "run.json"});
    let error = sconce(folder(&config).path(), &["train", "run.json", "--quiet"]).fails(1);
    assert!(error.contains("run.json: is a file; checkpoints need a folder"), "{error}");
}
