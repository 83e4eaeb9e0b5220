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
    let fit = || Fit::new(1, 6).sample_weight(&weights);
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
    let (loss, val_loss) = losses(Fit::new(1, 6).sample_weight(&weights).validation_split(0.5));
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

/// What a user is told before the first epoch.
fn notices(model: &mut Sequential, fit: Fit) -> Vec<String> {
    let y = column(&TARGETS);
    model.fit_with(&y, &y, fit.verbose(Verbose::Silent)).unwrap();
    model.compiled().unwrap().notices().to_vec()
}

#[test]
fn training_that_changes_nothing_is_noticed() {
    let mut model = zero();
    assert!(notices(&mut model, Fit::default()).is_empty());
    model.set_trainable(false);
    model.compile("sgd", "mse").unwrap();
    let frozen = notices(&mut model, Fit::default()).join("\n");
    assert!(frozen.contains("all of its weights frozen (trainable=false)"), "{frozen}");
    let mut model = Sequential::new().add(sconce_layers::Flatten::new().input_shape([1]));
    model.compile("sgd", "mse").unwrap();
    let none = notices(&mut model, Fit::default()).join("\n");
    assert!(none.contains("has no trainable weights"), "{none}");
    assert!(!none.contains("frozen"), "{none}");
}

#[test]
fn steps_beyond_the_data_are_noticed() {
    assert!(notices(&mut zero(), Fit::new(1, 4).steps_per_epoch(2)).is_empty());
    let notices = notices(&mut zero(), Fit::new(1, 4).steps_per_epoch(3)).join("\n");
    assert!(notices.contains("steps_per_epoch is 3, the data has 2 batches of 4"), "{notices}");
}

#[test]
fn a_model_without_layers_is_refused() {
    let mut model = Sequential::new();
    model.compile("sgd", "mse").unwrap();
    let y = column(&TARGETS);
    let error = model.fit(&y, &y, 1, 4).unwrap_err().to_string();
    assert!(error.contains("the model has no layers"), "{error}");
}

#[test]
fn weights_of_a_layer_too_many_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.weights.h5");
    let two = Sequential::new().add(Dense::new(1).input_shape([1])).add(Dense::new(1));
    let mut two = two.into_model();
    two.compile("adam", "mse").unwrap();
    two.save_weights(&file).unwrap();
    let mut one = Sequential::new().add(Dense::new(1).input_shape([1]));
    one.compile("adam", "mse").unwrap();
    let before = one.network().unwrap().get_weights().unwrap();
    let error = one.load_weights(&file).unwrap_err().to_string();
    let extra = "the file's `layers/dense_1/vars/0` belongs to no layer of the model";
    assert!(error.contains(extra) && error.contains("two.weights.h5"), "{error}");
    for (before, after) in before.iter().zip(one.network().unwrap().get_weights().unwrap()) {
        assert_eq!(sconce_testkit::difference(before, &after, 0.0), None);
    }
    two.load_weights(&file).unwrap();
}

fn silent() -> Fit {
    Fit::new(1, 4).verbose(Verbose::Silent)
}

#[test]
fn arguments_that_cannot_work_are_refused_as_in_a_run_configuration() {
    let y = column(&TARGETS);
    for (fit, path) in [
        (silent().epochs(0), "epochs"),
        (silent().initial_epoch(1), "epochs"),
        (silent().batch_size(0), "batch_size"),
        (silent().validation_freq(0), "validation_freq"),
        (silent().validation_batch_size(0), "validation_batch_size"),
        (silent().steps_per_epoch(0), "steps_per_epoch"),
        (silent().validation_split(1.0), "validation_split"),
        (silent().validation_split(-0.5), "validation_split"),
    ] {
        let error = zero().fit_with(&y, &y, fit).unwrap_err().to_string();
        assert!(error.starts_with(&format!("at `{path}`: must be ")), "{path}: {error}");
    }
    // What a builder was given and cannot be used is an error of `fit`.
    let ragged = vec![vec![1f32], vec![1.0, 2.0]];
    for fit in [
        silent().validation_data(&ragged, &y),
        silent().validation_data(&y, &ragged),
        silent().sample_weight(&ragged),
    ] {
        let error = zero().fit_with(&y, &y, fit).unwrap_err().to_string();
        assert!(error.contains("rows of different lengths"), "{error}");
    }
    let fit = silent().validation_sample_weight(&y);
    let error = zero().fit_with(&y, &y, fit).unwrap_err().to_string();
    assert!(error.contains("give `validation_data` before"), "{error}");
}

