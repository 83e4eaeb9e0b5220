//! Every metric against Keras: results after each of several batches, with and without weights.

use super::*;
use sconce_core::Json;
use sconce_testkit::golden;

#[test]
fn all_cases_agree_with_keras() {
    let mut cases = golden::load_on_devices("metrics");
    cases.extend(golden::load_on_devices("metrics_other"));
    assert!(cases.len() > 100, "{}", cases.len());
    golden::check_each(cases, |case| {
        let class = case.config()["class_name"].as_str().unwrap();
        let name = case.name();
        let expected = case.tensor("results");
        let weights = case.tensors("sample_weight");
        let check_all = |batch: usize, results: &[f64]| {
            let wanted = expected.get(batch).unwrap().flatten_all().unwrap();
            let wanted = wanted.to_vec1::<f32>().unwrap();
            assert_eq!(results.len(), wanted.len(), "{name}");
            for (result, wanted) in results.iter().zip(wanted.into_iter().map(f64::from)) {
                // Keras's correlation with a constant row is NaN; ours is 0.
                if wanted.is_nan() && class == "PearsonCorrelation" {
                    assert!(result.abs() <= 1.0, "{name}, batch {batch}: {result}");
                    continue;
                }
                let error = (result - wanted).abs() / wanted.abs().max(1.0);
                assert!(error < 1e-5, "{name}, batch {batch}: {result}, expected {wanted}");
            }
        };
        let check = |batch: usize, result: f64| check_all(batch, &[result]);
        if class == "Mean" {
            let mut mean = Mean::new();
            for (batch, values) in case.tensors("values").iter().enumerate() {
                mean.update(values.as_ref().unwrap(), weights[batch].as_ref()).unwrap();
                check(batch, mean.result().unwrap());
            }
            return;
        }
        if class == "Sum" {
            let mut sum = Sum::new();
            for (batch, values) in case.tensors("values").iter().enumerate() {
                sum.update(values.as_ref().unwrap(), weights[batch].as_ref()).unwrap();
                check(batch, sum.result().unwrap());
            }
            return;
        }
        let mut part = MetricFn::from_json(case.config()).unwrap_or_else(|e| panic!("{name}: {e}"));
        if class == "function" {
            // Of a model that ends in a softmax or sigmoid.
            let y_pred = Dims::known(case.tensors("y_pred")[0].as_ref().unwrap().dims());
            let (y_true, logits, inferred) = (None, false, false);
            let outputs = Outputs { y_pred: &y_pred, y_true, logits, inferred };
            part = resolve(&part, &[], &outputs).unwrap().unwrap_or(part);
        }
        let metric = part.get().unwrap();
        let config = &case.config()["config"];
        let named = config.get("name").unwrap_or(config);
        assert_eq!(&Json::from(metric.name()), named, "{name}");
        let mut state = metric.new_state();
        let (y_true, y_pred) = (case.tensors("y_true"), case.tensors("y_pred"));
        for (batch, (t, p)) in y_true.iter().zip(&y_pred).enumerate() {
            let (t, p) = (t.as_ref().unwrap(), p.as_ref().unwrap());
            metric.check_shape("y", t.dims(), &Dims::known(p.dims())).unwrap();
            let result = state.update(t, p, weights[batch].as_ref());
            result.unwrap_or_else(|e| panic!("{name}: {e}"));
            check_all(batch, &state.values().unwrap());
        }
        state.reset();
        assert_eq!(state.result().unwrap(), 0.0, "{name}");
    });
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
    let named = MetricFn::from(MeanSquaredError { name: Some("own".into()) });
    assert_eq!(log_name(&named).unwrap(), "own");
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
    assert!(zero.get().err().unwrap().to_string().contains("a whole number of at least 1"));
}

