//! Checkpoints that are damaged, cannot be written, or are another run's.

use super::super::OnFailure;
use super::*;
use crate::listening::listened;

/// Of a checkpoint that is damaged anywhere the one before it is used.
#[test]
fn a_damaged_newest_checkpoint_is_passed_over() {
    let mut whole = model(sgd());
    let expected = train(&mut whole, fit()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = || Checkpoint::new(dir.path()).every_steps(3);
    let lost = fit().checkpoint(checkpoint()).callback(failing(10));
    train(&mut model(sgd()), lost).unwrap_err();
    let kept = file::list(dir.path()).unwrap();
    let [newest, before] = kept.as_slice() else { panic!("{kept:?}") };
    let (good, older) = (std::fs::read(newest).unwrap(), std::fs::read(before).unwrap());
    let length = good.len();
    let mut damaged: Vec<Vec<u8>> =
        [0, 1, 7, 8, 9, length / 3, length / 2, length - 1].map(|to| good[..to].to_vec()).to_vec();
    for at in (0..length).step_by(length / 40).chain([length - 1]) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        damaged.push(bytes);
    }
    damaged.push([good.as_slice(), &[0]].concat());
    for bytes in damaged {
        std::fs::write(newest, bytes).unwrap();
        let mut warned = Vec::new();
        let found = file::newest(dir.path(), |line| warned.push(line)).unwrap();
        assert_eq!(found.unwrap().0, *before);
        assert!(warned.len() == 1 && warned[0].contains("step-000000009"), "{warned:?}");
        assert!(dir.path().join("step-000000009.safetensors.damaged").exists());
    }
    let mut rest = model(sgd());
    let history = train(&mut rest, fit().checkpoint(checkpoint()).resume(true)).unwrap();
    assert_eq!((text(&history), weights(&rest)), (text(&expected), weights(&whole)));
    // If none is whole, that is an error: to start over would lose the run.
    for path in file::list(dir.path()).unwrap() {
        std::fs::write(path, &older[..older.len() - 1]).unwrap();
    }
    let fit = fit().checkpoint(checkpoint()).resume(true);
    let error = train(&mut model(sgd()), fit).unwrap_err().to_string();
    assert!(error.contains("no checkpoint in this folder can be used"), "{error}");
}

/// A run that starts over leaves the checkpoints of the one before it where nothing takes them for its
/// own.
#[test]
fn a_new_run_moves_the_old_checkpoints_aside() {
    let dir = tempfile::tempdir().unwrap();
    let lost = |at, resume| {
        let checkpoint = Checkpoint::new(dir.path()).every_steps(1).keep(3);
        let fit = fit().checkpoint(checkpoint).resume(resume).callback(failing(at));
        train(&mut model(sgd()), fit).unwrap_err();
    };
    let steps = |folder: &Path| -> Vec<String> {
        let name = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().into();
        file::list(folder).unwrap().iter().map(name).collect()
    };
    lost(9, false);
    std::fs::write(dir.path().join(".sconce-1-0.tmp"), b"half of one").unwrap();
    lost(2, false);
    assert_eq!(steps(dir.path()), ["step-000000002", "step-000000001"]);
    let previous = dir.path().join("previous");
    assert_eq!(steps(&previous), ["step-000000009", "step-000000008", "step-000000007"]);
    assert!(!dir.path().join(".sconce-1-0.tmp").exists());
}

