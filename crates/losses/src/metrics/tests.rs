//! Every metric against Keras: results after each of several batches, with and without weights.

use super::*;
use sconce_core::Json;
use sconce_testkit::golden;

#[test]
fn all_cases_agree_with_keras() {
    let cases = golden::load("metrics");
    let mut compared = 0;
    for case in &cases {
        let class = case.config()["class_name"].as_str().unwrap();
        // Huber is no metric of Keras by name.
        if class == "MeanMetricWrapper" {
            continue;
        }
        compared += 1;
        let name = case.name();
        let expected = case.tensor("results").to_vec1::<f32>().unwrap();
        let weights = case.tensors("sample_weight");
        let check = |batch: usize, result: f64| {
            let wanted = f64::from(expected[batch]);
            let error = (result - wanted).abs() / wanted.abs().max(1.0);
            assert!(error < 1e-5, "{name}, batch {batch}: {result}, expected {wanted}");
        };
        if class == "Mean" {
            let mut mean = Mean::new();
            for (batch, values) in case.tensors("values").iter().enumerate() {
                mean.update(values.as_ref().unwrap(), weights[batch].as_ref()).unwrap();
                check(batch, mean.result().unwrap());
            }
            continue;
        }
        if class == "Sum" {
            let mut sum = Sum::new();
            for (batch, values) in case.tensors("values").iter().enumerate() {
                sum.update(values.as_ref().unwrap(), weights[batch].as_ref()).unwrap();
                check(batch, sum.result().unwrap());
            }
            continue;
        }
        let part = MetricFn::from_json(case.config()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let metric = part.get().unwrap();
        assert_eq!(Json::from(metric.name()), case.config()["config"]["name"], "{name}");
        let mut running = metric.start();
        let (y_true, y_pred) = (case.tensors("y_true"), case.tensors("y_pred"));
        for (batch, (t, p)) in y_true.iter().zip(&y_pred).enumerate() {
            let (t, p) = (t.as_ref().unwrap(), p.as_ref().unwrap());
            metric.check_shape("y", t.dims(), &Dims::known(p.dims())).unwrap();
            let result = running.update(t, p, weights[batch].as_ref());
            result.unwrap_or_else(|e| panic!("{name}: {e}"));
            check(batch, running.result().unwrap());
        }
        running.reset();
        assert_eq!(running.result().unwrap(), 0.0, "{name}");
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn default_names_are_kerass() {
    for (name, class) in [("mse", "MeanSquaredError"), ("BCE", "BinaryCrossentropy")] {
        let metric = MetricFn::from(name);
        assert_eq!((metric.class_name(), log_name(&metric).unwrap().as_str()), (class, name));
    }
    let index = std::fs::read_to_string(golden::path("metrics.json")).unwrap();
    let index: Json = serde_json::from_str(&index).unwrap();
    for (alias, object) in index["aliases"].as_object().unwrap() {
        let class = |name: &str| Metrics::find(name).map(|entry| entry.class_name);
        assert_eq!(class(alias), class(object.as_str().unwrap()), "{alias}");
    }
    let metric = MetricFn::from(SparseTopKCategoricalAccuracy::new(3));
    assert_eq!(log_name(&metric).unwrap(), "sparse_top_k_categorical_accuracy");
    let named = MetricFn::from(MeanSquaredError { name: Some("own".into()), ..Default::default() });
    assert_eq!(log_name(&named).unwrap(), "own");
}

#[test]
fn names_are_made_unique() {
    let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        unique_names(&list(&["acc", "mse", "acc"]), &list(&["acc", "mae", "mse", "acc"])),
        ["acc", "mse", "acc_1", "weighted_acc", "mae", "weighted_mse", "weighted_acc_1"]
    );
}

#[test]
fn accuracy_goes_with_the_shapes() {
    let resolved = |y_true: &[usize], output: &[usize], logits: bool| {
        let y_pred = Dims::batch_of(output);
        let outputs = Outputs { y_pred: &y_pred, y_true: Some(y_true), logits, inferred: logits };
        let metric = resolve(&MetricFn::from("acc"), y_true, &outputs).unwrap().unwrap();
        assert_eq!(metric.get().unwrap().name(), "acc");
        (metric.class_name().to_string(), metric.config().unwrap()["threshold"].as_f64())
    };
    let class = |class: &str| (class.to_string(), None);
    assert_eq!(resolved(&[8], &[1], false), ("BinaryAccuracy".into(), Some(0.5)));
    assert_eq!(resolved(&[8, 1], &[1], true), ("BinaryAccuracy".into(), Some(0.0)));
    assert_eq!(resolved(&[8], &[3], true), class("SparseCategoricalAccuracy"));
    assert_eq!(resolved(&[8, 1], &[3], true), class("SparseCategoricalAccuracy"));
    assert_eq!(resolved(&[8, 5], &[5, 3], true), class("SparseCategoricalAccuracy"));
    assert_eq!(resolved(&[8, 3], &[3], false), class("CategoricalAccuracy"));
}

#[test]
fn shapes_that_do_not_go_together() {
    let output = Dims::batch_of(&[3]);
    let refused = |metric: &str, y_true: &[usize]| {
        let metric = MetricFn::from(metric);
        metric.get().unwrap().check_shape("y", y_true, &output).unwrap_err().to_string()
    };
    let error = refused("sparse_categorical_accuracy", &[8, 3]);
    assert!(error.contains("categorical_accuracy as a metric"), "{error}");
    let error = refused("categorical_accuracy", &[8]);
    assert!(error.contains("sparse_categorical_accuracy as a metric"), "{error}");
    let error = refused("mae", &[8]);
    assert!(error.contains("mean_absolute_error needs targets of the shape"), "{error}");
    let error = MetricFn::from("acuracy").get().err().unwrap().to_string();
    assert!(error.contains("unknown metric `acuracy`. Did you mean `accuracy`?"), "{error}");
    let zero = MetricFn::from(TopKCategoricalAccuracy::new(0));
    assert!(zero.get().err().unwrap().to_string().contains("must be at least 1"));
}
