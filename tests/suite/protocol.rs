//! The call protocol with stub layers: nested and shared models, several arguments, state, masks,
//! types on edges, one tape.

use sconce::core::{GradientSink, Tape, Var};
use sconce::layers::initializers::Zeros;
use sconce::ops::arithmetic::{Operator, arithmetic};
use sconce::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::Arc;

fn f32s(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn tensor(values: &[f32], dims: &[usize]) -> Tensor {
    Tensor::from_slice(values, dims, &Device::Cpu).unwrap()
}

fn paths(model: &Model) -> Vec<(String, bool)> {
    let parameters = model.store().unwrap().parameters();
    parameters.iter().map(|p| (p.path.clone(), p.trainable)).collect()
}

/// A model of two dense layers, of which the first is frozen.
fn base() -> Model {
    let x = Input::new([3]);
    let h = Dense::new(4).activation("tanh").name("first").trainable(false).apply(&x).unwrap();
    let y = Dense::new(2).name("second").apply(&h).unwrap();
    let mut model = Model::new([&x], [&y]).unwrap();
    model.set_name("base");
    model
}

#[test]
fn a_nested_model_is_used_twice_and_frozen_in_part() {
    let base = base();
    let (a, b) = (Input::new([3]).name("a"), Input::new([3]).name("b"));
    let sum = (&base.apply(&a).unwrap() + &base.apply(&b).unwrap()).unwrap();
    let y = Dense::new(1).name("top").apply(&sum).unwrap();
    let mut model = Model::new([&a, &b], [&y]).unwrap();
    model.compile(SGD::new(0.1), "mse").unwrap();
    let expected = [
        ("base/first/kernel", false),
        ("base/first/bias", false),
        ("base/second/kernel", true),
        ("base/second/bias", true),
        ("top/kernel", true),
        ("top/bias", true),
    ];
    assert_eq!(paths(&model), expected.map(|(path, t)| (path.to_string(), t)));

    let xs = [tensor(&[1., 2., 3., 4., 5., 6.], &[2, 3]), tensor(&[0.5; 6], &[2, 3])];
    let before = model.network().unwrap().get_weights().unwrap();
    model.fit(&[&xs[0], &xs[1]], &tensor(&[1., -1.], &[2, 1]), 2, 2).unwrap();
    let after = model.network().unwrap().get_weights().unwrap();
    for ((before, after), (path, trains)) in before.iter().zip(&after).zip(expected) {
        assert_eq!(f32s(before) != f32s(after), trains, "{path}");
    }
    // The base model itself has the trained weights: they are the same layers.
    let second = base.get_layer("second").unwrap();
    assert_eq!(f32s(second.weights()[0].var.as_tensor()), f32s(&after[2]));

    // JSON and files hold all of it, with the nested model's uses.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nested.keras");
    model.save(&path).unwrap();
    let loaded = Model::load(&path).unwrap();
    assert_eq!(paths(&loaded), paths(&model));
    let predict = |model: &Model| f32s(&model.predict(&[&xs[0], &xs[1]]).unwrap());
    assert_eq!(predict(&loaded), predict(&model));
    assert_eq!(loaded.to_json().unwrap(), model.to_json().unwrap());
}

#[test]
fn models_of_inner_tensors_share_their_weights() {
    let base = base();
    let inner = Model::new(base.inputs().unwrap(), base.layer_outputs("first").unwrap()).unwrap();
    let mut inner = inner;
    inner.build(&Dims::batch_of(&[3])).unwrap();
    let x = tensor(&[1., 2., 3.], &[1, 3]);
    let mut whole = base;
    whole.build(&Dims::batch_of(&[3])).unwrap();
    let h = inner.predict(&x).unwrap();
    assert_eq!(h.dims(), [1, 4]);
    let second = whole.get_layer("second").unwrap();
    let by_hand = sconce::layers::run(&second, &[&h], &mut Context::inference()).unwrap().remove(0);
    assert_eq!(f32s(&by_hand), f32s(&whole.predict(&x).unwrap()));
    let error = whole.get_layer("secund").unwrap_err().to_string();
    assert!(error.contains("unknown layer `secund`. Did you mean `second`?"), "{error}");
}

#[test]
fn inner_dropouts_differ_and_training_false_reaches_them() {
    let x = Input::new([64]);
    let a = Dropout::new(0.5).name("one").apply(&x).unwrap();
    let b = Dropout::new(0.5).name("two").apply(&x).unwrap();
    let inner = Model::new([&x], [&a, &b]).unwrap();
    let z = Input::new([64]).name("z");
    let entry = inner.entry();
    let first = (&entry).apply_all(&z).unwrap();
    let second = (&entry).apply_all(&z).unwrap();
    let still = (&entry).apply_all(Args::one(z.clone()).value("training", false)).unwrap();
    let mut model =
        Model::new([&z], [&first[0], &first[1], &second[0], &second[1], &still[0]]).unwrap();
    let json = model.to_json().unwrap();
    assert_eq!(Model::from_json(&json).unwrap().to_json().unwrap(), json);
    model.build(&Dims::batch_of(&[64])).unwrap();
    let ones = Tensor::ones((1, 64), DType::F32, &Device::Cpu).unwrap();
    let run = |step| {
        let mut cx = Context::training(1, step).recording(false);
        let outputs = model.network().unwrap().forward(std::slice::from_ref(&ones), &mut cx);
        outputs.unwrap().iter().map(f32s).collect::<Vec<_>>()
    };
    let masks = run(0);
    for i in 0..4 {
        assert!(masks[i].contains(&0.0));
        for j in 0..i {
            assert_ne!(masks[i], masks[j], "{i} {j}");
        }
    }
    assert!(masks[4].iter().all(|v| *v == 1.0), "training=False drops nothing");
    assert_eq!(masks, run(0));
    assert_ne!(masks[0], run(1)[0]);
}

/// `query + scale * value`, with `value` and `scale` as keywords or in order.
#[derive(Clone, Debug, sconce::core::Config)]
#[config(package = "tests")]
struct Blend {}

impl Layer for Blend {
    fn arguments(&self) -> &'static [&'static str] {
        &["query", "value", "scale"]
    }

    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(x.flat().into_iter().take(1).cloned().collect())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let scale = call.flag("scale").and_then(Json::as_f64).unwrap_or(1.0);
        let missing = || Error::layer("", "needs a value");
        let value = call.arg(1, "value").ok_or_else(missing)?;
        Ok(vec![(call.x(0)? + (value * scale)?)?])
    }
}

