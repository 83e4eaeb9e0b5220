//! Every optimizer with every common argument against Keras, in three forms: fused, composed, and
//! composed in f64. And what must hold without Keras: resuming, refusing.

use super::*;
use sconce_core::{
    DType, Device, Error, FirstValues, Gradients, Initializer, Json, Store, Stream, Tensor, Weight,
    WeightSpec,
};
use sconce_testkit::difference;
use sconce_testkit::golden::{self, Case};
use serde_json::json;
use std::sync::Arc;

const STEPS: usize = 12;

/// The first values of weights, which the tests set themselves.
pub(crate) struct Zeros;

impl Initializer for Zeros {
    fn values(&self, dims: &[usize], _: &mut Stream) -> Result<Vec<f32>> {
        Ok(vec![0.0; dims.iter().product()])
    }
}

/// A store of a case's weights, and its optimizer.
struct Bench {
    store: Store,
    state: OptimizerState,
    gradients: Vec<Tensor>,
}

impl Bench {
    fn new(case: &Case, dtype: DType) -> Self {
        let mut store = Store::new();
        let names = case.field("weight_names").as_array().unwrap();
        let initial: Vec<Tensor> = case.tensors("initial").into_iter().flatten().collect();
        for (name, value) in names.iter().zip(&initial) {
            let (scope, name) = name.as_str().unwrap().split_once('/').unwrap();
            let spec = WeightSpec::new(name, value.dims(), Arc::new(Zeros));
            let path = format!("{scope}/{name}");
            let weight =
                Weight::new(spec, scope, case.device(), dtype, FirstValues::Zeros).unwrap();
            store.add(path, Arc::new(weight), true).unwrap();
        }
        for (parameter, value) in store.parameters().iter().zip(&initial) {
            parameter.set(value).unwrap();
        }
        let optimizer = match case.field("exclude_from_weight_decay").as_array() {
            None => Optimizer::from_json(case.config()).unwrap(),
            // Files do not hold it.
            Some(names) => {
                let config = case.config()["config"].as_object().unwrap();
                let names = names.iter().map(|name| name.as_str().unwrap());
                <AdamW as sconce_core::Config>::from_config(config)
                    .unwrap()
                    .exclude_from_weight_decay(names)
                    .into()
            }
        };
        let state = OptimizerState::new(&optimizer, &store).unwrap();
        let gradients = case.tensors("gradients").into_iter().flatten();
        let gradients = gradients.map(|g| g.to_dtype(dtype).unwrap()).collect();
        Self { store, state, gradients }
    }

    fn step(&mut self, step: usize) {
        let at = |g: &Tensor| Some(g.get(step).unwrap());
        let gradients = Gradients::from(self.gradients.iter().map(at).collect::<Vec<_>>());
        self.state.apply(&self.store, &gradients).unwrap();
    }

    fn weights(&self) -> Vec<Tensor> {
        self.store.parameters().iter().map(|p| p.var.as_tensor().copy().unwrap()).collect()
    }
}

/// Leaves the fused forms out, of optimizers inside too.
fn compose(state: &mut OptimizerState) {
    state.fused = false;
    state.inner.iter_mut().for_each(compose);
}

