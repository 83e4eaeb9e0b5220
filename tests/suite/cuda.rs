//! The first GPU beside the CPU: `cargo test --workspace --features cuda`, which also runs the tests of
//! golden files, of operations and of checkpoints on both.

use crate::layer_cases::{self, cases};
use sconce::core::device;
use sconce::prelude::*;
use sconce::train::run_config::{OutputSection, RunConfig};
use sconce_testkit::difference;

fn devices() -> [Device; 2] {
    [Device::Cpu, device::parse("cuda").unwrap()]
}

fn weights(model: &Model) -> Vec<Tensor> {
    model.network().unwrap().get_weights().unwrap()
}

/// Every row of the table of layers: predictions and weights after a step, from the same first weights
/// and random numbers.
#[test]
fn every_layer_trains_as_on_the_cpu() {
    let mut wrong = Vec::new();
    for case in cases() {
        let x = layer_cases::samples(&case, DType::F32);
        let run = |device: &Device| -> Result<Vec<Tensor>> {
            let mut model = layer_cases::model(&case);
            model.set_device(device);
            model.compile(SGD::new(0.1), "mse")?;
            let mut results = model.predict_all(&x, 2)?;
            let y = Tensor::ones((3, 2), DType::F32, &Device::Cpu)?;
            model.train_on_batch(&x, &y)?;
            results.extend(weights(&model));
            Ok(results)
        };
        let about = format!("{} {}", case.class_name, case.config);
        match devices().map(|device| run(&device)) {
            [Ok(cpu), Ok(cuda)] => {
                assert_eq!(cpu.len(), cuda.len(), "{about}");
                let pairs = cuda.iter().zip(&cpu);
                let differences = pairs.filter_map(|(cuda, cpu)| difference(cuda, cpu, 1e-5));
                wrong.extend(differences.map(|difference| format!("{about}: {difference}")));
            }
            [cpu, cuda] => wrong.extend(
                [cpu.err(), cuda.err()].into_iter().flatten().map(|e| format!("{about}: {e}")),
            ),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The configurations of `configs/`, for their first epochs: the sums of a GPU are rounded otherwise,
/// and the runs drift apart.
#[test]
fn configurations_train_as_on_the_cpu() {
    let mut wrong = Vec::new();
    let files = std::fs::read_dir("configs").unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "json")) {
        let mut config = RunConfig::from_file(&file).unwrap();
        config.fit.epochs = 3;
        config.output = OutputSection::default();
        let [cpu, cuda] = devices().map(|device| {
            config.prepare(&device).unwrap().train_quietly().map(|outcome| outcome.history)
        });
        let (cpu, cuda) = (cpu.unwrap(), cuda.unwrap());
        for name in cpu.history.keys().filter(|name| name.ends_with("loss")) {
            for (epoch, (cpu, cuda)) in cpu.get(name).iter().zip(cuda.get(name)).enumerate() {
                // Not a number is not near, too.
                let near = (cuda - cpu).abs() <= 1e-3 * cpu.abs();
                if !near {
                    let file = file.display();
                    wrong.push(format!("{file}: {name}[{epoch}] is {cuda}, on the CPU {cpu}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A run has the same bits again; what it saved predicts on either device, and trains on.
#[test]
fn runs_repeat_and_files_go_between_devices() {
    let [cpu, cuda] = devices();
    let mut config = RunConfig::from_file("configs/digits_cnn.json").unwrap();
    config.fit.epochs = 1;
    config.output = OutputSection::default();
    let train = || {
        let mut run = config.prepare(&cuda).unwrap();
        run.train_quietly().unwrap();
        run.model
    };
    let bits = |model: &Model| -> Vec<Vec<f32>> {
        let values = |w: &Tensor| w.flatten_all().unwrap().to_vec1().unwrap();
        weights(model).iter().map(values).collect()
    };
    let model = train();
    assert_eq!(bits(&model), bits(&train()));

    let x = sconce::ops::gradient_check::sample("x", &[5, 64]).unwrap();
    let x = (x.abs().unwrap() * 8.0).unwrap().to_dtype(DType::F32).unwrap();
    let expected = model.predict(&x).unwrap();
    // Inputs may be on the GPU already.
    let there = model.predict(&x.to_device(&cuda).unwrap()).unwrap();
    assert_eq!(difference(&there, &expected, 0.0), None);
    let folder = tempfile::tempdir().unwrap();
    for ending in ["keras", "safetensors"] {
        let path = folder.path().join(format!("model.{ending}"));
        match ending {
            "keras" => model.save(&path).unwrap(),
            _ => model.save_weights(&path).unwrap(),
        }
        for (device, tolerance) in [(&cpu, 1e-5), (&cuda, 0.0)] {
            let mut loaded = Model::load_with(&path, LoadOptions::new().device(device)).unwrap();
            let y = loaded.predict(&x).unwrap();
            assert_eq!(difference(&y, &expected, tolerance), None, "{ending}, {device:?}");
            if ending == "keras" {
                let y = Tensor::new(&[0i64, 1, 2, 3, 4], &cpu).unwrap();
                assert!(loaded.train_on_batch(&x, &y).unwrap().get("loss").unwrap().is_finite());
            }
        }
    }
}