#[test]
fn keywords_go_through_json_unchanged() {
    let objects = sconce::core::CustomObjects::new().register::<sconce::layers::Layers, Blend>();
    let (q, v) = (Input::new([2]).name("q"), Input::new([2]).name("v"));
    let args = Args::one(q.clone()).named("value", v.clone()).value("scale", 0.5);
    let y = Blend {}.name("blend").apply(args).unwrap();
    let model = Model::new([&q, &v], [&y]).unwrap();
    let json = model.to_json().unwrap();
    let kwargs = &serde_json::from_str::<Json>(&json).unwrap()["config"]["layers"][2];
    assert_eq!(kwargs["registered_name"], "tests>Blend");
    assert_eq!(kwargs["inbound_nodes"][0]["kwargs"]["scale"], json!(0.5));
    let mut again = objects.scope(|| Model::from_json(&json)).unwrap();
    assert_eq!(again.to_json().unwrap(), json);
    again.build(&Dims::batch_of(&[2])).unwrap();
    let (q, v) = (tensor(&[1., 2.], &[1, 2]), tensor(&[10., 20.], &[1, 2]));
    assert_eq!(f32s(&again.predict(&[&q, &v]).unwrap()), [6.0, 12.0]);
    let error = Model::from_json(&json).unwrap_err().to_string();
    assert!(error.contains("tests>Blend"), "{error}");
    let x = Input::new([2]);
    let unknown = Args::one(x.clone()).value("scael", 1);
    let error = Blend {}.name("blend").apply(unknown).unwrap_err().to_string();
    assert!(error.contains("layer `blend`: unknown argument `scael`. Did you mean `scale`?"));
    let error = Dense::new(1).name("d").apply((&x, &x)).unwrap_err().to_string();
    assert!(error.contains("layer `d`: Dense takes 1 positional argument"), "{error}");
}

/// Counts its uses in training in integer state, and adds the count to its input.
struct Counter {}