/// As `_direction` in keras/src/metrics.
#[test]
fn goals_are_kerass() {
    for entry in Metrics::entries() {
        let name = entry.class_name;
        let config = match name {
            "PrecisionAtRecall" => serde_json::json!({"recall": 0.5}),
            "RecallAtPrecision" => serde_json::json!({"precision": 0.5}),
            "SensitivityAtSpecificity" => serde_json::json!({"specificity": 0.5}),
            "SpecificityAtSensitivity" => serde_json::json!({"sensitivity": 0.5}),
            "IoU" | "OneHotIoU" => serde_json::json!({"num_classes": 2, "target_class_ids": [0]}),
            "MeanIoU" | "OneHotMeanIoU" => serde_json::json!({"num_classes": 2}),
            _ => serde_json::json!({}),
        };
        let metric = MetricFn::new(name, config).unwrap();
        let errors = ["Error", "Crossentropy", "Hinge", "KLDivergence", "Poisson"];
        let expected = match name {
            _ if errors.iter().any(|end| name.ends_with(end)) => Some(Goal::Min),
            _ if name.ends_with("tives") => None,
            _ => Some(Goal::Max),
        };
        assert_eq!(metric.get().unwrap().goal(), expected, "{name}");
    }
}

/// A metric of a user's own, with nothing but what is required.
struct MaxError;

impl Metric for MaxError {
    fn new_state(&self) -> Box<dyn MetricState> {
        averaged(MaxErrorValues)
    }
}

struct MaxErrorValues;

impl SampleValues for MaxErrorValues {
    fn values(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        Ok((y_true - y_pred)?.abs()?.max(1)?.into())
    }
}

#[test]
fn a_metric_of_ones_own_has_defaults() {
    assert_eq!((MaxError.name().as_str(), MaxError.goal()), ("max_error", None));
    let error = MaxError.check_shape("y", &[8], &Dims::batch_of(&[3])).unwrap_err().to_string();
    assert!(error.contains("max_error needs targets of the shape of the output"), "{error}");
    MaxError.check_shape("y", &[8, 3], &Dims::batch_of(&[3])).unwrap();
}

#[test]
fn a_restored_state_continues_exactly() {
    for case in golden::load("metrics").into_iter().chain(golden::load("metrics_other")) {
        let name = case.name();
        if name.starts_with("mean/") || name.starts_with("sum/") {
            continue;
        }
        let part = MetricFn::from_json(case.config()).unwrap();
        let mut whole = part.get().unwrap().new_state();
        let batches = case.tensors("y_true").into_iter().zip(case.tensors("y_pred"));
        for ((y_true, y_pred), weight) in batches.zip(case.tensors("sample_weight")) {
            // The state of each batch goes through tensors to the next.
            let mut next = part.get().unwrap().new_state();
            next.restore(&whole.state().unwrap()).unwrap();
            let (y_true, y_pred) = (y_true.unwrap(), y_pred.unwrap());
            for state in [&mut whole, &mut next] {
                state.update(&y_true, &y_pred, weight.as_ref()).unwrap();
            }
            assert_ne!(whole.result().unwrap(), f64::NAN, "{name}");
            assert_eq!(whole.result().unwrap(), next.result().unwrap(), "{name}");
        }
    }
    let device = &sconce_core::Device::Cpu;
    let values = Tensor::new(&[1f32, 4.0], device).unwrap();
    let mut sum = Sum::new();
    sum.update(&values, None).unwrap();
    let mut next = Sum::new();
    next.restore(&sum.state().unwrap()).unwrap();
    next.update(&values, None).unwrap();
    assert_eq!(next.result().unwrap(), 10.0);
}

#[test]
fn states_of_other_metrics_are_refused_and_change_nothing() {
    let device = &sconce_core::Device::Cpu;
    let mut mean = Mean::new();
    mean.update(&Tensor::new(&[1f32, 4.0], device).unwrap(), None).unwrap();
    let scalar = Tensor::new(1f64, device).unwrap();
    let error = mean.restore(std::slice::from_ref(&scalar)).unwrap_err().to_string();
    assert!(error.contains("has 2 tensors, 1 were given"), "{error}");
    let count = Tensor::new(1i64, device).unwrap();
    let error = mean.restore(&[scalar, count]).unwrap_err().to_string();
    assert!(error.contains("a scalar of type f64 or f32, found I64"), "{error}");
    assert_eq!(mean.result().unwrap(), 2.5);
}