/// A folder that cannot be written is an error before the first step; one that becomes so while the run
/// is on, a warning or an error, as configured.
#[test]
fn a_checkpoint_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    let inside = Checkpoint::new(dir.path().join("file/c"));
    let error = train(&mut model(sgd()), fit().checkpoint(inside)).unwrap_err().to_string();
    assert!(error.contains("cannot be written"), "{error}");

    // Files in the way of the second one's name, which no user, root neither, can write over.
    let blocked = |on_failure| {
        let folder = dir.path().join("c");
        let _ = std::fs::remove_dir_all(&folder);
        let name = file::path_of(&folder, 10);
        let checkpoint = Checkpoint::new(&folder).every_steps(5).on_failure(on_failure);
        let block = LambdaCallback::new().on_train_begin(move |_| {
            std::fs::create_dir_all(&name).unwrap();
            Ok(Flow::Continue)
        });
        let mut model = model(sgd());
        let run = train(&mut model, fit().checkpoint(checkpoint).callback(block));
        (run, weights(&model), folder)
    };
    let (run, bits, _) = blocked(OnFailure::Continue);
    let mut whole = model(sgd());
    let expected = train(&mut whole, fit()).unwrap();
    assert_eq!((text(&run.unwrap()), bits), (text(&expected), weights(&whole)));
    let (run, _, folder) = blocked(OnFailure::Stop);
    let error = run.unwrap_err().to_string();
    assert!(error.contains("step-000000010"), "{error}");
    assert!(file::CheckpointFile::read(&file::path_of(&folder, 5)).is_ok());
}

/// A model of two weights with an optimizer and a callback that have states; one checkpoint.
fn small_checkpoint(folder: &Path) -> std::path::PathBuf {
    let mut model = Sequential::new().add(Dense::new(1).input_shape([1]));
    model.compile(SGD::new(0.1).momentum(0.9), "mse").unwrap();
    let x = Tensor::new(&[[1f32], [2.0]], &Device::Cpu).unwrap();
    let stopping = EarlyStopping::new("loss").restore_best_weights(true);
    let fit = Fit::new(1, 1).verbose(Verbose::Silent).callback(stopping);
    model.fit_with(&x, &x, fit.checkpoint(Checkpoint::new(folder))).unwrap();
    file::list(folder).unwrap().remove(0)
}

/// All that a checkpoint says.
fn content(path: &Path) -> Result<String> {
    let read = file::CheckpointFile::read(path)?;
    let state = serde_json::to_string(&read.state).unwrap();
    let array = |(name, array): (&str, &sconce_saving::Array)| {
        format!("{name} {} {:?} {:?}", array.element(), array.shape(), array.bytes())
    };
    let mut arrays: Vec<String> = read.tensors.iter().map(array).collect();
    arrays.sort();
    Ok(format!("{state} {arrays:?}"))
}

/// A change of any byte, and an end at any byte, is noticed, or changes nothing of what is read: the
/// length and the text of the header, the state in it, the arrays.
#[test]
fn every_byte_of_a_checkpoint_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_checkpoint(dir.path());
    let good = std::fs::read(&path).unwrap();
    let expected = content(&path).unwrap();
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    assert!(header > 1000 && good.len() > header + 24, "{header} of {}", good.len());
    let mut unnoticed = Vec::new();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).unwrap();
        match content(&path) {
            Ok(found) => {
                assert_eq!(found, expected, "byte {at}");
                unnoticed.push(at);
            }
            Err(error) => assert!(error.to_string().contains("step-000000002"), "{error}"),
        }
        std::fs::write(&path, &good[..at]).unwrap();
        content(&path).unwrap_err();
    }
    // Such as a space between two words of JSON.
    assert!(unnoticed.len() < 16 && unnoticed.iter().all(|at| *at < header), "{unnoticed:?}");
}

/// What this version cannot read is not damaged: nothing goes on from the one before it, which would in
/// time be the end of the newer one.
#[test]
fn checkpoints_of_another_format_are_left_alone() {
    use sconce_saving::SafetensorsFile;
    let dir = tempfile::tempdir().unwrap();
    let path = small_checkpoint(dir.path());
    let newer = file::path_of(dir.path(), 3);
    let mut other = SafetensorsFile::read(&path).unwrap();
    other.metadata.insert("version".into(), "2".into());
    other.metadata.insert("sha256".into(), file::checksum(&other.metadata, &other.tensors));
    other.write(&newer).unwrap();
    let error = file::newest(dir.path(), |line| panic!("{line}")).err().unwrap().to_string();
    assert!(
        error.contains("is of version 2 of the format, this Sconce reads version 1"),
        "{error}"
    );
    assert!(newer.exists());
}

