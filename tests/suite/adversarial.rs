//! A generative adversarial network trained step by step as by Keras's `train_on_batch`.

use sconce::prelude::*;
use sconce_testkit::difference;
use sconce_testkit::golden::{self, Case};

fn model(case: &Case, json: &serde_json::Value, name: &str, input: &[usize]) -> Model {
    let mut model = Model::from_json(&json.to_string()).unwrap();
    model.set_device(case.device());
    // Keras's loop had frozen the discriminator when its JSON was written.
    model.set_trainable(true);
    model.build(&Dims::batch_of(input)).unwrap();
    let initial: Vec<Tensor> =
        case.tensors(&format!("{name}_initial")).into_iter().flatten().collect();
    model.network().unwrap().set_weights(&initial).unwrap();
    model
}

#[test]
fn both_models_end_as_in_keras() {
    for case in golden::load_on_devices("adversarial_training") {
        let generator = model(&case, case.config(), "generator", &[3]);
        let discriminator = model(&case, case.field("discriminator"), "discriminator", &[4, 4, 1]);
        let mut of_generator = generator.optimizer(Adam::new(0.01)).unwrap();
        let mut of_discriminator = discriminator.optimizer(Adam::new(0.01)).unwrap();
        let loss = BinaryCrossentropy::new().from_logits(true);
        let (noise, real) = (case.tensor("noise"), case.tensor("real"));
        let (steps, rows) = (real.dim(0).unwrap(), real.dim(1).unwrap());
        let labels =
            |value: f64, rows: usize| Tensor::full(value as f32, (rows, 1), case.device()).unwrap();
        for step in 0..steps {
            let noise = noise.get(step).unwrap();
            let made = generator.predict(&noise.get(0).unwrap()).unwrap();
            let both = Tensor::cat(&[real.get(step).unwrap(), made], 0).unwrap();
            let truth = Tensor::cat(&[labels(1.0, rows), labels(0.0, rows)], 0).unwrap();
            let mut cx = Context::training(0, step as u64);
            let says = discriminator.forward(&both, &mut cx).unwrap();
            let d_loss = loss.call(&truth, &says).unwrap();
            let gradients = discriminator.backward(&d_loss).unwrap();
            discriminator.update(&mut of_discriminator, &gradients, &mut cx).unwrap();

            let mut cx = Context::training(0, step as u64);
            let made = generator.forward(&noise.get(1).unwrap(), &mut cx).unwrap();
            let says = discriminator.forward(&made, &mut cx).unwrap();
            let g_loss = loss.call(&labels(1.0, rows), &says).unwrap();
            let gradients = generator.backward(&g_loss).unwrap();
            generator.update(&mut of_generator, &gradients, &mut cx).unwrap();

            let losses = Tensor::stack(&[d_loss.detach(), g_loss.detach()], 0).unwrap();
            for role in ["losses", "losses64"] {
                let keras = case.tensor(role).get(step).unwrap();
                assert_eq!(difference(&losses, &keras, 1e-5), None, "{role} of step {step}");
            }
        }
        for (model, name) in [(&generator, "generator"), (&discriminator, "discriminator")] {
            let ours = model.network().unwrap().get_weights().unwrap();
            for role in ["final", "final64"] {
                let keras = case.tensors(&format!("{name}_{role}"));
                assert_eq!(ours.len(), keras.len());
                for (ours, keras) in ours.iter().zip(keras.into_iter().flatten()) {
                    assert_eq!(difference(ours, &keras, 1e-5), None, "{role} of the {name}");
                }
            }
        }
    }
}