/// What stays on a device is f32 and is not converted; a state of a device continues there.
#[test]
fn a_state_of_a_device_stays_f32() {
    let device = &sconce_core::Device::Cpu;
    let mut total = total::Total::default();
    total.add_tensor(&Tensor::new(2f32, device).unwrap()).unwrap();
    let mut next = total::Total::from_state(&total.state().unwrap()).unwrap();
    next.add_tensor(&Tensor::new(3f32, device).unwrap()).unwrap();
    next.add(1.5).unwrap();
    assert_eq!(next.state().unwrap().dtype(), sconce_core::DType::F32);
    assert_eq!(next.read().unwrap(), 6.5);
    let mut host = total::Total::default();
    host.add(0.25).unwrap();
    host.add_tensor(&Tensor::new(3f32, device).unwrap()).unwrap();
    assert_eq!(host.read().unwrap(), 3.25);
}

#[test]
fn means_are_accumulated_in_f64() {
    let device = &sconce_core::Device::Cpu;
    // In f32, 2^24 + 1 = 2^24.
    let mut values = vec![1f32; 4097];
    values[0] = 16_777_216.0;
    let rows = values.len();
    let values = Tensor::from_vec(values, rows, device).unwrap();
    let expected = (16_777_216.0 + 4096.0) / 4097.0;
    let mut mean = Mean::new();
    mean.update(&values, None).unwrap();
    assert_eq!(mean.result().unwrap(), expected);
    let mut mean = Mean::new();
    for row in 0..rows {
        mean.add(&values.get(row).unwrap(), 1.0).unwrap();
    }
    assert_eq!(mean.result().unwrap(), expected);
}

#[test]
fn float_labels_are_not_truncated() {
    let device = &sconce_core::Device::Cpu;
    let y_pred = Tensor::new(&[[0.9f32, 0.1], [0.2, 0.8]], device).unwrap();
    for metric in ["sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"] {
        let mut state = MetricFn::from(metric).get().unwrap().new_state();
        let soft = Tensor::new(&[0f32, 0.95], device).unwrap();
        let error = state.update(&soft, &y_pred, None).unwrap_err().to_string();
        assert!(
            error.contains("hold 0.95") && error.contains("at position 1"),
            "{metric}: {error}"
        );
        state.update(&Tensor::new(&[0f32, 1.0], device).unwrap(), &y_pred, None).unwrap();
        assert_eq!(state.result().unwrap(), 1.0, "{metric}");
    }
}

/// An axis of classes that is not the last; Keras fails in `result` there.
#[test]
fn intersections_along_another_axis() {
    let device = &sconce_core::Device::Cpu;
    let draw = |name: &str| sconce_ops::gradient_check::sample(name, &[2, 3, 4, 3]).unwrap();
    let (t, p) = (draw("t"), draw("p"));
    let result = |axis: i64, t: &Tensor, p: &Tensor| {
        let mut state = OneHotMeanIoU::new(3).axis(axis).new_state();
        state.update(t, p, None).unwrap();
        state.result().unwrap()
    };
    let moved = |x: &Tensor| x.permute((0, 3, 1, 2)).unwrap();
    assert_eq!(result(-1, &t, &p), result(1, &moved(&t), &moved(&p)));
    assert!(result(-1, &t, &p) > 0.0);
    let iou = IoU::new(3, vec![0]);
    let error = iou.check_shape("y", &[2, 5], &Dims::batch_of(&[4])).unwrap_err().to_string();
    assert!(error.contains("sparse_y_pred"), "{error}");
    let error = MetricFn::from(IoU::new(3, vec![3])).get().err().unwrap().to_string();
    assert!(error.contains("target_class_ids") && error.contains("below 3"), "{error}");
    let mut state = MeanIoU::new(2).dtype(CountType::Float32).new_state();
    let labels = Tensor::new(&[0i64, 1, 1], device).unwrap();
    let weight = Tensor::new(&[0.5f32, 0.25, 0.0], device).unwrap();
    state.update(&labels, &labels, Some(&weight)).unwrap();
    assert!((state.result().unwrap() - 1.0).abs() < 1e-6);
}

