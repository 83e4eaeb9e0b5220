//! Every row of the table of layers, every way: a row without a case, or without Keras's numbers,
//! fails.

use sconce::core::{FirstValues, Kind, Store, Var};
use sconce::layers::{BuildOptions, Layers, Options, Scope};
use sconce::prelude::*;
use sconce_testkit::golden;
use serde_json::{Value as Json, json};

/// A configuration of a layer, what goes in, and the weights it must declare.
pub struct LayerCase {
    pub class_name: &'static str,
    pub config: Json,
    /// Shape of one sample of each input.
    pub samples: Vec<&'static [usize]>,
    /// Whether each input is an argument of its own, instead of all in a list.
    pub spread: bool,
    /// Names and shapes of the weights, in Keras's order.
    pub weights: &'static [(&'static str, &'static [usize])],
}

pub fn case(
    class_name: &'static str,
    config: Json,
    sample: &'static [usize],
    weights: &'static [(&'static str, &'static [usize])],
) -> LayerCase {
    LayerCase { class_name, config, samples: vec![sample], spread: false, weights }
}

/// A layer that merges several inputs.
pub fn merging(class_name: &'static str, config: Json, samples: &[&'static [usize]]) -> LayerCase {
    LayerCase { class_name, config, samples: samples.to_vec(), spread: false, weights: &[] }
}

