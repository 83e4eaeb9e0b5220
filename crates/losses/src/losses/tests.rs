//! Every loss against Keras: values, reductions, sample weights, gradients.

use super::*;
use candle_core::Var;
use sconce_core::Json;
use sconce_testkit::golden::{self, Case};
use sconce_testkit::{assert_close, difference};

/// The loss of a case. Keras does not write Huber's `delta`; the case's name has it.
fn loss(case: &Case) -> LossFn {
    let mut config = case.config().clone();
    if let Some(delta) = case.name().split("delta=").nth(1) {
        let delta = delta.split('/').next().unwrap();
        config["config"]["delta"] = delta.parse::<f64>().unwrap().into();
    }
    // Nor the axis of vectors.
    if case.name() == "cosine_similarity/axis=1/rank_3" {
        config["config"]["axis"] = 1.into();
    }
    LossFn::from_json(&config).unwrap_or_else(|e| panic!("{}: {e}", case.name()))
}

/// Per sample values, loss and gradient of one case in one type.
fn run(case: &Case, suffix: &str, tolerance: f64) {
    let name = case.name();
    let dtype = if suffix.is_empty() { DType::F32 } else { DType::F64 };
    let part = loss(case);
    let loss = part.get().unwrap();
    let y_true = case.tensor("y_true");
    let y_pred = Var::from_tensor(&case.tensor("y_pred").to_dtype(dtype).unwrap()).unwrap();
    loss.check_shape("y", y_true.dims(), &Dims::known(y_pred.dims())).unwrap();
    let weight = case.has("sample_weight").then(|| case.tensor("sample_weight"));
    let _tape = sconce_core::Tape::current_or_new();
    let values = loss.per_sample(&y_true, &y_pred).unwrap();
    let expected = |role: &str| case.tensor(&format!("{role}{suffix}"));
    assert_close(
        &format!("{name}: per_sample"),
        &values.values,
        &expected("per_sample"),
        tolerance,
    );
    let total = match loss.reduction() {
        Reduction::None => reduce::weigh(values, weight.as_ref()).unwrap(),
        _ => loss.call_weighted(&y_true, &y_pred, weight.as_ref()).unwrap(),
    };
    let wanted = expected("loss");
    // Keras turns values [B] weighted by [B, 1] into [B, 1].
    let wanted = wanted.reshape(total.dims()).unwrap();
    assert_close(&format!("{name}: loss"), &total, &wanted, tolerance);
    let gradients = sconce_core::gradients(&total.sum_all().unwrap(), &[&y_pred]).unwrap();
    let gradient = gradients[0].as_ref().unwrap_or_else(|| panic!("{name}: no gradient"));
    let mut wanted = expected("gradient");
    if name.starts_with("mean_absolute_error/kinks") {
        // At an error of exactly 0 JAX alone takes a slope of 1; TensorFlow, PyTorch and we take 0.
        let differs = y_pred.ne(&y_true.to_dtype(dtype).unwrap()).unwrap();
        wanted = (wanted * differs.to_dtype(dtype).unwrap()).unwrap();
    }
    if name == "kl_divergence/certain" {
        // At the bound of a clip JAX alone takes half of the slope; TensorFlow, PyTorch and we take it.
        let bound = y_pred.eq(1.0).unwrap().to_dtype(dtype).unwrap();
        wanted = (&wanted * (bound + 1.0).unwrap()).unwrap();
    }
    assert_close(&format!("{name}: gradient"), gradient, &wanted, tolerance);
}

#[test]
fn all_cases_agree_with_keras() {
    let mut cases = golden::load_on_devices("losses");
    assert!(cases.len() > 200);
    cases.extend(golden::load_on_devices("losses_other"));
    golden::check_each(cases, |case| {
        run(case, "", 1e-5);
        // Keras rounds means to float32 on the way, and computes all of CTC in it.
        let tolerance = if case.name().starts_with("ctc") { 2e-6 } else { 2e-7 };
        run(case, "64", tolerance);
    });
}