impl Configured for Counter {
    fn class_name(&self) -> &'static str {
        "Counter"
    }
}

impl Layer for Counter {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Counter")?.clone()])
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let spec = WeightSpec::new("count", &[], Arc::new(Zeros {}));
        Ok(vec![spec.non_trainable().dtype(DType::I64)])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let count = call.state("count")?;
        if call.training() {
            call.update("count", (&count + 1.0)?)?;
        }
        Ok(vec![call.single()?.broadcast_add(&count.to_dtype(DType::F32)?)?])
    }
}

#[test]
fn state_is_read_in_the_step_that_updates_it() {
    let counter = Counter {}.name("counter").entry();
    let x = Input::new([1]);
    let a = (&counter).apply(&x).unwrap();
    let b = (&counter).apply(&a).unwrap();
    let still = (&counter).apply(Args::one(b.clone()).value("training", false)).unwrap();
    let mut model = Model::new([&x], [&still]).unwrap();
    model.build(&Dims::batch_of(&[1])).unwrap();
    let zero = Tensor::zeros((1, 1), DType::F32, &Device::Cpu).unwrap();
    let mut cx = Context::training(0, 0);
    // 0, then 1 after the first use, then 2 after the second.
    assert_eq!(f32s(&model.forward(&zero, &mut cx).unwrap()), [3.0]);
    let count = |model: &Model| model.store().unwrap().get("counter/count").unwrap().var.clone();
    assert_eq!(count(&model).to_scalar::<i64>().unwrap(), 0);
    cx.apply_updates().unwrap();
    assert_eq!(count(&model).to_scalar::<i64>().unwrap(), 2);
    assert_eq!(f32s(&model.predict(&zero).unwrap()), [6.0]);
    assert_eq!(count(&model).dtype(), DType::I64);
}

/// Marks steps whose first value is not 0.
struct Mark {}

impl Configured for Mark {
    fn class_name(&self) -> &'static str {
        "Mark"
    }
}

impl Layer for Mark {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Mark")?.clone()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![call.single()?.clone()])
    }

    fn makes_masks(&self) -> bool {
        true
    }

    fn mask(&self, call: &Call<'_>, _: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
        let first = call.single()?.narrow(2, 0, 1)?.squeeze(2)?;
        Ok(vec![Some(first.ne(0f64)?)])
    }
}

#[test]
fn a_mask_reaches_the_loss_through_layers_and_models() {
    let h = Input::new([2, 1]);
    let inner = Model::new([&h], [&Dense::new(1).name("dense").apply(&h).unwrap()]).unwrap();
    let x = Input::new([2, 1]).name("x");
    let y = inner.apply(&Mark {}.name("mark").apply(&x).unwrap()).unwrap();
    let mut model = Model::new([&x], [&y]).unwrap();
    model.compile(SGD::new(0.1), "mse").unwrap();
    model.get_layer("functional").unwrap();
    let weights = [tensor(&[2.0], &[1, 1]), tensor(&[0.0], &[1])];
    model.network().unwrap().set_weights(&weights).unwrap();
    // Predictions 2, 0 and 6, 8; the second step of the first sample does not count.
    let x = tensor(&[1., 0., 3., 4.], &[2, 2, 1]);
    let targets = tensor(&[1., 100., 4., 5.], &[2, 2, 1]);
    let loss = model.evaluate(&x, &targets).unwrap().get("loss").unwrap();
    assert!((loss - (1.0 + 4.0 + 9.0) / 3.0).abs() < 1e-6, "{loss}");
}

/// Takes indices as they come, and gives those above 2^24 as 1.
struct Large {}

impl Configured for Large {
    fn class_name(&self) -> &'static str {
        "Large"
    }
}

impl Layer for Large {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![Spec::float(x.single("Large")?.dims.clone())])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let ids = call.single()?;
        Ok(vec![ids.eq(&(ids.ones_like()? * ((1i64 << 24) + 1) as f64)?)?.to_dtype(DType::F32)?])
    }

    fn casts_integers(&self) -> bool {
        false
    }
}

