//! Every row of the tables of losses and metrics: a row without a case, or without Keras's numbers with
//! sample weights, fails.

use crate::object_cases::{ObjectCase, case, check};
use sconce::core::{Kind, Tape, gradients};
use sconce::ops::gradient_check::{self, sample};
use sconce::prelude::*;
use sconce::train::losses::{LossFn, Losses};
use sconce::train::metrics::{MetricFn, Metrics};
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
    /// `[4, 2]` class indices, for predictions `[4, 5, 3]`.
    Sequences,
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
        (case("CTC", json!({"reduction": "sum", "name": "own"})), Sequences),
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
        case("BinaryIoU", json!({"target_class_ids": [1], "threshold": 0.3, "dtype": "float32"})),
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
        case(
            "IoU",
            json!({"num_classes": 3, "target_class_ids": [0, 2], "ignore_class": 1, "sparse_y_pred": false}),
        ),
        case("KLDivergence", json!({"name": "own"})),
        case("LogCoshError", json!({"name": "own"})),
        case("MeanAbsoluteError", json!({"name": "own"})),
        case("MeanAbsolutePercentageError", json!({"name": "own"})),
        case(
            "MeanIoU",
            json!({"num_classes": 3, "ignore_class": -1, "sparse_y_true": false, "axis": 1}),
        ),
        case("MeanSquaredError", json!({})),
        case("MeanSquaredLogarithmicError", json!({"name": "own"})),
        case(
            "OneHotIoU",
            json!({"num_classes": 3, "target_class_ids": [2], "sparse_y_pred": true}),
        ),
        case("OneHotMeanIoU", json!({"num_classes": 3, "ignore_class": 0, "name": "own"})),
        case("PearsonCorrelation", json!({"axis": 1})),
        case("Poisson", json!({"name": "own"})),
        case("Precision", json!({"thresholds": [0.3, 0.6], "top_k": 2, "class_id": 1})),
        case("PrecisionAtRecall", json!({"recall": 0.3, "num_thresholds": 5, "class_id": 1})),
        case(
            "R2Score",
            json!({"class_aggregation": "variance_weighted_average", "num_regressors": 2}),
        ),
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

/// Labels of several lengths, also equal ones and none.
fn sequences() -> Tensor {
    Tensor::new(&[[1i64, 2], [1, 1], [2, 0], [0, 0]], &Device::Cpu).unwrap()
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
            Targets::Sequences => sequences(),
            Targets::Undecided => continue,
        };
        let probabilities = case.config["from_logits"] == json!(false)
            || matches!(targets, Targets::Rates)
            || case.class_name == "CategoricalGeneralizedCrossEntropy";
        let y_pred = match targets {
            Targets::Sequences => sample("y_pred", &[4, 5, 3]).unwrap(),
            _ if probabilities => shares("y_pred"),
            _ => tensor("y_pred"),
        };
        let loss = LossFn::new(case.class_name, case.config.clone()).unwrap();
        let loss = loss.get().unwrap();
        let total = |x: &[&Tensor]| Ok(loss.call_weighted(&y_true, x[0], Some(&weight))?);
        gradient_check::check(total, &[y_pred], 1e-6)
            .unwrap_or_else(|error| panic!("{} {}: {error}", case.class_name, case.config));
    }
}

/// Batches that are hard on formulas: nothing but zeros, nothing but ones, one class, large numbers of one
/// and of both signs.
fn extremes(dims: &[usize]) -> Vec<Tensor> {
    let count: usize = dims.iter().product();
    let make = |f: &dyn Fn(usize) -> f32| {
        Tensor::from_vec((0..count).map(f).collect::<Vec<_>>(), dims, &Device::Cpu).unwrap()
    };
    let last = dims.last().copied().unwrap_or(1).max(1);
    vec![
        make(&|_| 0.0),
        make(&|_| 1.0),
        make(&|i| if i % last == 0 { 1.0 } else { 0.0 }),
        make(&|i| if i % 2 == 0 { 1e4 } else { 0.0 }),
        make(&|i| if i % 2 == 0 { 1e4 } else { -1e4 }),
    ]
}

/// Pairs of targets and predictions of every shape that some loss or metric takes.
fn extreme_batches() -> Vec<(Tensor, Tensor)> {
    let labels = |dims: &[usize]| -> Vec<Tensor> {
        extremes(dims).iter().take(3).map(|t| t.to_dtype(DType::I64).unwrap()).collect()
    };
    let pairs = [
        (extremes(&[4, 3]), extremes(&[4, 3])),
        (extremes(&[4, 1]), extremes(&[4, 1])),
        (labels(&[4]), extremes(&[4, 3])),
        (labels(&[4, 3]), extremes(&[4, 3])),
        (labels(&[4, 2]), extremes(&[4, 5, 3])),
        (labels(&[4, 5, 1]), extremes(&[4, 5, 3])),
    ];
    let all = |(t, p): (Vec<Tensor>, Vec<Tensor>)| -> Vec<(Tensor, Tensor)> {
        t.iter().flat_map(|t| p.iter().map(move |p| (t.clone(), p.clone()))).collect()
    };
    pairs.into_iter().flat_map(all).collect()
}