/// Everything in which a run of ours differs from Keras's.
fn differences(case: &Case, dtype: DType, fused: bool) -> Vec<String> {
    let mut bench = Bench::new(case, dtype);
    let could_be = dtype == DType::F32 && case.device().is_cpu();
    assert_eq!(bench.state.fused, could_be && bench.state.rule.fused());
    if !fused {
        compose(&mut bench.state);
    }
    let mut wrong = Vec::new();
    let mut compare = |what: &str, ours: &Tensor, keras: &Option<Tensor>, tolerance: f64| {
        let difference = difference(ours, keras.as_ref().unwrap(), tolerance);
        let device = case.device().location();
        let case = format!("{} ({dtype:?}, fused {fused}, {device:?})", case.name());
        wrong.extend(difference.map(|difference| format!("{case}, {what}: {difference}")));
    };
    let weights = if case.has("weights") { case.tensors("weights") } else { Vec::new() };
    // Keras on JAX computes Adam's 1 - beta_2^t in f32, off by 5e-5 of it at t = 1.
    let of_adam = ["adam", "muon", "loss_scale", "multi"];
    let rounded = of_adam.iter().any(|name| case.name().starts_with(name));
    let tolerance = if rounded { 1e-5 } else { 1e-6 };
    for step in 0..STEPS {
        bench.step(step);
        for (index, (ours, keras)) in bench.weights().iter().zip(&weights).enumerate() {
            let keras = keras.as_ref().and_then(|keras| keras.get(step).ok());
            compare(&format!("weight {index} after step {step}"), ours, &keras, tolerance);
        }
    }
    let names = case.field("variable_names").as_array().unwrap();
    let variables = bench.state.variables().unwrap();
    let ours: Vec<&String> = variables.iter().map(|(name, _)| name).collect();
    assert_eq!(ours, names.iter().collect::<Vec<_>>(), "{}", case.name());
    for ((name, ours), keras) in variables.iter().zip(case.tensors("variables")) {
        compare(name, ours, &keras, 5e-6);
    }
    bench.state.finalize(&bench.store).unwrap();
    for (role, tolerance) in [("final", tolerance), ("final64", 1e-6)] {
        // The configured rates were rounded to f32.
        let tolerance = if dtype == DType::F64 && role == "final64" { 2e-7 } else { tolerance };
        for (ours, keras) in bench.weights().iter().zip(case.tensors(role)) {
            compare(role, ours, &keras, tolerance);
        }
    }
    wrong
}