/// Two runs in one folder would remove each other's checkpoints.
#[test]
fn a_folder_belongs_to_one_run_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("runs/c");
    let second = folder.clone();
    let meanwhile = LambdaCallback::new().on_train_batch_begin(move |batch, _| {
        if batch == 2 {
            let fit = fit().checkpoint(Checkpoint::new(&second)).resume(true);
            let error = train(&mut model(sgd()), fit).unwrap_err().to_string();
            assert!(error.contains("another run is at work with the checkpoints in this folder"));
        }
        Ok(Flow::Continue)
    });
    let checkpoint = || Checkpoint::new(&folder);
    train(&mut model(sgd()), fit().checkpoint(checkpoint()).callback(meanwhile)).unwrap();
    train(&mut model(sgd()), fit().checkpoint(checkpoint()).resume(true)).unwrap();
    // A run that writes none leaves no folders.
    std::fs::remove_dir_all(dir.path().join("runs")).unwrap();
    let lost = fit().checkpoint(checkpoint()).callback(failing(0));
    train(&mut model(sgd()), lost).unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"mine").unwrap();
    for (folder, expected) in [
        (file.clone(), "is a file; checkpoints need a folder of their own"),
        (file.join("c"), "cannot be written"),
        ("".into(), "at `checkpoint.directory`: must be the name of a folder"),
    ] {
        for resume in [false, true] {
            let fit = fit().checkpoint(Checkpoint::new(&folder)).resume(resume);
            let error = train(&mut model(sgd()), fit).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
    assert_eq!(std::fs::read(file).unwrap(), b"mine");
}

/// The pipe in the place of the second checkpoint takes no byte until somebody reads it. Training goes on
/// meanwhile, and `fit`, which has failed by then, does not return before its writer has ended.
#[cfg(unix)]
#[test]
fn the_thread_that_writes_holds_up_no_step_and_ends_with_the_run() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};
    let dir = tempfile::tempdir().unwrap();
    let pipe = file::path_of(dir.path(), 8);
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = steps.clone();
    let count = LambdaCallback::new().on_train_batch_end(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Flow::Continue)
    });
    let checkpoint = Checkpoint::new(dir.path()).every_steps(4);
    let fit = fit().checkpoint(checkpoint).callback(count).callback(failing(11));
    let run = std::thread::spawn(move || train(&mut model(sgd()), fit).unwrap_err().to_string());
    let start = Instant::now();
    while steps.load(Ordering::SeqCst) < 11 {
        assert!(start.elapsed() < Duration::from_secs(60), "the writer holds up the run");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(200));
    assert!(!run.is_finished(), "the writer is still at work");
    let written = std::fs::read(&pipe).unwrap();
    assert_eq!(run.join().unwrap(), "lost power");
    assert!(written.len() > 1000);
    std::fs::remove_file(&pipe).unwrap();
    std::fs::write(&pipe, written).unwrap();
    assert_eq!(file::CheckpointFile::read(&pipe).unwrap().state.steps, 8);
}

/// The digits of another version may differ; who goes on is told.
#[test]
fn a_checkpoint_of_another_version_is_gone_on_with_and_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = || Checkpoint::new(dir.path()).every_steps(5);
    train(&mut model(sgd()), fit().checkpoint(checkpoint()).callback(failing(7))).unwrap_err();
    let path = file::path_of(dir.path(), 5);
    let mut changed = file::CheckpointFile::read(&path).unwrap();
    changed.state.run["version"] = "0.0.1".into();
    changed.write(dir.path()).unwrap();
    let told = listened(|| {
        let fit = fit().checkpoint(checkpoint()).resume(true);
        train(&mut model(sgd()), fit).unwrap();
    });
    let told: Vec<&String> = told.iter().filter(|line| line.contains("step-")).collect();
    let [warning, note] = told.as_slice() else { panic!("{told:?}") };
    assert!(warning.contains("was made by version 0.0.1 of Sconce on cpu, and this is version "));
    assert!(note.contains("step-000000005.safetensors, at batch 6 of epoch 1"), "{note}");
}
