//! Every row of the table of layers, every way: a row without a case, or without Keras's numbers,
//! fails.

use sconce::core::{DTypePolicy, FirstValues, Kind, Store, Var};
use sconce::layers::{BuildOptions, Layers, Options, Scope};
use sconce::prelude::*;
use sconce_testkit::golden;
use serde_json::{Value as Json, json};

/// A configuration of a layer, what goes in, and the weights it must declare.
pub struct LayerCase {
    class_name: &'static str,
    config: Json,
    /// Shape of one sample.
    sample: &'static [usize],
    /// Names and shapes of the weights, in Keras's order.
    weights: &'static [(&'static str, &'static [usize])],
}

pub fn case(
    class_name: &'static str,
    config: Json,
    sample: &'static [usize],
    weights: &'static [(&'static str, &'static [usize])],
) -> LayerCase {
    LayerCase { class_name, config, sample, weights }
}

pub fn cases() -> Vec<LayerCase> {
    let mut cases = vec![
        case("InputLayer", json!({"batch_shape": [null, 3]}), &[3], &[]),
        case("Activation", json!({"activation": "tanh"}), &[2, 3], &[]),
        case("Dense", json!({"units": 4}), &[3], &[("kernel", &[3, 4]), ("bias", &[4])]),
        case(
            "Dense",
            json!({"units": 2, "activation": "sigmoid", "use_bias": false}),
            &[2, 3],
            &[("kernel", &[3, 2])],
        ),
        case("Dropout", json!({"rate": 0.4}), &[5], &[]),
        case("Flatten", json!({}), &[2, 3], &[]),
        case("Flatten", json!({"data_format": "channels_first"}), &[2, 3, 2], &[]),
        case("Identity", json!({}), &[2, 2], &[]),
        case(
            "Normalization",
            json!({"axis": [1, -1]}),
            &[2, 3],
            &[("mean", &[2, 3]), ("variance", &[2, 3]), ("count", &[])],
        ),
        case("Normalization", json!({"mean": [1.0, 2.0], "variance": [3.0, 4.0]}), &[2], &[]),
        case("Rescaling", json!({"scale": 0.5, "offset": [1.0, 2.0, 3.0]}), &[3], &[]),
        case("Reshape", json!({"target_shape": [3, -1]}), &[2, 3], &[]),
    ];
    cases.extend(crate::image_cases::cases());
    cases
}

/// The layer as the model's JSON holds it.
pub fn document(case: &LayerCase) -> Json {
    json!({"class_name": case.class_name, "config": case.config})
}

fn samples(case: &LayerCase, dtype: DType) -> Tensor {
    let dims: Vec<usize> = [3].into_iter().chain(case.sample.iter().copied()).collect();
    sconce::ops::gradient_check::sample("x", &dims).unwrap().to_dtype(dtype).unwrap()
}

/// A model of the layer between dense layers, so that everything can be trained.
fn model(case: &LayerCase) -> Model {
    let shape: Vec<Option<usize>> =
        [None].into_iter().chain(case.sample.iter().copied().map(Some)).collect();
    let input = json!({"class_name": "InputLayer", "config": {"batch_shape": shape}});
    let mut layers = vec![input];
    if case.class_name != "InputLayer" {
        layers.push(document(case));
    }
    layers.push(json!({"class_name": "Flatten", "config": {"name": "before_the_end"}}));
    layers.push(json!({"class_name": "Dense", "config": {"units": 2, "name": "end"}}));
    let json = json!({"class_name": "Sequential", "config": {"name": "case", "layers": layers}});
    Model::from_json(&json.to_string()).unwrap()
}

#[test]
fn every_row_has_a_case_and_keras_s_numbers() {
    let cases = cases();
    let configs = |group: &str| -> Vec<String> {
        golden::load(group).iter().map(|case| case.config().to_string()).collect()
    };
    let groups = ["layers"].into_iter().chain(crate::layer_numbers::GROUPS);
    let forward: Vec<String> = groups.flat_map(configs).collect();
    let training: Vec<String> =
        ["training", "layer_training", "image_training"].into_iter().flat_map(configs).collect();
    for entry in Layers::entries() {
        let name = entry.class_name;
        assert!(cases.iter().any(|case| case.class_name == name), "{name} has no case");
        if name == "InputLayer" {
            continue;
        }
        let named = format!("\"class_name\":\"{name}\"");
        let covers =
            |configs: &[String]| configs.iter().any(|c| c.replace(' ', "").contains(&named));
        assert!(covers(&forward), "{name} has no golden of its forward pass");
        assert!(covers(&training), "{name} is in no golden of a training run");
    }
}

#[test]
fn json_goes_both_ways_and_unknown_keys_are_refused() {
    for case in cases() {
        let name = case.class_name;
        let first = model(&case).to_json().unwrap();
        let again = Model::from_json(&first).unwrap().to_json().unwrap();
        let parsed = |text: &str| serde_json::from_str::<Json>(text).unwrap();
        assert_eq!(parsed(&first), parsed(&again), "{name}");
        let mut wrong = document(&case);
        wrong["config"]["unknwon_key"] = json!(1);
        let error = sconce::layers::json::from_json(&wrong).err().unwrap().to_string();
        assert!(error.starts_with("at `config.unknwon_key`: unknown key"), "{name}: {error}");
    }
}