#[test]
fn keras_computes_the_same() {
    let mut cases = golden::load_on_devices("optimizers");
    cases.extend(golden::load_on_devices("optimizer_exclusions"));
    let mut wrong = Vec::new();
    for case in &cases {
        if case.device().is_cpu() {
            wrong.extend(differences(case, DType::F32, true));
        }
        wrong.extend(differences(case, DType::F32, false));
        wrong.extend(differences(case, DType::F64, false));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for entry in Optimizers::entries() {
        let of = |case: &Case| case.config()["class_name"] == entry.class_name;
        assert!(cases.iter().any(of), "no golden case of {}", entry.class_name);
    }
}

#[test]
fn names_are_keras_s() {
    for entry in Optimizers::entries() {
        let schema = (entry.schema)(&mut sconce_core::schema::Definitions::new());
        let expected = sconce_core::names::snake_case(entry.class_name);
        assert_eq!(schema["properties"]["name"]["default"], expected, "{}", entry.class_name);
    }
}

#[test]
fn configs_return_as_keras_wrote_them() {
    for case in golden::load("optimizers") {
        let optimizer = Optimizer::from_json(case.config()).unwrap();
        let expected = floats(case.config());
        assert_eq!(floats(&optimizer.to_json().unwrap()), expected, "{}", case.name());
        let state = Bench::new(&case, DType::F32).state;
        assert_eq!(floats(&state.to_json().unwrap()), expected, "{}", case.name());
    }
}

/// All numbers as floats: Keras writes Muon's `adam_lr_ratio` as 1.
fn floats(json: &Json) -> Json {
    match json {
        Json::Number(number) => json!(number.as_f64().unwrap()),
        Json::Array(items) => items.iter().map(floats).collect(),
        Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), floats(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn a_state_given_back_goes_on_exactly() {
    for case in golden::load("optimizers") {
        for dtype in [DType::F32, DType::F64] {
            let mut whole = Bench::new(&case, dtype);
            (0..7).for_each(|step| whole.step(step));
            let mut second = Bench::new(&case, dtype);
            let variables = whole.state.variables().unwrap();
            let variables: Vec<Tensor> = variables.into_iter().map(|(_, v)| v).collect();
            second.state.set_variables(&variables).unwrap();
            for (to, from) in second.store.parameters().iter().zip(whole.weights()) {
                to.set(&from).unwrap();
            }
            for step in 7..STEPS {
                whole.step(step);
                second.step(step);
            }
            for (a, b) in whole.weights().iter().zip(second.weights()) {
                assert_eq!(difference(a, &b, 0.0), None, "{}", case.name());
            }
        }
    }
}

fn bench(optimizer: impl Into<Optimizer>) -> Bench {
    let mut bench = Bench::new(&golden::load("optimizers")[0], DType::F32);
    bench.state = OptimizerState::new(&optimizer.into(), &bench.store).unwrap();
    bench
}

#[test]
fn variables_that_do_not_fit_are_refused() {
    let mut adam = bench(Adam::default());
    let values = |bench: &Bench| -> Vec<Tensor> {
        bench.state.variables().unwrap().into_iter().map(|(_, v)| v).collect()
    };
    let momentum = values(&bench(SGD::new(0.01).momentum(0.9)));
    let message = adam.state.set_variables(&momentum).unwrap_err().to_string();
    assert!(message.starts_with("the optimizer Adam has 8 variables, 5 were given"), "{message}");
    assert!(message.contains("adam/dense_kernel_momentum"), "{message}");
    let mut variables = values(&adam);
    variables[3] = variables[5].clone();
    let message = adam.state.set_variables(&variables).unwrap_err().to_string();
    assert!(message.contains("adam/dense_kernel_velocity has shape [4, 3], [3] was"), "{message}");
    let mut variables = values(&adam);
    variables[0] = Tensor::new(-1i64, &Device::Cpu).unwrap();
    assert!(adam.state.set_variables(&variables).is_err());
    assert!(adam.state.set_variables(&[]).is_err());
    // Keras writes only these of an optimizer that made no step.
    adam.state.set_variables(&values(&bench(SGD::new(0.25)))).unwrap();
    assert_eq!(adam.state.learning_rate(), 0.25);
    adam.step(0);
    let message = adam.state.set_variables(&values(&bench("sgd"))).unwrap_err().to_string();
    assert!(message.starts_with("the optimizer Adam has 8 variables, 2 were given"), "{message}");
}

#[test]
fn gradients_that_do_not_fit_are_refused() {
    let Bench { store, mut state, .. } = bench("sgd");
    let none = state.apply(&store, &Gradients::from(vec![None, None, None]));
    assert!(none.unwrap_err().to_string().starts_with("no trainable weight has a gradient"));
    let few = state.apply(&store, &Gradients::from(vec![None]));
    assert!(few.unwrap_err().to_string().contains("each of the 3 trainable weights, found 1"));
    let mut frozen = Store::new();
    for (index, parameter) in store.parameters().iter().enumerate() {
        frozen.add(parameter.path.clone(), parameter.weight.clone(), index != 1).unwrap();
    }
    let frozen = state.apply(&frozen, &Gradients::from(vec![None, None]));
    assert!(frozen.unwrap_err().to_string().contains("other weights are trainable now"));
}

#[test]
fn a_weight_without_gradient_stays() {
    for fused in [true, false] {
        let mut bench = bench(AdamW::new(0.1).gradient_accumulation_steps(2));
        bench.state.fused = fused;
        let before = bench.weights();
        for step in 0..4 {
            let gradients: Vec<_> = bench.gradients.iter().map(|g| g.get(step).ok()).collect();
            let mut gradients = Gradients::from(gradients);
            gradients.0[1] = None;
            bench.state.apply(&bench.store, &gradients).unwrap();
        }
        let moved = |i: usize| difference(&bench.weights()[i], &before[i], 1e-3).is_some();
        assert_eq!([moved(0), moved(1), moved(2)], [true, false, true]);
    }
}

#[test]
fn learning_rates_can_be_set() {
    let mut state = bench("adam").state;
    state.set_learning_rate(0.1).unwrap();
    assert_eq!(state.learning_rate(), f64::from(0.1f32));
    assert_eq!(state.to_json().unwrap()["config"]["learning_rate"], f64::from(0.1f32));
    assert!(state.set_learning_rate(f64::NAN).is_err());
    let mut state = bench(Adam::new(crate::schedules::CosineDecay::new(0.1, 10))).state;
    assert!(state.set_learning_rate(0.1).unwrap_err().to_string().contains("is a schedule"));
}

#[test]
fn errors_say_where() {
    let adam = |config: Json| json!({"class_name": "Adam", "config": config});
    let cases = [
        (
            adam(json!({"learning_rate": -0.1})),
            "at `config.learning_rate`: must be a number of at least 0, found -0.1",
        ),
        (
            adam(json!({"learning_rate": "fast"})),
            "at `config.learning_rate`: unknown learning rate schedule `fast`",
        ),
        (
            adam(json!({"learning_rate": {"class_name": "CosineDecy"}})),
            "at `config.learning_rate.class_name`: unknown learning rate schedule `CosineDecy`. Did you mean `CosineDecay`?",
        ),
        (
            adam(
                json!({"learning_rate": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 1, "decay_steps": -1}}}),
            ),
            "at `config.learning_rate.config.decay_steps`: must be a number above 0",
        ),
        (
            adam(json!({"beta_2": 1.0})),
            "at `config.beta_2`: must be a number of at least 0 and below 1, found 1",
        ),
        (
            adam(json!({"clipnorm": 1.0, "clipvalue": 1.0})),
            "at `config.clipvalue`: only one kind of clipping",
        ),
        (
            adam(json!({"gradient_accumulation_steps": 1})),
            "at `config.gradient_accumulation_steps`: must be a whole number of at least 2, found 1",
        ),
        (adam(json!({"loss_scale_factor": 0.0})), "at `config.loss_scale_factor`: must be"),
        (adam(json!({"momentum": 0.9})), "at `config.momentum`: unknown key `momentum`"),
        (
            json!({"class_name": "AdamW", "config": {"weight_decay": null}}),
            "at `config.weight_decay`: AdamW needs a number",
        ),
        (json!({"class_name": "RMSprop", "config": {"rho": 2}}), "at `config.rho`: must be"),
        (json!({"class_name": "SGD", "config": {"momentum": -1}}), "at `config.momentum`: must be"),
        (json!({"class_name": "Lion", "config": {"beta_1": 0}}), "at `config.beta_1`: must be"),
        (
            json!({"class_name": "Ftrl", "config": {"learning_rate_power": 1}}),
            "at `config.learning_rate_power`: must be a number at most 0",
        ),
        (
            json!({"class_name": "Muon", "config": {"exclude_layers": ["a", "("]}}),
            "at `config.exclude_layers[1]`: regex parse error",
        ),
        (
            json!({"class_name": "LossScaleOptimizer", "config": {"inner_optimizer": "sdg"}}),
            "at `config.inner_optimizer`: unknown optimizer `sdg`. Did you mean `sgd`?",
        ),
        (
            json!({"class_name": "LossScaleOptimizer", "config": {"inner_optimizer": "sgd", "clipnorm": 1.0}}),
            "at `config.clipnorm`: must be null, found 1.0",
        ),
        (
            json!({"class_name": "MultiOptimizer", "config": {"optimizer_map": "sgd"}}),
            "at `config.optimizer_map`: must be an object with the class_name \"OptimizerMap\"",
        ),
        (json!("rmsprob"), "unknown optimizer `rmsprob`. Did you mean `rmsprop`?"),
    ];
    for (value, expected) in cases {
        let message = Optimizer::from_json(&value).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}\n{expected}");
    }
    let refused = [
        Optimizer::from(SGD::new(f64::NAN)),
        SGD::new(0.1).clipnorm(f64::NAN).into(),
        AdamW::new(0.1).weight_decay(f64::INFINITY).into(),
        AdamW::new(0.1).exclude_from_weight_decay(["("]).into(),
        RMSprop::new(0.1).epsilon(-1.0).into(),
        Muon::new(0.1).exclude_layers(["(".to_string()]).into(),
        LossScaleOptimizer::new(LossScaleOptimizer::new("sgd")).into(),
        MultiOptimizer::new(OptimizerMap::new(LossScaleOptimizer::new("sgd"))).into(),
        MultiOptimizer::new(OptimizerMap::new("sgd").with("(", "adam")).into(),
        MultiOptimizer::new(OptimizerMap::new("sgd").with("a", "adam").with("a", "sgd")).into(),
    ];
    for optimizer in refused {
        assert!(matches!(optimizer.get(), Err(Error::Config { .. })), "{optimizer:?}");
    }
}

