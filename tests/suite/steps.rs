//! Single steps: the batch methods, and what the first step refuses.

use crate::styles::{bits, keras_style};
use sconce::layers::initializers::Ones;
use sconce::prelude::*;
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
    let mut model = Sequential::new()
        .add(Dense::new(3).input_shape([2]))
        .add(Forgetful::default().name("forgetful"));
    model.compile("sgd", "sparse_categorical_crossentropy").unwrap();
    let before = bits(&model);
    let error = model.fit(&x, &y, 1, 32).unwrap_err().to_string();
    assert!(error.contains("get no gradient from the loss: forgetful/scale."), "{error}");
    assert_eq!(bits(&model), before);
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