#[test]
fn equal_targets_have_a_score() {
    let device = &sconce_core::Device::Cpu;
    let t = Tensor::full(0.1f32, (7, 2), device).unwrap();
    let near = (&t + 0.5).unwrap();
    for (p, expected) in [(&t, 1.0), (&near, 0.0)] {
        let mut state = R2Score::new().new_state();
        state.update(&t, p, None).unwrap();
        assert_eq!(state.result().unwrap(), expected);
    }
}

/// Keras's numbers of these are in metrics_other.
#[test]
fn losses_among_metrics_keep_their_form() {
    let function = |name: &str| {
        serde_json::json!({"module": "builtins", "class_name": "function", "config": name,
            "registered_name": "function"})
    };
    let huber = serde_json::json!({"module": "keras.losses", "class_name": "Huber",
        "config": {"reduction": "sum", "delta": 0.5, "name": "own"}, "registered_name": null});
    let wrapper = serde_json::json!({"module": "keras.metrics", "class_name": "MeanMetricWrapper",
        "config": {"name": "h", "dtype": "float32", "fn": function("huber"), "delta": 0.3},
        "registered_name": null});
    for (json, name) in [
        (function("huber"), "huber"),
        (function("cosine_similarity"), "cosine_similarity"),
        (huber, "own"),
        (wrapper, "h"),
    ] {
        let metric = MetricFn::from_json(&json).unwrap();
        assert_eq!(log_name(&metric).unwrap(), name);
        assert_eq!(metric.get().unwrap().goal(), Some(Goal::Min));
        assert_eq!(metric.to_json().unwrap(), json, "{name}");
    }
    // A metric function that is no loss is the metric of its name.
    let json = function("binary_accuracy");
    assert_eq!(MetricFn::from_json(&json).unwrap().class_name(), "BinaryAccuracy");
    let message = |json: Json| MetricFn::from_json(&json).unwrap_err().to_string();
    let mut wrong = serde_json::json!({"module": "keras.losses", "class_name": "Huber", "config": {"dleta": 1}});
    assert!(message(wrong.clone()).starts_with("at `config.dleta`: unknown key"));
    wrong["module"] = "keras.metrics".into();
    assert!(message(wrong).contains("unknown metric `Huber`"));
    let wrapped =
        |config: Json| serde_json::json!({"class_name": "MeanMetricWrapper", "config": config});
    let error = message(wrapped(serde_json::json!({"fn": function("huber"), "dleta": 1})));
    assert!(error.starts_with("at `config.dleta`: unknown key"), "{error}");
    let error = message(wrapped(serde_json::json!({})));
    assert!(error.contains("`fn` is missing"), "{error}");
    let error = message(wrapped(serde_json::json!({"fn": "huber"})));
    assert!(error.starts_with("at `config.fn`"), "{error}");
}

#[test]
fn loss_functions_follow_the_logits_of_the_model() {
    let y_pred = Dims::batch_of(&[1]);
    let outputs = Outputs { y_pred: &y_pred, y_true: Some(&[4, 1]), logits: true, inferred: true };
    let metric = loss_metric("binary_crossentropy");
    let resolved = resolve(&metric, &[4, 1], &outputs).unwrap().unwrap();
    let json = resolved.to_json().unwrap();
    assert_eq!(
        (&json["class_name"], &json["config"]["from_logits"]),
        (&"MeanMetricWrapper".into(), &true.into())
    );
    assert_eq!(log_name(&resolved).unwrap(), "binary_crossentropy");
    assert_eq!(MetricFn::from_json(&json).unwrap().to_json().unwrap(), json);
    let object = loss_metric(crate::losses::BinaryCrossentropy::new().name("own"));
    let resolved = resolve(&object, &[4, 1], &outputs).unwrap().unwrap();
    assert_eq!(resolved.to_json().unwrap()["config"]["from_logits"], true);
    assert_eq!(log_name(&resolved).unwrap(), "own");
}