#[test]
fn shapes_are_those_inferred_and_weights_those_declared() {
    for case in cases() {
        let name = case.class_name;
        let entry = sconce::layers::json::from_json(&document(&case)).unwrap();
        let x = samples(&case, DType::F32);
        let spec = Args::one(Spec::float(Dims::batch_of(case.sample)));
        let promised = entry.outputs(&spec).unwrap();
        let outputs = sconce::layers::run(&entry, &[&x], &mut Context::inference()).unwrap();
        assert_eq!(outputs.len(), promised.len(), "{name}");
        for (output, promised) in outputs.iter().zip(&promised) {
            assert!(promised.dims.fits(output.dims()), "{name}: {promised} {:?}", output.dims());
            assert_eq!(output.dtype(), promised.dtype, "{name}");
        }
        let weights: Vec<(&str, &[usize])> =
            entry.weights().iter().map(|w| (w.name.as_str(), w.var.dims())).collect();
        assert_eq!(weights, case.weights, "{name}");
    }
}

#[test]
fn files_give_the_same_predictions() {
    let folder = tempfile::tempdir().unwrap();
    for (index, case) in cases().iter().enumerate() {
        let mut model = model(case);
        model.compile("sgd", "mse").unwrap();
        let x = samples(case, DType::F32);
        let expected = model.predict(&x).unwrap().to_vec2::<f32>().unwrap();
        for ending in ["keras", "safetensors"] {
            let path = folder.path().join(format!("{index}.{ending}"));
            let loaded = match ending {
                "keras" => {
                    model.save(&path).unwrap();
                    Model::load(&path).unwrap()
                }
                _ => {
                    model.save_weights(&path).unwrap();
                    Model::load_with(&path, LoadOptions::new()).unwrap()
                }
            };
            let found = loaded.predict(&x).unwrap().to_vec2::<f32>().unwrap();
            assert_eq!(expected, found, "{} as {ending}", case.class_name);
        }
    }
}

#[test]
fn a_step_changes_every_trainable_weight() {
    for case in cases() {
        let mut model = model(&case);
        model.compile(SGD::new(0.1), "mse").unwrap();
        let values = |model: &Model| -> Vec<(String, Vec<f32>)> {
            let values = |p: &sconce::core::Parameter| p.var.flatten_all().unwrap().to_vec1();
            let trainable = model.store().unwrap().trainable();
            trainable.map(|p| (p.path.clone(), values(p).unwrap())).collect()
        };
        let before = values(&model);
        let y = Tensor::ones((3, 2), DType::F32, &Device::Cpu).unwrap();
        model.train_on_batch(&samples(&case, DType::F32), &y).unwrap();
        for ((path, before), (_, after)) in before.iter().zip(&values(&model)) {
            assert_ne!(before, after, "{path} of {} did not change", case.class_name);
        }
    }
}

/// The layer in f64, in training: gradients of the input and of every weight against central
/// differences.
#[test]
fn gradients_agree_with_finite_differences() {
    for case in cases() {
        let parsed = sconce::layers::json::from_json(&document(&case)).unwrap();
        let policy = DTypePolicy { compute: DType::F64, variable: DType::F64 };
        let options = Options { policy, name: Some("layer".into()), ..parsed.options() };
        let entry = LayerEntry::new(parsed.layer().clone(), options);
        let x = Var::from_tensor(&samples(&case, DType::F64)).unwrap();
        let spec = Spec { dims: Dims::batch_of(case.sample), dtype: DType::F64 };
        let build = BuildOptions { device: &Device::Cpu, first: FirstValues::Seed(3) };
        entry.build(&Args::one(spec), "", build).unwrap();
        let scalar = |cx: &mut Context, x: &Tensor| -> Tensor {
            let args = Args::one(Value::from(x.clone()));
            let y = Scope::new(cx, None).run(&entry, args, 7).unwrap().remove(0).tensor;
            let g = sconce::ops::gradient_check::sample("g", y.dims()).unwrap();
            // An input layer declares float32, and gives that.
            (y.to_dtype(DType::F64).unwrap() * g).unwrap().sum_all().unwrap()
        };
        let mut store = Store::new();
        entry.collect(&mut store, "", true).unwrap();
        let mut variables: Vec<(String, Var)> =
            store.trainable().map(|p| (p.path.clone(), p.var.clone())).collect();
        if case.class_name != "InputLayer" {
            variables.push(("x".to_string(), x.clone()));
        }
        let mut cx = Context::training(5, 5);
        let total = scalar(&mut cx, &x);
        let tensors: Vec<&Tensor> = variables.iter().map(|(_, var)| var.as_tensor()).collect();
        let gradients = sconce::core::gradients(&total, &tensors).unwrap();
        let value = || {
            let mut cx = Context::training(5, 5).recording(false);
            scalar(&mut cx, &x.as_detached_tensor()).to_scalar::<f64>().unwrap()
        };
        for ((path, var), gradient) in variables.iter().zip(&gradients) {
            let name = case.class_name;
            let gradient = gradient.as_ref().unwrap_or_else(|| panic!("{name}: {path} has none"));
            let gradient = gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let base = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for (element, ours) in gradient.iter().enumerate() {
                let at = |by: f64| {
                    let mut values = base.clone();
                    values[element] += by;
                    let moved = Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap();
                    var.set(&moved).unwrap();
                    value()
                };
                let quotient = (at(1e-5) - at(-1e-5)) / 2e-5;
                at(0.0);
                assert!(
                    (quotient - ours).abs() < 1e-6 * quotient.abs().max(1.0),
                    "{name}: {path}[{element}]: {ours}, finite differences give {quotient}"
                );
            }
        }
    }
}
