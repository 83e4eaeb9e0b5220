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
    /// As `Values`, for predictions from 0 to 1.
    Rates,
    /// `[4]` class indices.
    Labels,
    /// Chosen by `fit` from the shapes: it has no numbers of its own.
    Undecided,
}

pub fn loss_cases() -> Vec<(ObjectCase, Targets)> {
    use Targets::*;
    let focal = json!({"apply_class_balancing": true, "alpha": 0.3, "label_smoothing": 0.1});
    let smooth = json!({"label_smoothing": 0.1, "reduction": "mean_with_sample_weight"});
    vec![
        (case("BinaryCrossentropy", json!({"from_logits": true, "name": "own"})), Shares),
        (case("BinaryCrossentropy", json!({"from_logits": false})), Shares),
        (case("BinaryFocalCrossentropy", focal), Shares),
        (case("BinaryFocalCrossentropy", json!({"from_logits": false, "gamma": 0.5})), Shares),
        (case("CategoricalCrossentropy", smooth), Shares),
        (case("CategoricalCrossentropy", json!({"from_logits": false})), Shares),
        (case("CategoricalFocalCrossentropy", json!({"alpha": 0.5, "gamma": 1.5})), Shares),
        (case("CategoricalFocalCrossentropy", json!({"from_logits": false})), Shares),
        (case("CategoricalGeneralizedCrossEntropy", json!({"q": 0.3})), Labels),
        (case("CategoricalHinge", json!({"name": "own"})), Shares),
        (case("Circle", json!({"gamma": 4.0, "margin": 0.3, "remove_diagonal": false})), Labels),
        (case("CosineSimilarity", json!({"axis": 1})), Values),
        (case("Dice", json!({"axis": [0, 1]})), Rates),
        (case("Dice", json!({"axis": 1})), Rates),
        (case("Hinge", json!({"reduction": "sum"})), Values),
        (case("Huber", json!({"delta": 0.7, "reduction": "sum"})), Values),
        (case("KLDivergence", json!({"name": "own"})), Rates),
        (case("LogCosh", json!({"reduction": "sum"})), Values),
        (case("MeanAbsolutePercentageError", json!({"name": "own"})), Values),
        (case("MeanSquaredLogarithmicError", json!({"name": "own"})), Rates),
        (case("Poisson", json!({"name": "own"})), Rates),
        (case("SquaredHinge", json!({"name": "own"})), Values),
        (case("Tversky", json!({"alpha": 0.3, "beta": 0.9, "axis": 1})), Rates),
        (case("MeanAbsoluteError", json!({})), Values),
        (case("MeanSquaredError", json!({"reduction": "sum"})), Values),
        (case("SparseCategoricalCrossentropy", json!({"ignore_class": 1})), Labels),
        (case("SparseCategoricalCrossentropy", json!({"from_logits": false})), Labels),
        (case("crossentropy", json!({})), Undecided),
    ]
}

pub fn metric_cases() -> Vec<ObjectCase> {
    vec![
        case(
            "AUC",
            json!({"curve": "PR", "summation_method": "majoring", "multi_label": true, "num_labels": 2}),
        ),
        case(
            "AUC",
            json!({"num_thresholds": 4, "thresholds": [0.2, 0.6], "label_weights": [1.0, 0.5]}),
        ),
        case("Accuracy", json!({"name": "own"})),
        case("BinaryAccuracy", json!({"threshold": 0.3})),
        case("BinaryCrossentropy", json!({"from_logits": true, "label_smoothing": 0.1})),
        case("CategoricalAccuracy", json!({})),
        case("CategoricalCrossentropy", json!({"axis": -1, "from_logits": false})),
        case("CategoricalHinge", json!({"name": "own"})),
        case("ConcordanceCorrelation", json!({"axis": 1})),
        case("CosineSimilarity", json!({"axis": 1})),
        case("F1Score", json!({"average": "weighted", "threshold": 0.3})),
        case("FBetaScore", json!({"average": "micro", "beta": 2.0})),
        case("FalseNegatives", json!({"thresholds": 0.3})),
        case("FalsePositives", json!({"thresholds": [0.3, 0.6]})),
        case("Hinge", json!({"name": "own"})),
        case("KLDivergence", json!({"name": "own"})),
        case("LogCoshError", json!({"name": "own"})),
        case("MeanAbsoluteError", json!({"name": "own"})),
        case("MeanAbsolutePercentageError", json!({"name": "own"})),
        case("MeanSquaredError", json!({})),
        case("MeanSquaredLogarithmicError", json!({"name": "own"})),
        case("PearsonCorrelation", json!({"axis": 1})),
        case("Poisson", json!({"name": "own"})),
        case("Precision", json!({"thresholds": [0.3, 0.6], "top_k": 2, "class_id": 1})),
        case("PrecisionAtRecall", json!({"recall": 0.3, "num_thresholds": 5, "class_id": 1})),
        case("Recall", json!({"thresholds": 0.3, "class_id": 1})),
        case("RecallAtPrecision", json!({"precision": 0.3})),
        case("RootMeanSquaredError", json!({"name": "own"})),
        case("SensitivityAtSpecificity", json!({"specificity": 0.3})),
        case("SparseCategoricalAccuracy", json!({})),
        case("SparseCategoricalCrossentropy", json!({"ignore_class": -1})),
        case("SparseTopKCategoricalAccuracy", json!({"k": 3})),
        case("SpecificityAtSensitivity", json!({"sensitivity": 0.3})),
        case("SquaredHinge", json!({"name": "own"})),
        case("TopKCategoricalAccuracy", json!({"k": 2, "name": "own"})),
        case("TrueNegatives", json!({"name": "own"})),
        case("TruePositives", json!({"thresholds": [0.3]})),
    ]
}

/// Whether Keras's numbers hold the class with sample weights. What is in those files is compared in
/// the crate of losses.
fn has_weighted_golden(groups: &[&str], class_name: &str) -> bool {
    groups.iter().flat_map(|group| golden::load(group)).any(|case| {
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
        assert!(
            undecided || has_weighted_golden(&["losses", "losses_other"], name),
            "{name} has no golden"
        );
    }
}

#[test]
fn every_metric_has_a_case_and_keras_s_numbers() {
    check::<Metrics>(&metric_cases());
    for entry in Metrics::entries() {
        let name = entry.class_name;
        assert!(has_weighted_golden(&["metrics", "metrics_other"], name), "{name} has no golden");
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
            Targets::Shares | Targets::Rates => shares("y_true"),
            Targets::Labels => Tensor::new(&[0i64, 1, 2, 2], &Device::Cpu).unwrap(),
            Targets::Undecided => continue,
        };
        let probabilities = case.config["from_logits"] == json!(false)
            || matches!(targets, Targets::Rates)
            || case.class_name == "CategoricalGeneralizedCrossEntropy";
        let y_pred = if probabilities { shares("y_pred") } else { tensor("y_pred") };
        let loss = LossFn::new(case.class_name, case.config.clone()).unwrap();
        let loss = loss.get().unwrap();
        let total = |x: &[&Tensor]| Ok(loss.call_weighted(&y_true, x[0], Some(&weight))?);
        gradient_check::check(total, &[y_pred], 1e-6)
            .unwrap_or_else(|error| panic!("{} {}: {error}", case.class_name, case.config));
    }
}