/// A layer that is called with a query and a value.
fn attending(
    class_name: &'static str,
    config: Json,
    weights: &'static [(&'static str, &'static [usize])],
) -> LayerCase {
    let list = matches!(class_name, "Attention" | "AdditiveAttention");
    LayerCase { class_name, config, samples: vec![&[2, 3], &[4, 3]], spread: !list, weights }
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
        case("ActivityRegularization", json!({"l1": 0.1, "l2": 0.2}), &[3], &[]),
        merging("Add", json!({}), &[&[2, 3], &[2, 3], &[3]]),
        case("AlphaDropout", json!({"rate": 0.4}), &[5], &[]),
        attending("AdditiveAttention", json!({}), &[("scale", &[3])]),
        attending("AdditiveAttention", json!({"use_scale": false}), &[]),
        attending("Attention", json!({}), &[]),
        attending(
            "Attention",
            json!({"use_scale": true, "score_mode": "concat", "dropout": 0.3}),
            &[("scale", &[]), ("concat_score_weight", &[])],
        ),
        merging("Average", json!({}), &[&[2, 3], &[2, 1]]),
        case(
            "BatchNormalization",
            json!({}),
            &[2, 3],
            &[("gamma", &[3]), ("beta", &[3]), ("moving_mean", &[3]), ("moving_variance", &[3])],
        ),
        case(
            "BatchNormalization",
            json!({"axis": 1, "scale": false, "center": false}),
            &[2, 2, 3],
            &[("moving_mean", &[2]), ("moving_variance", &[2])],
        ),
        merging("Concatenate", json!({"axis": 1}), &[&[2, 3], &[1, 3]]),
        case("Cropping1D", json!({"cropping": [1, 2]}), &[5, 2], &[]),
        case("Cropping2D", json!({"cropping": [[1, 0], [0, 2]]}), &[3, 4, 2], &[]),
        case("Cropping3D", json!({"data_format": "channels_first"}), &[2, 3, 4, 3], &[]),
        merging("Dot", json!({"axes": [2, 1]}), &[&[2, 3], &[3, 2]]),
        merging("Dot", json!({"axes": 1, "normalize": true}), &[&[3], &[3]]),
        case("Dropout", json!({"rate": 0.4}), &[5], &[]),
        case(
            "EinsumDense",
            json!({"equation": "abc,cde->abde", "output_shape": [null, 2, 4], "bias_axes": "e"}),
            &[2, 3],
            &[("kernel", &[3, 2, 4]), ("bias", &[4])],
        ),
        case(
            "EinsumDense",
            json!({"equation": "abc,bcd->adb", "output_shape": [4, 2]}),
            &[2, 3],
            &[("kernel", &[2, 3, 4])],
        ),
        case("ELU", json!({"alpha": 0.5}), &[5], &[]),
        case("Flatten", json!({}), &[2, 3], &[]),
        case("Flatten", json!({"data_format": "channels_first"}), &[2, 3, 2], &[]),
        case("GaussianDropout", json!({"rate": 0.4}), &[5], &[]),
        case("GaussianNoise", json!({"stddev": 0.4}), &[5], &[]),
        case(
            "GroupNormalization",
            json!({"groups": 2}),
            &[2, 2, 4],
            &[("gamma", &[4]), ("beta", &[4])],
        ),
        case(
            "GroupNormalization",
            json!({"groups": -1, "axis": 1, "scale": false}),
            &[2, 3],
            &[("beta", &[2])],
        ),
        // Biases of keys change no softmax, so that a step may leave them as they are.
        attending(
            "GroupQueryAttention",
            json!({"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2, "use_bias": false}),
            &[
                ("query/kernel", &[3, 4, 2]),
                ("key/kernel", &[3, 2, 2]),
                ("value/kernel", &[3, 2, 2]),
                ("attention_output/kernel", &[4, 2, 3]),
            ],
        ),
        attending(
            "MultiHeadAttention",
            json!({"num_heads": 2, "key_dim": 3, "value_dim": 2, "use_gate": true, "use_bias": false}),
            &[
                ("query/kernel", &[3, 2, 3]),
                ("key/kernel", &[3, 2, 3]),
                ("gate/kernel", &[3, 2, 2]),
                ("value/kernel", &[3, 2, 2]),
                ("attention_output/kernel", &[2, 2, 3]),
            ],
        ),
        attending(
            "MultiHeadAttention",
            json!({
                "num_heads": 1, "key_dim": 2, "dropout": 0.3, "use_bias": false,
                "output_shape": [2, 2], "sliding_window": 2,
            }),
            &[
                ("query/kernel", &[3, 1, 2]),
                ("key/kernel", &[3, 1, 2]),
                ("value/kernel", &[3, 1, 2]),
                ("attention_output/kernel", &[1, 2, 2, 2]),
            ],
        ),
        case("Identity", json!({}), &[2, 2], &[]),
        case("LayerNormalization", json!({}), &[2, 3], &[("gamma", &[3]), ("beta", &[3])]),
        case(
            "LayerNormalization",
            json!({"axis": [1, 3], "rms_scaling": true}),
            &[2, 2, 3],
            &[("gamma", &[2, 3])],
        ),
        case(
            "LayerScale",
            json!({"init_values": 0.1, "projection_dim": 3}),
            &[2, 3],
            &[("gamma", &[3])],
        ),
        case("LeakyReLU", json!({}), &[5], &[]),
        case("Masking", json!({}), &[2, 3], &[]),
        merging("CustomScaleLayer", json!({"scale": 0.17}), &[&[2, 3], &[2, 3]]),
        merging("Maximum", json!({}), &[&[2, 3], &[2, 3]]),
        merging("Minimum", json!({}), &[&[2, 3], &[1, 3]]),
        merging("Multiply", json!({}), &[&[2, 3], &[2, 3], &[2, 3]]),
        case(
            "Normalization",
            json!({"axis": [1, -1]}),
            &[2, 3],
            &[("mean", &[2, 3]), ("variance", &[2, 3]), ("count", &[])],
        ),
        case("Normalization", json!({"mean": [1.0, 2.0], "variance": [3.0, 4.0]}), &[2], &[]),
        case("Permute", json!({"dims": [2, 1]}), &[2, 3], &[]),
        case("PReLU", json!({}), &[3], &[("alpha", &[3])]),
        case("PReLU", json!({"shared_axes": [1]}), &[2, 3], &[("alpha", &[1, 3])]),
        case("ReLU", json!({"max_value": 1.5, "negative_slope": 0.1}), &[5], &[]),
        case("RepeatVector", json!({"n": 3}), &[2], &[]),
        case("Rescaling", json!({"scale": 0.5, "offset": [1.0, 2.0, 3.0]}), &[3], &[]),
        case("Reshape", json!({"target_shape": [3, -1]}), &[2, 3], &[]),
        case("RMSNormalization", json!({}), &[2, 3], &[("scale", &[3])]),
        case("Softmax", json!({"axis": [1, 2]}), &[2, 3], &[]),
        case("SpatialDropout1D", json!({"rate": 0.4}), &[2, 3], &[]),
        case("SpatialDropout2D", json!({"rate": 0.4}), &[2, 2, 3], &[]),
        case(
            "SpatialDropout3D",
            json!({"rate": 0.4, "data_format": "channels_first"}),
            &[3, 2, 2, 2],
            &[],
        ),
        case("StochasticDepth", json!({"drop_path_rate": 0.4}), &[2, 3], &[]),
        merging("Subtract", json!({}), &[&[2, 3], &[2, 3]]),
        case("UnitNormalization", json!({}), &[2, 3], &[]),
        case(
            "SpectralNormalization",
            // As many iterations as it takes until the vectors, which have no gradient, no longer depend on the kernel.
            json!({"layer": {"class_name": "Dense", "config": {"units": 2}}, "power_iterations": 200}),
            &[3],
            &[("dense/kernel", &[3, 2]), ("vector_u", &[1, 2]), ("dense/bias", &[2])],
        ),
        case("UpSampling1D", json!({}), &[2, 3], &[]),
        case("UpSampling2D", json!({"size": [2, 3]}), &[2, 2, 3], &[]),
        case("UpSampling2D", json!({"interpolation": "bicubic"}), &[2, 2, 2], &[]),
        case("UpSampling3D", json!({"data_format": "channels_first"}), &[2, 1, 2, 2], &[]),
        case("ZeroPadding1D", json!({"padding": [1, 2]}), &[2, 3], &[]),
        case("ZeroPadding2D", json!({"data_format": "channels_first"}), &[2, 2, 2], &[]),
        case("ZeroPadding3D", json!({"padding": [[0, 1], [1, 0], [0, 0]]}), &[1, 2, 2, 2], &[]),
    ];
    cases.extend(crate::image_cases::cases());
    cases.extend(crate::recurrent_cases::cases());
    cases
}

/// The layer as the model's JSON holds it.
pub fn document(case: &LayerCase) -> Json {
    json!({"class_name": case.class_name, "config": case.config})
}

/// Whether its input has no gradient.
fn takes_indices(case: &LayerCase) -> bool {
    case.class_name.ends_with("Embedding")
}

/// What goes in.
pub fn samples(case: &LayerCase, dtype: DType) -> Vec<Tensor> {
    let input = |(index, sample): (usize, &&[usize])| {
        let dims: Vec<usize> = [3].into_iter().chain(sample.iter().copied()).collect();
        let name = if index == 0 { "x".to_string() } else { format!("x{index}") };
        let sample = sconce::ops::gradient_check::sample(&name, &dims).unwrap();
        let sample =
            if takes_indices(case) { (sample.abs().unwrap() * 2.0).unwrap() } else { sample };
        sample.to_dtype(dtype).unwrap()
    };
    case.samples.iter().enumerate().map(input).collect()
}

/// One argument, or a list of several.
fn args<T>(case: &LayerCase, mut all: Vec<T>) -> Args<T> {
    match all.len() {
        1 => Args::one(all.remove(0)),
        _ if case.spread => all.into_iter().fold(Args::new(), Args::tensor),
        _ => Args::list(all),
    }
}

fn specs(case: &LayerCase, dtype: DType) -> Args<Spec> {
    let spec = |sample: &&[usize]| Spec { dims: Dims::batch_of(sample), dtype };
    args(case, case.samples.iter().map(spec).collect())
}

/// A model of the layer before a dense layer, so that everything can be trained.
pub fn model(case: &LayerCase) -> Model {
    let entry = sconce::layers::json::from_json(&document(case)).unwrap();
    let end = |y: &SymbolicTensor| -> Result<SymbolicTensor> {
        let flat = Flatten::new().name("before_the_end").apply(y)?;
        Dense::new(2).name("end").apply(&flat)
    };
    let build = || -> Result<Model> {
        if let ("InputLayer", Some(layer)) = (case.class_name, entry.downcast::<InputLayer>()) {
            let x = Input::of_layer(layer.clone());
            return Model::new([&x], [&end(&x)?]);
        }
        let inputs: Vec<SymbolicTensor> = case.samples.iter().map(Input::new).collect();
        let y = (&entry).apply_all(args(case, inputs.clone()))?.remove(0);
        Model::new(&inputs, [&end(&y)?])
    };
    build().unwrap_or_else(|error| panic!("{}: {error}", case.class_name))
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
        ["training", "layer_training", "attention_training", "image_training", "sequence_training"]
            .into_iter()
            .flat_map(configs)
            .collect();
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
        // Keras on JAX does not train this one, which draws without a seed.
        let trains = name != "StochasticDepth";
        assert!(!trains || covers(&training), "{name} is in no golden of a training run");
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
        let promised = entry.outputs(&specs(&case, DType::F32)).unwrap();
        let inputs: Vec<&Tensor> = x.iter().collect();
        let outputs = sconce::layers::run(&entry, &inputs, &mut Context::inference()).unwrap();
        assert_eq!(outputs.len(), promised.len(), "{name}");
        for (output, promised) in outputs.iter().zip(&promised) {
            assert!(promised.dims.fits(output.dims()), "{name}: {promised} {:?}", output.dims());
            assert_eq!(output.dtype(), promised.dtype, "{name}");
        }
        let mut store = Store::new();
        entry.collect(&mut store, "", true).unwrap();
        let within = |path: &str| path.split_once('/').map(|(_, name)| name.to_string()).unwrap();
        let parameters = store.parameters().iter();
        let weights: Vec<(String, &[usize])> =
            parameters.map(|p| (within(&p.path), p.var.dims())).collect();
        let weights: Vec<(&str, &[usize])> =
            weights.iter().map(|(name, dims)| (name.as_str(), *dims)).collect();
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
        let predict =
            |model: &Model| model.predict_all(&x, 32).unwrap().remove(0).to_vec2::<f32>().unwrap();
        let expected = predict(&model);
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
            assert_eq!(expected, predict(&loaded), "{} as {ending}", case.class_name);
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
        let entry = crate::layer_numbers::computing_in(DType::F64, &parsed);
        let options = Options { name: Some("layer".into()), ..entry.options() };
        let entry = LayerEntry::new(entry.layer().clone(), options);
        let x: Vec<Var> =
            samples(&case, DType::F64).iter().map(|x| Var::from_tensor(x).unwrap()).collect();
        let build = BuildOptions { device: &Device::Cpu, first: FirstValues::Seed(3) };
        entry.build(&specs(&case, DType::F64), "", build).unwrap();
        let scalar = |cx: &mut Context, x: Vec<Tensor>| -> Tensor {
            let args = args(&case, x.into_iter().map(Value::from).collect());
            let y = Scope::new(cx, None).run(&entry, args, 7).unwrap().remove(0).tensor;
            let g = sconce::ops::gradient_check::sample("g", y.dims()).unwrap();
            // An input layer declares float32, and gives that.
            (y.to_dtype(DType::F64).unwrap() * g).unwrap().sum_all().unwrap()
        };
        let mut store = Store::new();
        entry.collect(&mut store, "", true).unwrap();
        let mut variables: Vec<(String, Var)> =
            store.trainable().map(|p| (p.path.clone(), p.var.clone())).collect();
        if case.class_name != "InputLayer" && !takes_indices(&case) {
            variables.extend(x.iter().enumerate().map(|(i, x)| (format!("x{i}"), x.clone())));
        }
        let mut cx = Context::training(5, 5);
        let total = scalar(&mut cx, x.iter().map(|x| x.as_tensor().clone()).collect());
        let tensors: Vec<&Tensor> = variables.iter().map(|(_, var)| var.as_tensor()).collect();
        let gradients = sconce::core::gradients(&total, &tensors).unwrap();
        let value = || {
            let mut cx = Context::training(5, 5).recording(false);
            let x = x.iter().map(Var::as_detached_tensor).collect();
            scalar(&mut cx, x).to_scalar::<f64>().unwrap()
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
