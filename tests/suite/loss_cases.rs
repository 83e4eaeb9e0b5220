//! Every row of the tables of losses and metrics: a row without a case, or without Keras's numbers with
//! sample weights, fails.

use crate::object_cases::{ObjectCase, case, check};
use sconce::core::Kind;
use sconce::ops::gradient_check::{self, sample};
use sconce::prelude::*;
use sconce::train::losses::{LossFn, Losses};
use sconce::train::metrics::Metrics;
use sconce_testkit::golden;
use serde_json::{Value as Json, json};

/// What a loss compares, for predictions `[4, 3]`.
pub enum Targets {
    /// `[4, 3]`, any.
    Values,
    /// `[4, 3]` from 0 to 1.
    Shares,
    /// `[4]` class indices.
    Labels,
    /// Chosen by `fit` from the shapes: it has no numbers of its own.
    Undecided,
}

pub fn loss_cases() -> Vec<(ObjectCase, Targets)> {
    use Targets::*;
    let smooth = json!({"label_smoothing": 0.1, "reduction": "mean_with_sample_weight"});
    vec![
        (case("BinaryCrossentropy", json!({"from_logits": true, "name": "own"})), Shares),
        (case("BinaryCrossentropy", json!({"from_logits": false})), Shares),
        (case("CategoricalCrossentropy", smooth), Shares),
        (case("CategoricalCrossentropy", json!({"from_logits": false})), Shares),
        (case("Huber", json!({"delta": 0.7, "reduction": "sum"})), Values),
        (case("MeanAbsoluteError", json!({})), Values),
        (case("MeanSquaredError", json!({"reduction": "sum"})), Values),
        (case("SparseCategoricalCrossentropy", json!({"ignore_class": 1})), Labels),
        (case("SparseCategoricalCrossentropy", json!({"from_logits": false})), Labels),
        (case("crossentropy", json!({})), Undecided),
    ]
}

pub fn metric_cases() -> Vec<ObjectCase> {
    vec![
        case("Accuracy", json!({"name": "own"})),
        case("BinaryAccuracy", json!({"threshold": 0.3})),
        case("BinaryCrossentropy", json!({"from_logits": true, "label_smoothing": 0.1})),
        case("CategoricalAccuracy", json!({})),
        case("CategoricalCrossentropy", json!({"axis": -1, "from_logits": false})),
        case("MeanAbsoluteError", json!({"name": "own"})),
        case("MeanSquaredError", json!({})),
        case("RootMeanSquaredError", json!({"name": "own"})),
        case("SparseCategoricalAccuracy", json!({})),
        case("SparseCategoricalCrossentropy", json!({"ignore_class": -1})),
        case("SparseTopKCategoricalAccuracy", json!({"k": 3})),
        case("TopKCategoricalAccuracy", json!({"k": 2, "name": "own"})),
    ]
}

/// Whether Keras's numbers hold the class with sample weights. What is in those files is compared in
/// the crate of losses.
fn has_weighted_golden(group: &str, class_name: &str) -> bool {
    golden::load(group).iter().any(|case| {
        let weights = case.field("tensors")["sample_weight"].clone();
        let weighted = weights.is_string() || weights.get(0).is_some_and(Json::is_string);
        case.config()["class_name"] == class_name && weighted
    })
}

#[test]
fn every_loss_has_a_case_and_keras_s_numbers() {
    let (cases, targets): (Vec<_>, Vec<_>) = loss_cases().into_iter().unzip();
    check::<Losses>(&cases);
    for (case, targets) in cases.iter().zip(&targets) {
        let undecided = matches!(targets, Targets::Undecided);
        let name = case.class_name;
        assert!(undecided || has_weighted_golden("losses", name), "{name} has no golden");
    }
}

#[test]
fn every_metric_has_a_case_and_keras_s_numbers() {
    check::<Metrics>(&metric_cases());
    for entry in Metrics::entries() {
        let name = entry.class_name;
        assert!(has_weighted_golden("metrics", name), "{name} has no golden");
    }
}

/// The weighted loss of a batch in f64 against central differences.
#[test]
fn gradients_of_losses_agree_with_finite_differences() {
    let weight = Tensor::new(&[1.0, 0.5, 2.0, 0.0], &Device::Cpu).unwrap();
    let tensor = |name: &str| sample(name, &[4, 3]).unwrap();
    let shares = |name: &str| (tensor(name) * 0.2).unwrap().affine(1.0, 0.5).unwrap();
    for (case, targets) in loss_cases() {
        let y_true = match targets {
            Targets::Values => tensor("y_true"),
            Targets::Shares => shares("y_true"),
            Targets::Labels => Tensor::new(&[0i64, 1, 2, 2], &Device::Cpu).unwrap(),
            Targets::Undecided => continue,
        };
        let y_pred = match case.config["from_logits"] == json!(false) {
            true => shares("y_pred"),
            false => tensor("y_pred"),
        };
        let loss = LossFn::new(case.class_name, case.config.clone()).unwrap();
        let loss = loss.get().unwrap();
        let total = |x: &[&Tensor]| Ok(loss.call_weighted(&y_true, x[0], Some(&weight))?);
        gradient_check::check(total, &[y_pred], 1e-6)
            .unwrap_or_else(|error| panic!("{} {}: {error}", case.class_name, case.config));
    }
}
