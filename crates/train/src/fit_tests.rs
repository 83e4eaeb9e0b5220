//! What the arguments of `fit` do to the loss, computed by hand, and what a step does to state.

use crate::{Compile, Fit, Model, Sequential, Verbose};
use sconce_core::{Args, Device, Result, Spec, Tensor, WeightSpec};
use sconce_layers::initializers::Zeros;
use sconce_layers::{Call, Configured, Dense, Layer, LayerExt};
use std::sync::Arc;

/// A model that gives 0 and does not learn: the loss of a sample is the square of its target.
fn zero() -> Sequential {
    let dense = Dense::new(1).kernel_initializer("zeros").use_bias(false);
    let mut model = Sequential::new().add(dense.input_shape([1]));
    model.compile_with(Compile::new(crate::optimizers::SGD::new(0.0), "mse")).unwrap();
    model
}

fn column(values: &[f32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap().unsqueeze(1).unwrap()
}

const TARGETS: [f32; 6] = [0., 1., 2., 2., 1., 3.];

/// Loss and validation loss of one epoch.
fn losses(fit: Fit) -> (f64, f64) {
    let y = column(&TARGETS);
    let history = zero().fit_with(&y, &y, fit.verbose(Verbose::Silent)).unwrap();
    let last = |name| history.last(name).unwrap_or(f64::NAN);
    (last("loss"), last("val_loss"))
}

#[track_caller]
fn close(ours: f64, expected: f64) {
    assert!((ours - expected).abs() < 1e-6, "{ours}, expected {expected}");
}

#[test]
fn classes_left_out_of_class_weight_count_1() {
    let (loss, _) = losses(Fit::new(1, 6).class_weight([(2, 10.0)]));
    close(loss, (1. + 40. + 40. + 1. + 9.) / 6.);
}

#[test]
fn class_weights_leave_what_is_held_out_alone() {
    let (loss, val_loss) = losses(
        Fit::new(1, 6).class_weight([(1, 5.0), (2, 10.0), (3, 100.0)]).validation_split(0.5),
    );
    close(loss, (0. + 5. + 40.) / 3.);
    close(val_loss, (4. + 1. + 9.) / 3.);
}

#[test]
fn class_weights_multiply_sample_weights() {
    let weights = Tensor::new(&[1f32, 2., 0.5, 1., 1., 0.], &Device::Cpu).unwrap();
    let fit = || Fit::new(1, 6).sample_weight(&weights).unwrap();
    let (loss, _) = losses(fit());
    close(loss, (2. + 2. + 4. + 1.) / 6.);
    let (loss, _) = losses(fit().class_weight([(1, 5.0), (2, 10.0), (3, 7.0)]));
    close(loss, (10. + 20. + 40. + 5.) / 6.);
}

#[test]
fn soft_labels_count_for_the_nearest_class() {
    let y = column(&[0.9, 0.1, 0.95, 0.05]);
    let fit = Fit::new(1, 4).class_weight([(0, 1.0), (1, 10.0)]).verbose(Verbose::Silent);
    let loss = zero().fit_with(&y, &y, fit).unwrap().last("loss").unwrap();
    close(loss, (10. * 0.81 + 0.01 + 10. * 0.9025 + 0.0025) / 4.);
}

#[test]
fn sample_weights_are_split_with_the_rows() {
    let weights = Tensor::new(&[1f32, 2., 1., 3., 0., 1.], &Device::Cpu).unwrap();
    let (loss, val_loss) =
        losses(Fit::new(1, 6).sample_weight(&weights).unwrap().validation_split(0.5));
    close(loss, (0. + 2. + 4.) / 3.);
    close(val_loss, (12. + 0. + 9.) / 3.);
}

/// Counts the steps it is trained for.
struct Steps {}

impl Configured for Steps {
    fn class_name(&self) -> &'static str {
        "Steps"
    }
}

impl Layer for Steps {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Steps")?.clone()])
    }

    fn weights(&self, _: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        Ok(vec![WeightSpec::new("count", &[], Arc::new(Zeros {})).non_trainable()])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        if call.training() {
            let next = (call.state("count")? + 1.0)?;
            call.update("count", next)?;
        }
        Ok(vec![call.single()?.clone()])
    }
}

#[test]
fn fit_keeps_the_state_that_layers_update() {
    let mut model = Sequential::new().add(Steps {}.name("steps")).add(Dense::new(1).name("dense"));
    model.compile("sgd", "mse").unwrap();
    let y = column(&TARGETS);
    let count = |model: &Model| -> f32 {
        model.store().unwrap().get("steps/count").unwrap().var.to_scalar().unwrap()
    };
    model.fit_with(&y, &y, Fit::new(3, 4).verbose(Verbose::Silent).validation_split(0.2)).unwrap();
    assert_eq!(count(&model), 3.0);
    model.evaluate(&y, &y).unwrap();
    model.predict(&y).unwrap();
    assert_eq!(count(&model), 3.0);
    model.train_on_batch(&y, &y).unwrap();
    assert_eq!(count(&model), 4.0);
}

#[test]
fn an_update_that_overflows_is_an_error_that_names_the_weights() {
    let mut model = Sequential::new()
        .add(Dense::new(1).kernel_initializer("ones").use_bias(false).name("out").input_shape([1]));
    model.compile(crate::optimizers::SGD::new(3e38), "mse").unwrap();
    let (x, y) = (column(&[1.0]), column(&[5.0]));
    let fit = Fit::new(1, 1).verbose(Verbose::Silent);
    let error = model.fit_with(&x, &y, fit).unwrap_err().to_string();
    assert!(error.contains("after epoch 1 these weights are not finite: out/kernel"), "{error}");
}

#[test]
fn a_step_that_fails_keeps_no_tensors() {
    let mut model = zero();
    model.compile(crate::optimizers::SGD::new(0.1), "mse").unwrap();
    let fit = Fit::new(1, 1).verbose(Verbose::Silent);
    let error = model.fit_with(&column(&[1.0]), &column(&[3e38]), fit).unwrap_err();
    assert!(error.to_string().contains("the loss is not finite at update 1"), "{error}");
    assert!(model.parts().unwrap().tape.is_empty());
}