/// Sums of squares by one's own loss, with a metric among names.
#[test]
fn closures_are_losses_and_metrics() {
    use crate::losses::custom_loss;
    use crate::metrics::custom_metric;
    let squares = custom_loss("squares", |t, p| Ok((t - p)?.sqr()?.sum(1)?));
    let largest = custom_metric("largest", |t, p| Ok((t - p)?.abs()?.max(1)?));
    let mut model = zero();
    let compile =
        Compile::new(crate::optimizers::SGD::new(0.1), squares).metrics(["mse".into(), largest]);
    model.compile_with(compile).unwrap();
    let y = column(&TARGETS);
    let history = model.fit_with(&y, &y, Fit::new(1, 6).verbose(Verbose::Silent)).unwrap();
    close(history.last("loss").unwrap(), 19. / 6.);
    close(history.last("mse").unwrap(), 19. / 6.);
    close(history.last("largest").unwrap(), 9. / 6.);
    // The gradient is that of the plain loss: kernel = 0.1 * 2/6 sum(x y).
    let kernel = model.network().unwrap().get_weights().unwrap()[0].to_vec2::<f32>().unwrap();
    close(f64::from(kernel[0][0]), 0.2 * 19. / 6.);
}

#[test]
fn a_model_with_a_loss_of_ones_own_is_saved() {
    use crate::losses::{Loss, LossFn, PerSample, custom_loss};
    struct Own;
    impl Loss for Own {
        fn per_sample(&self, t: &Tensor, p: &Tensor) -> Result<PerSample> {
            Ok((t - p)?.sqr()?.mean(1)?.into())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.keras");
    let y = column(&TARGETS);
    let named = custom_loss("named", |t, p| Ok((t - p)?.sqr()?.mean(1)?));
    for (loss, compiled) in [(named, true), (LossFn::custom("Own", Arc::new(Own)), false)] {
        let mut model = zero();
        model.compile("adam", loss).unwrap();
        let checkpoint = crate::callbacks::ModelCheckpoint::new(file.display().to_string());
        model.fit_with(&y, &y, silent().callback(checkpoint)).unwrap();
        model.save(&file).unwrap();
        let options = || crate::LoadOptions::new().compile(false);
        let loaded = Model::load_with(&file, options()).unwrap();
        assert_eq!(
            sconce_testkit::difference(
                &model.predict(&y).unwrap(),
                &loaded.predict(&y).unwrap(),
                0.0
            ),
            None
        );
        match compiled {
            true => {
                let error = Model::load(&file).unwrap_err().to_string();
                assert!(error.contains("named"), "{error}");
            }
            false => assert!(Model::load(&file).unwrap().compiled().is_err()),
        }
    }
}

/// A layer without a configuration cannot be written; its weights can.
#[test]
fn what_cannot_be_saved_is_found_before_training() {
    let build = || {
        let mut model = Sequential::new().add(Dense::new(1).input_shape([1])).add(Steps {});
        model.compile("sgd", "mse").unwrap();
        model
    };
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let y = column(&TARGETS);
    let mut model = build();
    let epochs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = epochs.clone();
    let count = crate::callbacks::LambdaCallback::new().on_epoch_begin(move |_, _| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(crate::Flow::Continue)
    });
    let checkpoint = crate::callbacks::ModelCheckpoint::new(file("m.keras"));
    let fit = silent().callback(checkpoint).callback(count);
    model.fit_with(&y, &y, fit).unwrap_err();
    assert_eq!(epochs.load(std::sync::atomic::Ordering::Relaxed), 0);
    for name in ["w.safetensors", "w.weights.h5"] {
        model.save_weights(file(name)).unwrap();
        let mut other = build();
        other.load_weights(file(name)).unwrap();
        let (ours, theirs) = (model.predict(&y).unwrap(), other.predict(&y).unwrap());
        assert_eq!(sconce_testkit::difference(&ours, &theirs, 0.0), None, "{name}");
    }
}

#[test]
fn many_threads_predict_with_one_model() {
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Model>();
    is_shared::<Sequential>();
    let mut model = Sequential::new()
        .add(Dense::new(64).activation("relu").input_shape([32]))
        .add(Dense::new(10).activation("softmax"));
    model.compile("adam", "mse").unwrap();
    let x = Tensor::ones((40, 32), sconce_core::DType::F32, &Device::Cpu).unwrap();
    let expected = model.predict(&x).unwrap();
    let model = Arc::new(model);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let ours = model.predict(&x).unwrap();
                    assert_eq!(sconce_testkit::difference(&ours, &expected, 0.0), None);
                }
            });
        }
    });
}