/// Those of a loss or metric. Rates of Poisson's distribution are not negative: Keras's value is not a
/// number there, and ours neither, which ends a run with an error that says so.
fn extreme_batches_of(class_name: &str) -> Vec<(Tensor, Tensor)> {
    let batches = extreme_batches().into_iter();
    match class_name {
        "Poisson" => batches.map(|(y_true, y_pred)| (y_true, y_pred.abs().unwrap())).collect(),
        // Overlaps are of shares from 0 to 1: others can make the divisor 0.
        "Dice" | "Tversky" => {
            let share = |x: Tensor| x.clamp(0f32, 1f32).unwrap();
            batches.map(|(y_true, y_pred)| (share(y_true), share(y_pred))).collect()
        }
        _ => batches.collect(),
    }
}

/// Without weights, with some, and with nothing selected.
fn extreme_weights() -> [Option<Tensor>; 3] {
    let weight = |values: [f32; 4]| Some(Tensor::new(&values, &Device::Cpu).unwrap());
    [None, weight([1.0, 0.0, 2.0, 0.5]), weight([0.0; 4])]
}

/// Every row of the table, with the configurations of its cases and its defaults: values and gradients
/// are finite, or the batch is refused with a sentence.
#[test]
fn losses_of_extreme_batches_are_finite() {
    for entry in Losses::entries() {
        let cases = loss_cases();
        let configs = cases.iter().map(|(case, _)| case);
        let configs = configs.filter(|case| case.class_name == entry.class_name);
        let configs: Vec<Json> =
            configs.map(|case| case.config.clone()).chain([json!({})]).collect();
        let mut compared = 0;
        for (config, (y_true, y_pred)) in configs.iter().flat_map(|config| {
            extreme_batches_of(entry.class_name).into_iter().map(move |b| (config, b))
        }) {
            let loss = LossFn::new(entry.class_name, config.clone()).unwrap();
            let loss = loss.get().unwrap();
            let dims = Dims::known(y_pred.dims());
            let refused = loss
                .check_shape("y", y_true.dims(), &dims)
                .and_then(|()| loss.check_values("y", &y_true, &dims));
            if refused.is_err() {
                continue;
            }
            for weight in extreme_weights() {
                let about = format!("{} {config}: {y_true} {y_pred} {weight:?}", entry.class_name);
                let y_pred = candle_core::Var::from_tensor(&y_pred).unwrap();
                let _tape = Tape::current_or_new();
                let total = loss.call_weighted(&y_true, &y_pred, weight.as_ref());
                let Ok(total) = total else { continue };
                let value = total.to_scalar::<f32>().unwrap();
                assert!(value.is_finite(), "{value}: {about}");
                let gradient = gradients(&total, &[&y_pred]).unwrap().remove(0).unwrap();
                let gradient = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}: {about}");
                compared += 1;
            }
        }
        let undecided = entry.class_name == "crossentropy";
        assert!(undecided || compared > 10, "{}: {compared} batches", entry.class_name);
    }
}

#[test]
fn metrics_of_extreme_batches_are_finite() {
    for entry in Metrics::entries() {
        let cases = metric_cases();
        let configs = cases.iter().filter(|case| case.class_name == entry.class_name);
        let configs: Vec<Json> = configs.map(|case| case.config.clone()).collect();
        let defaults = entry.defaults().map(|_| json!({}));
        let mut compared = 0;
        for config in configs.iter().chain(&defaults) {
            let metric = MetricFn::new(entry.class_name, config.clone()).unwrap();
            let metric = metric.get().unwrap();
            assert_eq!(metric.new_state().result().unwrap(), 0.0, "{}", entry.class_name);
            for (y_true, y_pred) in extreme_batches_of(entry.class_name) {
                let dims = Dims::known(y_pred.dims());
                if metric.check_shape("y", y_true.dims(), &dims).is_err() {
                    continue;
                }
                for weight in extreme_weights() {
                    let about =
                        format!("{} {config}: {y_true} {y_pred} {weight:?}", entry.class_name);
                    let mut state = metric.new_state();
                    if state.update(&y_true, &y_pred, weight.as_ref()).is_err() {
                        continue;
                    }
                    let values = state.values().unwrap();
                    assert!(values.iter().all(|value| value.is_finite()), "{values:?}: {about}");
                    assert!(state.result().unwrap().is_finite(), "{about}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 10, "{}: {compared} batches", entry.class_name);
    }
}
