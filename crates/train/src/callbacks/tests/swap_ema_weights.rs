//! SwapEMAWeights.

use super::*;
use crate::optimizers::{OptimizerExt, SGD};

#[test]
fn swap_ema_weights_is_keras_s() {
    for (case, callback) in cases("SwapEMAWeights") {
        let mut model = model();
        set_weight(&model, 1.0);
        let optimizer = SGD::new(0.25).use_ema(0.75);
        model.compile_with(Compile::new(optimizer, "mse")).unwrap();
        let x: Vec<f32> = serde_json::from_value(case["x"].clone()).unwrap();
        let x = Tensor::from_vec(x, (6, 1), &sconce_core::Device::Cpu).unwrap();
        let y = x.neg().unwrap();
        let epochs = case["epochs"].as_u64().unwrap() as usize;
        let fit = Fit::new(epochs, 2).shuffle(false).verbose(Verbose::Silent);
        let fit = fit.validation_data(&x, &y).callbacks([callback]);
        let history = model.fit_with(&x, &y, fit).unwrap();
        let close = |ours: f64, keras: &Json| {
            let keras = keras.as_f64().unwrap();
            assert!((ours - keras).abs() < 1e-6 * (1.0 + keras.abs()), "{ours} {keras} {case}");
        };
        for name in ["loss", "val_loss"] {
            let keras = case["history"][name].as_array().unwrap();
            assert_eq!(history.get(name).len(), keras.len());
            history.get(name).iter().zip(keras).for_each(|(ours, keras)| close(*ours, keras));
        }
        close(f64::from(weight(&model)), &case["weight"]);
        let optimizer = model.compiled().unwrap().optimizer_state().unwrap();
        let variables = optimizer.variables().unwrap();
        let average = variables.iter().find(|(name, _)| name.ends_with("_average")).unwrap();
        let average = average.1.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0];
        close(f64::from(average), &case["average"]);
    }
}

/// A run that is stopped between epochs ends with the averages too, where Keras's ends with the weights
/// that the swap had left in their place.
#[test]
fn swapped_weights_of_a_stopped_run_are_the_averages() {
    let run = |swap_on_epoch: bool| {
        let mut model = model();
        set_weight(&model, 1.0);
        let optimizer = SGD::new(0.25).use_ema(0.75);
        model.compile_with(Compile::new(optimizer, "mse")).unwrap();
        let stop = LambdaCallback::new().on_epoch_end(|epoch, _, _| {
            Ok(if epoch == 1 { Flow::Stop("enough".into()) } else { Flow::Continue })
        });
        let swap = SwapEMAWeights::new().swap_on_epoch(swap_on_epoch);
        fit(&mut model, Fit::new(5, 4).callback(swap).callback(stop)).unwrap();
        weight(&model)
    };
    assert_eq!(run(true), run(false));
    let error = fit(&mut model(), Fit::new(1, 4).callback(SwapEMAWeights::new())).unwrap_err();
    assert!(error.to_string().contains("set use_ema to true"), "{error}");
}