#[test]
fn clones_share_weights_and_duplicates_do_not() {
    let y = column(&TARGETS);
    let mut model = Sequential::new().add(Dense::new(1).input_shape([1])).into_model();
    model.compile(crate::optimizers::Adam::new(0.01), "mse").unwrap();
    model.fit_with(&y, &y, silent()).unwrap();
    let (clone, mut copy) = (model.clone(), model.duplicate().unwrap());
    assert!(clone.compiled().is_err());
    let before = model.predict(&y).unwrap();
    // The copy goes on as the model does, optimizer variables included.
    model.fit_with(&y, &y, silent()).unwrap();
    let after = model.predict(&y).unwrap();
    let same = |a: &Tensor, b: &Tensor| sconce_testkit::difference(a, b, 0.0).is_none();
    assert!(!same(&before, &after) && same(&clone.predict(&y).unwrap(), &after));
    assert!(same(&copy.predict(&y).unwrap(), &before));
    copy.fit_with(&y, &y, silent()).unwrap();
    assert!(same(&copy.predict(&y).unwrap(), &after));
}

#[test]
fn the_learning_rate_is_set_in_one_call() {
    let y = column(&TARGETS);
    let mut model = Sequential::new().add(Dense::new(1).input_shape([1]));
    model.compile("sgd", "mse").unwrap();
    model.set_learning_rate(0.0).unwrap();
    assert_eq!(model.learning_rate().unwrap(), 0.0);
    let before = model.predict(&y).unwrap();
    model.fit_with(&y, &y, silent()).unwrap();
    let after = model.predict(&y).unwrap();
    assert_eq!(sconce_testkit::difference(&before, &after, 0.0), None);
}

/// A callback that is shared can be asked after the run.
#[test]
fn shared_callbacks_keep_their_state() {
    use crate::callbacks::EarlyStopping;
    use std::sync::Mutex;
    let y = column(&TARGETS);
    let stopping = Arc::new(Mutex::new(EarlyStopping::new("loss").patience(1)));
    let fit = Fit::new(9, 6).verbose(Verbose::Silent).callback(stopping.clone());
    let history = zero().fit_with(&y, &y, fit).unwrap();
    assert_eq!(history.epoch.len(), 2);
    let stopping = stopping.lock().unwrap();
    close(stopping.best().unwrap(), 19. / 6.);
    assert_eq!((stopping.best_epoch(), stopping.stopped_epoch()), (Some(0), Some(1)));
    assert_eq!(EarlyStopping::default().monitor, "val_loss");
    assert_eq!(history.best("loss").unwrap().epoch, 0);
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

/// A file of which one weight does not fit changes none.
#[test]
fn weights_are_set_all_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let built = |units: usize, bias: &str| {
        Sequential::new()
            .add(Dense::new(2).bias_initializer(bias).name("first").input_shape([1]))
            .add(Dense::new(units).name("last"))
            .into_model()
    };
    let y = column(&TARGETS);
    for name in ["w.weights.h5", "w.safetensors"] {
        let file = dir.path().join(name);
        let mut other = built(3, "ones");
        other.build(&sconce_core::Dims::batch_of(&[1])).unwrap();
        other.save_weights(&file).unwrap();
        let mut model = built(1, "zeros");
        model.build(&sconce_core::Dims::batch_of(&[1])).unwrap();
        let before = model.predict(&y).unwrap();
        let error = model.load_weights(&file).unwrap_err().to_string();
        assert!(error.contains("last/kernel"), "{error}");
        let after = model.predict(&y).unwrap();
        assert_eq!(sconce_testkit::difference(&before, &after, 0.0), None, "{name}");
    }
}

/// As in Keras the run goes on.
#[test]
fn a_validation_loss_that_is_not_finite_is_told_of_once() {
    let (y, large) = (column(&TARGETS), column(&[3e38; 6]));
    let told = crate::listening::listened(|| {
        let fit = Fit::new(3, 6).verbose(Verbose::Silent).validation_data(&y, &large);
        let history = zero().fit_with(&y, &y, fit).unwrap();
        assert_eq!(history.get("val_loss"), [f64::INFINITY; 3]);
    });
    let [one] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        one,
        "the validation loss of epoch 1 is not finite (inf); check the validation data"
    );
}