#[test]
fn a_path_chooses_one_optimizer() {
    let map = |map: OptimizerMap| {
        let store = bench("sgd").store;
        OptimizerState::new(&MultiOptimizer::new(map).into(), &store)
    };
    let paths = |state: OptimizerState| -> Vec<Vec<String>> {
        state.inner.iter().map(|inner| inner.paths.clone()).collect()
    };
    // A pattern matches whole paths; an exact path comes first.
    let state = map(OptimizerMap::new("sgd")
        .with("dense", "adam")
        .with("d.*", "lion")
        .with("dense/bias", "adagrad"));
    assert_eq!(
        paths(state.unwrap()),
        [vec![], vec!["dense/kernel"], vec!["dense/bias"], vec!["scale/factor"]]
    );
    let several = map(OptimizerMap::new("sgd").with("dense/.*", "adam").with(".*/kernel", "lion"));
    let error = several.err().unwrap().to_string();
    assert!(
        error.contains("dense/kernel is matched by the patterns `dense/.*` and `.*/kernel`"),
        "{error}"
    );
}

#[test]
fn learning_rates_inside_can_be_set_where_there_is_one() {
    let mut scaled = bench(LossScaleOptimizer::new(SGD::new(0.25))).state;
    assert_eq!(scaled.learning_rate(), 0.25);
    scaled.set_learning_rate(0.5).unwrap();
    assert_eq!(scaled.learning_rate(), 0.5);
    let json = scaled.to_json().unwrap();
    assert_eq!(json["config"]["inner_optimizer"]["config"]["learning_rate"], 0.5);
    let mut several = bench(MultiOptimizer::new(OptimizerMap::new(SGD::new(0.25)))).state;
    assert!(several.learning_rate().is_nan());
    assert!(
        several.set_learning_rate(0.5).unwrap_err().to_string().contains("a learning rate each")
    );
}