#[test]
fn ids_beyond_two_to_the_24_arrive_intact() {
    let ids = Tensor::new(&[[(1i64 << 24) + 1, 1 << 24, (1 << 24) + 2]], &Device::Cpu).unwrap();
    let x = Input::typed([3], "int64");
    let model = || Model::new([&x], [&Large {}.apply(&x).unwrap()]).unwrap();
    let mut functional = model();
    functional.build(&Dims::batch_of(&[3])).unwrap();
    assert_eq!(f32s(&functional.predict(&ids).unwrap()), [1.0, 0.0, 0.0]);
    // Built from its data, a Sequential keeps their type too.
    let mut sequential = Sequential::new().add(Large {}).add(Dense::new(1));
    sequential.compile("sgd", "mse").unwrap();
    sequential.fit(&ids, &tensor(&[1.0], &[1, 1]), 1, 1).unwrap();
    let dtype = sequential
        .network()
        .unwrap()
        .graph()
        .spec(sequential.network().unwrap().graph().inputs()[0])
        .dtype;
    assert_eq!(dtype, DType::I64);
}

#[test]
fn a_tensor_and_a_weight_read_three_times_have_the_same_bits_everywhere() {
    let x = Input::new([3]);
    let shared = Dense::new(3).activation("tanh").name("shared").entry();
    let h = (&shared).apply(&x).unwrap();
    let again = (&shared).apply(&h).unwrap();
    let third = (&shared).apply(&again).unwrap();
    let sum = (&(&h + &again).unwrap() + &(&third * &h).unwrap()).unwrap();
    let make = || {
        let architecture = sconce::model::Architecture::functional([&x], [&sum]).unwrap();
        let mut model = Model::of(architecture.duplicate().unwrap());
        model.build(&Dims::batch_of(&[3])).unwrap();
        model
    };
    let (xs, ys) = (tensor(&[0.3, -0.2, 0.9, 1.1, 0.4, -0.7], &[2, 3]), tensor(&[0.5; 6], &[2, 3]));
    let bits = |model: &Model| -> Vec<u32> {
        let weights = model.network().unwrap().get_weights().unwrap();
        weights.iter().flat_map(f32s).map(f32::to_bits).collect()
    };
    let mut fitted = make();
    fitted.compile(SGD::new(0.1), "mse").unwrap();
    fitted.fit(&xs, &ys, 3, 2).unwrap();
    let loops = |value_and_gradient: bool| {
        let model = make();
        let mut optimizer = model.optimizer(SGD::new(0.1)).unwrap();
        let loss_fn = MeanSquaredError::new();
        for _ in 0..3 {
            let mut cx = Context::training(0, optimizer.iterations);
            let loss_of =
                |model: &Model, cx: &mut Context| loss_fn.call(&ys, &model.forward(&xs, cx)?);
            let gradients = match value_and_gradient {
                true => value_and_grad(&model, &mut cx, loss_of).unwrap().1,
                false => model.backward(&loss_of(&model, &mut cx).unwrap()).unwrap(),
            };
            model.update(&mut optimizer, &gradients, &mut cx).unwrap();
        }
        bits(&model)
    };
    assert_eq!(bits(&fitted), loops(true));
    assert_eq!(bits(&fitted), loops(false));
    assert_ne!(bits(&fitted), bits(&make()));
}

#[test]
fn candle_s_own_backward_says_what_to_call() {
    let w = Var::from_tensor(&tensor(&[1., 2.], &[2])).unwrap();
    let (result, tape) = Tape::record(|| arithmetic(Operator::Multiply, &w, &w));
    let above = result.unwrap().sqr().unwrap().sum_all().unwrap();
    let error = above.backward().unwrap_err().to_string();
    assert!(error.contains("call `model.backward(&loss)`, `value_and_grad` or"), "{error}");
    // The tape itself goes on from there: d(w^4) = 4 w^3.
    let mut sink = GradientSink::new([w.as_tensor()]);
    tape.backward(&above, &mut sink).unwrap();
    assert_eq!(f32s(&sink.take(&w).unwrap()), [4.0, 32.0]);
    // Once: the tape is empty now.
    let error = tape.backward(&above, &mut sink).unwrap_err().to_string();
    assert!(error.contains("differentiate each loss once"), "{error}");
    // Without a tape there is nothing to go back on.
    let lost = arithmetic(Operator::Add, &w, &w).unwrap().sum_all().unwrap();
    assert!(sconce::core::gradients(&lost, &[&w]).is_err());
}
