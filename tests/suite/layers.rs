//! Every layer against Keras: outputs, gradients, added losses.

use sconce::core::Var;
use sconce::prelude::*;
use sconce_testkit::assert_close;
use sconce_testkit::golden::{self, Case};

/// A model of nothing but the case's layer, with the case's weights.
fn model(case: &Case, x: &Tensor) -> Model {
    let mut shape: Vec<Option<usize>> = x.dims().iter().copied().map(Some).collect();
    shape[0] = None;
    let input = serde_json::json!({"class_name": "InputLayer", "config": {"batch_shape": shape}});
    let json = serde_json::json!({"class_name": "Sequential", "config": {"layers": [input, case.config()]}});
    let mut model = Model::from_json(&json.to_string()).unwrap();
    model.set_device(case.device());
    model.build(&sconce::core::Dims::known(x.dims())).unwrap();
    let weights: Vec<Tensor> = case.tensors("weights").into_iter().flatten().collect();
    model.network().unwrap().set_weights(&weights).unwrap();
    model
}

#[track_caller]
fn close(case: &Case, what: &str, ours: &Tensor, keras: &Tensor) {
    assert_close(&format!("{}: {what}", case.name()), ours, keras, 3e-6);
}

#[test]
fn outputs_gradients_and_added_losses_are_keras_s() {
    let cases = golden::load_on_devices("layers");
    assert!(cases.len() > 90, "{} cases", cases.len());
    golden::check_each(cases, |case| {
        let x = Var::from_tensor(&case.tensor("x")).unwrap();
        let model = model(case, &x);
        let mut cx = Context::inference().recording(true);
        let y = model.forward(&x, &mut cx).unwrap();
        close(case, "y", &y, &case.tensor("y64"));

        let parameters = model.store().unwrap().parameters();
        let mut added = cx.take_losses();
        for parameter in parameters {
            let penalty = parameter.regularizer.as_ref();
            added.extend(penalty.map(|r| r.penalty(parameter.var.as_tensor()).unwrap()));
        }
        let zero = Tensor::new(0f32, case.device()).unwrap();
        let added = added.into_iter().fold(zero, |sum, loss| (sum + loss).unwrap());
        close(case, "added loss", &added, &case.tensor("added_loss64"));

        let total = (&y * case.tensor("g")).unwrap().sum_all().unwrap();
        let variables: Vec<&Tensor> = parameters.iter().map(|p| p.var.as_tensor()).collect();
        let variables: Vec<&Tensor> = std::iter::once(x.as_tensor()).chain(variables).collect();
        let gradients = sconce::core::gradients(&total, &variables).unwrap();
        let ours = gradients.iter().map(|gradient| gradient.as_ref().unwrap());
        let keras = std::iter::once(case.tensor("gradient_x64"));
        let keras = keras.chain(case.tensors("gradient_weights64").into_iter().flatten());
        for ((ours, keras), variable) in ours.zip(keras).zip(&variables) {
            close(case, &format!("gradient of {:?}", variable.dims()), ours, &keras);
        }
    });
}