/// The loss scale: gradients are divided by it, it is halved where they are not finite.
#[test]
fn the_loss_scale_changes() {
    let mut bench =
        bench(LossScaleOptimizer::new(SGD::new(1.0)).initial_scale(4.0).dynamic_growth_steps(2));
    let mut step = |value: f32| {
        let gradients = bench.store.parameters().iter().map(|p| {
            let ones = Tensor::ones(p.var.dims(), DType::F32, &Device::Cpu).unwrap();
            Some((ones * f64::from(value)).unwrap())
        });
        let gradients = Gradients::from(gradients.collect::<Vec<_>>());
        let before = bench.weights()[2].to_scalar::<f32>().unwrap();
        bench.state.apply(&bench.store, &gradients).unwrap();
        let moved = before - bench.weights()[2].to_scalar::<f32>().unwrap();
        (moved, bench.state.loss_scale().unwrap().unwrap(), bench.state.iterations)
    };
    let near = |(moved, scale, count): (f32, f64, u64), expected: (f32, f64, u64)| {
        assert!((moved - expected.0).abs() < 1e-6, "{moved} {expected:?}");
        assert_eq!((scale, count), (expected.1, expected.2));
    };
    near(step(2.0), (0.5, 4.0, 1));
    near(step(2.0), (0.5, 8.0, 2));
    near(step(f32::INFINITY), (0.0, 4.0, 2));
    near(step(f32::NAN), (0.0, 2.0, 2));
    near(step(1.0), (0.5, 2.0, 3));
}

#[test]
fn without_a_step_the_averages_are_not_used() {
    for fused in [true, false] {
        let mut bench = bench(SGD::new(0.1).use_ema(0.9));
        bench.state.fused = fused;
        let before = bench.weights();
        bench.state.finalize(&bench.store).unwrap();
        for (now, before) in bench.weights().iter().zip(&before) {
            assert_eq!(difference(now, before, 0.0), None);
        }
    }
}

