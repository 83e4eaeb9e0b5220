//! Single steps: the batch methods, and what the first step refuses.

use crate::styles::{bits, keras_style};
use sconce::layers::initializers::Ones;
use sconce::prelude::*;
use sconce::train::metrics::Goal;
use sconce::train::{StepInput, TrainStep};
use std::sync::Arc;

fn compiled() -> Sequential {
    let mut model = keras_style::model().unwrap();
    let compile = Compile::new(Adam::new(0.01), "sparse_categorical_crossentropy");
    model.compile_with(compile.metrics(["accuracy"])).unwrap();
    model
}

#[test]
fn batches_by_hand_are_what_fit_does() {
    let (x, y) = keras_style::points();
    let mut fitted = compiled();
    let fit = Fit::new(1, 200).shuffle(false).verbose(Verbose::Silent);
    let history = fitted.fit_with(&x, &y, fit).unwrap();

    let mut model = compiled();
    let mut losses = Vec::new();
    for start in (0..x.len()).step_by(200) {
        let (x, y) = (&x[start..start + 200], &y[start..start + 200]);
        let scores = model.train_on_batch(&x.to_vec(), &y.to_vec()).unwrap();
        assert_eq!(scores.names(), ["loss", "accuracy"]);
        losses.push(scores.get("loss").unwrap());
    }
    assert_eq!(bits(&model), bits(&fitted));
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    assert!((mean - history.last("loss").unwrap()).abs() < 1e-6, "{losses:?}");

    let (one, all) = (model.test_on_batch(&x, &y).unwrap(), model.evaluate(&x, &y).unwrap());
    for name in ["loss", "accuracy"] {
        assert!((one.get(name).unwrap() - all.get(name).unwrap()).abs() < 1e-5, "{name}");
    }
    let (one, all) = (model.predict_on_batch(&x).unwrap(), model.predict(&x).unwrap());
    assert_eq!(one.to_vec2::<f32>().unwrap(), all.to_vec2::<f32>().unwrap());
}

/// Declares a weight and does not use it.
#[derive(Default)]
struct Forgetful {}

impl Configured for Forgetful {
    fn class_name(&self) -> &'static str {
        "Forgetful"
    }
}

impl Layer for Forgetful {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Forgetful")?.clone()])
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        Ok(vec![WeightSpec::new("scale", &[1], Arc::new(Ones {}))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![call.single()?.clone()])
    }
}

#[test]
fn a_weight_without_gradient_is_named_in_the_first_step() {
    let (x, y) = keras_style::points();
    let model = |units| {
        let first = Dense::new(units).input_shape([2]);
        Sequential::new().add(first).add(Forgetful::default().name("forgetful"))
    };
    for mut model in [model(3), model(4).add(Dense::new(3))] {
        model.compile("sgd", "sparse_categorical_crossentropy").unwrap();
        let before = bits(&model);
        let error = model.fit(&x, &y, 1, 32).unwrap_err().to_string();
        assert!(error.contains("get no gradient from the loss: forgetful/scale."), "{error}");
        assert_eq!(bits(&model), before);
    }
}

#[test]
fn the_first_layer_that_is_not_finite_is_named() {
    let (x, y) = keras_style::points();
    let mut model = Sequential::new()
        .add(Dense::new(4).name("first").input_shape([2]))
        .add(Dense::new(4).name("second"))
        .add(Dense::new(3).name("third"));
    model.compile("sgd", "sparse_categorical_crossentropy").unwrap();
    let infinite = Tensor::full(f32::INFINITY, 4, &Device::Cpu).unwrap();
    model.network().unwrap().set_weight("second/bias", &infinite).unwrap();
    let error = model.fit(&x, &y, 1, 32).unwrap_err().to_string();
    assert!(error.contains("the loss is not finite at update 1"), "{error}");
    assert!(error.contains("the first layer whose output is not finite is `second`"), "{error}");
}

/// Moves no weight; logs the mean of x, or of its square where it is tested.
struct Means;

impl TrainStep for Means {
    fn logged(&self) -> Vec<(&'static str, Option<Goal>)> {
        vec![("mean", Some(Goal::Min))]
    }

    fn train_step(&mut self, input: StepInput<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![input.batch.x[0].mean_all()?])
    }

    fn test_step(&mut self, input: StepInput<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![input.batch.x[0].sqr()?.mean_all()?])
    }
}

/// Has no `test_step`.
struct Untested;

impl TrainStep for Untested {
    fn logged(&self) -> Vec<(&'static str, Option<Goal>)> {
        vec![("mean", None)]
    }

    fn train_step(&mut self, input: StepInput<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![input.batch.x[0].mean_all()?])
    }
}

#[test]
fn a_training_step_is_validated_with_its_test_step() {
    let x: Vec<[f32; 1]> = (0..10).map(|i| [i as f32]).collect();
    let fit = || {
        let fit = Fit::new(2, 4).verbose(Verbose::Silent);
        fit.validation_data(&vec![[3f32], [1.0]], &vec![0f32; 2])
    };
    let train = |fit: Fit| {
        let mut model = Sequential::new().add(Dense::new(1).input_shape([1]));
        model.build(&Dims::batch_of(&[1])).unwrap();
        model.fit_with(&x, &[0f32; 10], fit)
    };
    // The mean over samples, not over batches; monitored by its validation name.
    let stopping = EarlyStopping::new("val_mean").patience(0);
    let history = train(fit().train_step(Means).callback(stopping)).unwrap();
    assert_eq!(history.get("mean"), [4.5, 4.5]);
    assert_eq!(history.get("val_mean"), [5.0, 5.0]);
    let error = train(fit().train_step(Untested)).unwrap_err().to_string();
    assert!(error.contains("has no `test_step`; implement it, or leave out"), "{error}");
    // A model that is not compiled shows progress too.
    assert_eq!(train(Fit::new(1, 4).train_step(Untested)).unwrap().get("mean"), [4.5]);
}