#[test]
fn names_and_aliases() {
    for (name, class) in [
        ("mse", "MeanSquaredError"),
        ("MSE", "MeanSquaredError"),
        ("mean_squared_error", "MeanSquaredError"),
        ("MeanAbsoluteError", "MeanAbsoluteError"),
        ("MAE", "MeanAbsoluteError"),
        ("bce", "BinaryCrossentropy"),
        ("huber", "Huber"),
        ("Huber", "Huber"),
        ("CategoricalCrossentropy", "CategoricalCrossentropy"),
        ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"),
        ("crossentropy", "crossentropy"),
    ] {
        let loss = LossFn::from(name);
        assert_eq!((loss.class_name(), loss.to_json().unwrap()), (class, Json::from(name)));
    }
    let index = std::fs::read_to_string(golden::path("losses.json")).unwrap();
    let index: Json = serde_json::from_str(&index).unwrap();
    for (alias, object) in index["aliases"].as_object().unwrap() {
        let class = |name: &str| Losses::find(name).map(|entry| entry.class_name);
        assert_eq!(class(alias), class(object.as_str().unwrap()), "{alias}");
    }
    let error = LossFn::from("categorical_crosentropy").get().err().unwrap().to_string();
    assert!(error.contains("Did you mean `categorical_crossentropy`?"), "{error}");
}