/// The weights after one step of `optimizer` with these gradients for all elements of each weight.
fn after(optimizer: SGD, fused: bool, gradients: [f32; 3]) -> Vec<Vec<f32>> {
    let mut bench = bench(optimizer);
    bench.state.fused &= fused;
    let parameters = bench.store.parameters();
    for parameter in parameters {
        parameter.set(&parameter.var.as_tensor().zeros_like().unwrap()).unwrap();
    }
    let gradients = parameters.iter().zip(gradients).map(|(p, g)| {
        Some(Tensor::full(g, p.var.dims(), &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap())
    });
    let gradients = Gradients::from(gradients.collect::<Vec<_>>());
    bench.state.apply(&bench.store, &gradients).unwrap();
    bench.weights().iter().map(|w| w.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

/// Keras's `clip_by_global_norm`: a norm that is not finite makes all gradients NaN.
#[test]
fn infinite_gradients_are_not_clipped_to_zero() {
    let nan = |weight: &Vec<f32>| weight.iter().all(|w| w.is_nan());
    for fused in [true, false] {
        for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let all = after(SGD::new(1.0).global_clipnorm(1.0), fused, [1.0, bad, 1.0]);
            assert!(all.iter().all(nan), "fused {fused}, {bad}: {all:?}");
            let each = after(SGD::new(1.0).clipnorm(1.0), fused, [1.0, bad, 1.0]);
            assert_eq!([nan(&each[0]), nan(&each[1]), nan(&each[2])], [false, true, false]);
        }
    }
}

/// The squares of these are infinite in f32.
#[test]
fn norms_beyond_f32_are_clipped() {
    let count = |weights: &[Vec<f32>]| weights.iter().map(Vec::len).sum::<usize>();
    for fused in [true, false] {
        for value in [1e20f32, -1e25] {
            let all = after(SGD::new(1.0).global_clipnorm(1.0), fused, [value; 3]);
            let expected = -value.signum() / (count(&all) as f32).sqrt();
            for w in all.iter().flatten() {
                assert!((w - expected).abs() < 1e-6, "fused {fused}, {value}: {w} {expected}");
            }
            for weight in after(SGD::new(1.0).clipnorm(1.0), fused, [value; 3]) {
                let expected = -value.signum() / (weight.len() as f32).sqrt();
                assert!(weight.iter().all(|w| (w - expected).abs() < 1e-6), "{weight:?}");
            }
        }
    }
}

#[test]
fn clip_grad_norm_returns_the_norm_before() {
    let gradients = |values: &[f32]| {
        let one = |value: &f32| Some(Tensor::new(&[*value], &Device::Cpu).unwrap());
        Gradients::from(values.iter().map(one).chain([None]).collect::<Vec<_>>())
    };
    let values = |gradients: &Gradients| -> Vec<f32> {
        let value = |g: &Tensor| g.to_vec1::<f32>().unwrap()[0];
        gradients.0.iter().flatten().map(value).collect()
    };
    let mut large = gradients(&[3.0, -4.0]);
    assert_eq!(clip_grad_norm(&mut large, 0.5).unwrap(), 5.0);
    assert_eq!(values(&large), [0.3, -0.4]);
    let mut small = gradients(&[3.0, -4.0]);
    assert_eq!(clip_grad_norm(&mut small, 5.0).unwrap(), 5.0);
    assert_eq!(values(&small), [3.0, -4.0]);
    let mut huge = gradients(&[3e30, -4e30]);
    let norm = clip_grad_norm(&mut huge, 0.5).unwrap();
    assert!((norm / 5e30 - 1.0).abs() < 1e-6, "{norm}");
    assert!((values(&huge)[0] - 0.3).abs() < 1e-6, "{:?}", values(&huge));
    let mut infinite = gradients(&[1.0, f32::INFINITY]);
    assert_eq!(clip_grad_norm(&mut infinite, 0.5).unwrap(), f64::INFINITY);
    assert!(values(&infinite).iter().all(|g| g.is_nan()));
    for wrong in [-1.0, f64::NAN] {
        let error = clip_grad_norm(&mut small, wrong).unwrap_err().to_string();
        assert!(error.contains("max_norm") && error.contains("at least 0"), "{error}");
    }
}

/// `w -= 0.25 g` for a loss multiplied by 8 is `w -= 2 g` of what is given here, divided by 8.
#[test]
fn gradients_are_divided_by_the_loss_scale_factor() {
    for fused in [true, false] {
        let plain = after(SGD::new(1.0), fused, [3.0; 3]);
        let scaled = after(SGD::new(1.0).loss_scale_factor(8.0), fused, [24.0; 3]);
        assert_eq!(plain, scaled);
        // Clipping comes after unscaling.
        let clipped = after(SGD::new(1.0).loss_scale_factor(8.0).clipvalue(2.0), fused, [24.0; 3]);
        assert!(clipped.iter().flatten().all(|w| *w == -2.0), "{clipped:?}");
    }
}

/// The rows that an embedding used are changed alone: to the same bits as if all were, of weights and slots.
#[test]
fn rows_without_a_gradient_are_left_alone() {
    let make = |optimizer: &Optimizer| {
        let mut store = Store::new();
        let spec = WeightSpec::new("embeddings", &[9, 5], Arc::new(Zeros));
        let weight =
            Weight::new(spec, "words", &Device::Cpu, DType::F32, FirstValues::Zeros).unwrap();
        store.add("words/embeddings".to_string(), Arc::new(weight), true).unwrap();
        let values: Vec<f32> = (0..45).map(|i| (i as f32 * 0.7).sin() - 0.1).collect();
        let values = Tensor::from_vec(values, (9, 5), &Device::Cpu).unwrap();
        store.parameters()[0].set(&values).unwrap();
        let state = OptimizerState::new(optimizer, &store).unwrap();
        (store, state)
    };
    let optimizers: Vec<Optimizer> = vec![
        SGD::new(0.1).into(),
        SGD::new(0.1).clipnorm(0.5).into(),
        SGD::new(0.1).clipvalue(0.5).into(),
        SGD::new(0.1).global_clipnorm(0.5).loss_scale_factor(8.0).into(),
        SGD::new(0.1).momentum(0.9).nesterov(true).into(),
        SGD::new(0.1).weight_decay(0.01).into(),
        SGD::new(0.1).use_ema(0.5).ema_overwrite_frequency(2).into(),
        SGD::new(0.1).gradient_accumulation_steps(2).into(),
        Adagrad::new(0.1).into(),
        Adagrad::new(0.1).initial_accumulator_value(0.0).into(),
        Adagrad::new(0.1).initial_accumulator_value(0.0).epsilon(0.0).into(),
        Adam::new(0.1).into(),
    ];
    let batches: [&[u32]; 5] = [&[4, 0, 4, 8], &[1], &[], &[7, 7, 7], &[2, 1, 0]];
    for optimizer in optimizers {
        let ((some, mut of_some), (all, mut of_all)) = (make(&optimizer), make(&optimizer));
        let mut sink = some.sink();
        for ids in batches {
            let ids = Tensor::from_slice(ids, ids.len(), &Device::Cpu).unwrap();
            let table = some.parameters()[0].var.as_tensor();
            let (loss, tape) = sconce_core::Tape::record(|| {
                let vectors = sconce_ops::embedding(table, &ids)?;
                (vectors.sqr()? * 3.0)?.sum_all()
            });
            let gradients = some.backward_into(&loss.unwrap(), &tape, &mut sink).unwrap();
            if gradients.0[0].is_none() {
                continue;
            }
            assert!(gradients.rows(0).is_some_and(|rows| rows.len() < 4) || ids.elem_count() == 0);
            let copies = gradients.0.iter().flatten().map(|g| Some(g.copy().unwrap()));
            let copies = Gradients::from(copies.collect::<Vec<_>>());
            assert!(copies.rows(0).is_none());
            of_some.apply(&some, &gradients).unwrap();
            of_all.apply(&all, &copies).unwrap();
            let bits = |store: &Store, state: &OptimizerState| -> Vec<u32> {
                let weight = store.parameters()[0].var.as_tensor();
                let tensors = std::iter::once(weight).chain(state.slots.iter().flatten());
                let values = tensors
                    .flat_map(|x| x.flatten_all().unwrap().to_vec1::<f32>().unwrap())
                    // What a NaN looks like is the processor's choice.
                    .map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() });
                values.collect()
            };
            assert_eq!(
                bits(&some, &of_some),
                bits(&all, &of_all),
                "{}",
                optimizer.to_json().unwrap()
            );
        }
    }
}