#[test]
fn configs_are_kerass() {
    let parse = |json: &str| LossFn::from_json(&serde_json::from_str(json).unwrap());
    let message = |json: &str| parse(json).unwrap_err().to_string();
    for dtype in
        ["null", r#""float32""#, r#"{"class_name": "DTypePolicy", "config": {"name": "float32"}}"#]
    {
        let json = format!(
            r#"{{"class_name": "BinaryCrossentropy", "config": {{"dtype": {dtype}, "reduction": "mean",
                "name": null, "from_logits": null, "label_smoothing": 0, "axis": -1}}}}"#
        );
        assert_eq!(parse(&json).unwrap().get().unwrap().takes_logits(), Some(None));
    }
    let error = message(r#"{"class_name": "Huber", "config": {"dtype": "float16"}}"#);
    assert!(
        error.contains("config.dtype") && error.contains("`float16` is not supported"),
        "{error}"
    );
    let error = message(r#"{"class_name": "Huber", "config": {"delta": 0}}"#);
    assert!(error.contains("config.delta") && error.contains("above 0"), "{error}");
    let error =
        message(r#"{"class_name": "BinaryCrossentropy", "config": {"label_smoothing": 2}}"#);
    assert!(error.contains("config.label_smoothing") && error.contains("from 0 to 1"), "{error}");
    let error = message(r#"{"class_name": "Huber", "config": {"reduction": "avg"}}"#);
    assert!(error.contains("config.reduction") && error.contains("sum_over_batch_size"), "{error}");
    let written = LossFn::from(SparseCategoricalCrossentropy::new().from_logits(true));
    assert_eq!(
        written.to_json().unwrap(),
        serde_json::json!({"module": "keras.losses", "class_name": "SparseCategoricalCrossentropy",
            "config": {"from_logits": true, "ignore_class": null, "reduction": "sum_over_batch_size"},
            "registered_name": null})
    );
}

#[test]
fn shapes_that_do_not_go_together() {
    let output = Dims::batch_of(&[3]);
    let refused = |loss: &str, y_true: &[usize], output: &Dims| {
        let loss = LossFn::from(loss);
        loss.get().unwrap().check_shape("y", y_true, output).unwrap_err().to_string()
    };
    for loss in ["mse", "mae", "huber", "binary_crossentropy", "categorical_crossentropy"] {
        for y_true in [&[8][..], &[8, 1]] {
            let error = refused(loss, y_true, &output);
            assert!(error.contains(&format!("y has shape {y_true:?}")), "{error}");
            assert!(error.contains("(None, 3)"), "{error}");
            assert!(error.contains("use the sparse_categorical_crossentropy loss"), "{error}");
        }
        let error = refused(loss, &[8, 4], &output);
        assert!(error.contains("nothing is broadcast"), "{error}");
    }
    let error = refused("sparse_categorical_crossentropy", &[8, 3], &output);
    assert!(error.contains("for one-hot targets use categorical_crossentropy"), "{error}");
    for loss in ["sparse_categorical_crossentropy", "categorical_crossentropy"] {
        let error = refused(loss, &[8, 1], &Dims::batch_of(&[1]));
        assert!(error.contains("use binary_crossentropy"), "{error}");
    }
    for (loss, y_true, output) in [
        ("mse", &[8][..], &[1][..]),
        ("binary_crossentropy", &[8], &[1]),
        ("mse", &[8, 1], &[1]),
        ("mse", &[8, 5], &[5, 1]),
        ("mse", &[8, 5, 1], &[5]),
        ("sparse_categorical_crossentropy", &[8], &[3]),
        ("sparse_categorical_crossentropy", &[8, 1], &[3]),
        ("sparse_categorical_crossentropy", &[8, 5], &[5, 3]),
        ("sparse_categorical_crossentropy", &[8, 5, 1], &[5, 3]),
    ] {
        let part = LossFn::from(loss);
        let result = part.get().unwrap().check_shape("y", y_true, &Dims::batch_of(output));
        assert!(result.is_ok(), "{loss}: {result:?}");
    }
}

#[test]
fn targets_that_cannot_be() {
    let device = &sconce_core::Device::Cpu;
    let output = Dims::batch_of(&[3]);
    let sparse = SparseCategoricalCrossentropy::new();
    let message = |loss: &dyn Loss, y: Tensor| {
        loss.check_values("validation y", &y, &output).unwrap_err().to_string()
    };
    let error = message(&sparse, Tensor::new(&[0i64, 2, 3], device).unwrap());
    assert!(error.contains("validation y holds the label 3 in row 2"), "{error}");
    assert!(error.contains("the model has 3 classes (labels 0 to 2)"), "{error}");
    let error = message(&sparse, Tensor::new(&[0i64, -1, 2], device).unwrap());
    assert!(error.contains("label -1 in row 1"), "{error}");
    let error = message(&sparse, Tensor::new(&[0f32, 1.5, 2.0], device).unwrap());
    assert!(error.contains("label 1.5 in row 1"), "{error}");
    let ignoring = SparseCategoricalCrossentropy::new().ignore_class(-1);
    ignoring.check_values("y", &Tensor::new(&[0i64, -1, 2], device).unwrap(), &output).unwrap();
    let error = message(&BinaryCrossentropy::new(), Tensor::new(&[[0i64], [2]], device).unwrap());
    assert!(
        error.contains("validation y holds 2 in row 1") && error.contains("from 0 to 1"),
        "{error}"
    );
}

#[test]
fn loops_of_ones_own_give_logits() {
    let device = &sconce_core::Device::Cpu;
    let y = Tensor::new(&[1i64], device).unwrap();
    let p = Tensor::new(&[[1f32, 2.0]], device).unwrap();
    let loss = SparseCategoricalCrossentropy::new().call(&y, &p).unwrap();
    let expected = Tensor::new((1.0 + (-1f32).exp()).ln(), device).unwrap();
    assert_eq!(difference(&loss, &expected, 1e-6), None);
    let error = MeanSquaredError::new().call(&y, &p).unwrap_err().to_string();
    assert!(error.contains("y_true has shape [1]"), "{error}");
}

#[test]
fn weights_of_another_shape_are_refused() {
    let device = &sconce_core::Device::Cpu;
    let y = Tensor::zeros((4, 3), DType::F32, device).unwrap();
    let weight = Tensor::zeros(3, DType::F32, device).unwrap();
    let error =
        MeanSquaredError::new().call_weighted(&y, &y, Some(&weight)).unwrap_err().to_string();
    assert!(error.contains("3 sample weights for 4 rows"), "{error}");
    let weight = Tensor::zeros((4, 2), DType::F32, device).unwrap();
    let error = MeanSquaredError::new().call_weighted(&y, &y, Some(&weight)).unwrap_err();
    assert!(error.to_string().contains("sample_weight has shape [4, 2]"), "{error}");
}

/// One weight a row counts once for each value of the row, so that a weighted mean is no larger than
/// the largest value. (Keras refuses these shapes; its `[batch, 1]` divides by one weight a row.)
#[test]
fn weighted_means_of_values_over_time() {
    let device = &sconce_core::Device::Cpu;
    let y_true = Tensor::zeros((3, 4, 2), DType::F32, device).unwrap();
    let y_pred = Tensor::arange(0f32, 24.0, device).unwrap().reshape((3, 4, 2)).unwrap();
    let weight = Tensor::new(&[1f32, 2.0, 3.0], device).unwrap();
    let each = weight.reshape((3, 1)).unwrap().broadcast_as((3, 4)).unwrap();
    let run = |reduction, weight: &Tensor| {
        let loss = MeanAbsoluteError::new().reduction(reduction);
        let value = loss.call_weighted(&y_true, &y_pred, Some(weight)).unwrap();
        f64::from(value.to_scalar::<f32>().unwrap())
    };
    let near = |ours: f64, expected: f64| assert!((ours - expected).abs() < 1e-4, "{ours}");
    // The means of the rows are 3.5, 11.5 and 19.5.
    let expected = (3.5 + 2.0 * 11.5 + 3.0 * 19.5) / 6.0;
    near(run(Reduction::MeanWithSampleWeight, &weight), expected);
    near(run(Reduction::MeanWithSampleWeight, &each), expected);
    // The numbers of Keras 3.15 for [3, 1].
    let column = weight.reshape((3, 1)).unwrap();
    near(run(Reduction::MeanWithSampleWeight, &column), 56.666_668);
    for weight in [&weight, &column, &each] {
        near(run(Reduction::SumOverBatchSize, weight), 28.333_334);
        near(run(Reduction::Sum, weight), 340.0);
    }
}

/// A loss of a user's own, with nothing but what is required.
struct MaxError;

impl Loss for MaxError {
    fn per_sample(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<PerSample> {
        Ok((y_true - y_pred)?.abs()?.max(1)?.into())
    }
}

#[test]
fn a_loss_of_ones_own_has_defaults() {
    let device = &sconce_core::Device::Cpu;
    let y_true = Tensor::zeros((2, 2), DType::F32, device).unwrap();
    let y_pred = Tensor::new(&[[1f32, -3.0], [5.0, 2.0]], device).unwrap();
    assert_eq!(MaxError.call(&y_true, &y_pred).unwrap().to_scalar::<f32>().unwrap(), 4.0);
    let narrow = y_true.narrow(1, 0, 1).unwrap();
    let error = MaxError.call(&narrow, &y_pred).unwrap_err().to_string();
    assert!(error.contains("max_error needs targets of the shape of the output"), "{error}");
}

#[test]
fn float_labels_are_not_truncated() {
    let device = &sconce_core::Device::Cpu;
    let y_pred = Tensor::new(&[[2f32, 1.0], [0.5, 1.0]], device).unwrap();
    let loss = SparseCategoricalCrossentropy::new();
    for wrong in [0.95, f32::NAN, f32::INFINITY] {
        let y_true = Tensor::new(&[0f32, wrong], device).unwrap();
        let error = loss.call(&y_true, &y_pred).unwrap_err().to_string();
        assert!(error.contains(&format!("hold {wrong}")), "{error}");
        assert!(error.contains("at position 1") && error.contains("whole numbers"), "{error}");
        let error = loss.check_values("y", &y_true, &Dims::batch_of(&[2])).unwrap_err();
        assert!(error.to_string().contains(&format!("label {wrong} in row 1")), "{error}");
    }
    let whole = Tensor::new(&[0f32, 1.0], device).unwrap();
    let ints = whole.to_dtype(DType::I64).unwrap();
    let (a, b) = (loss.call(&whole, &y_pred).unwrap(), loss.call(&ints, &y_pred).unwrap());
    assert_eq!(difference(&a, &b, 0.0), None);
}

#[test]
fn sums_are_in_f64() {
    let device = &sconce_core::Device::Cpu;
    // In f32, 2^24 + 1 = 2^24: a running sum in f32 stays there.
    let rows = 4097;
    let mut errors = vec![1f32; rows];
    errors[0] = 16_777_216.0;
    let y_pred = Tensor::from_vec(errors, (rows, 1), device).unwrap();
    let y_true = y_pred.zeros_like().unwrap();
    let ones = Tensor::ones(rows, DType::F32, device).unwrap();
    let loss = MeanAbsoluteError::new().reduction(Reduction::Sum);
    for weight in [None, Some(&ones)] {
        let sum = loss.call_weighted(&y_true, &y_pred, weight).unwrap();
        assert_eq!(sum.to_scalar::<f32>().unwrap(), 16_781_312.0);
    }
}
