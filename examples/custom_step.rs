//! How do I train in a way of my own and keep `fit`? With a training step: here a generative
//! adversarial network on points of a circle.
//!
//!     cargo run --release --example custom_step

use sconce::core::Stream;
use sconce::prelude::*;
use sconce::train::metrics::Goal;
use sconce::train::optimizers::OptimizerState;
use sconce::train::{StepInput, TrainStep};

const NOISE: usize = 4;

fn generator() -> Result<Model> {
    let z = Input::new([NOISE]);
    let h = Dense::new(16).activation("relu").apply(&z)?;
    Model::new([&z], [&Dense::new(2).apply(&h)?])
}

fn discriminator() -> Result<Model> {
    let x = Input::new([2]);
    let h = Dense::new(16).activation("leaky_relu").apply(&x)?;
    Model::new([&x], [&Dense::new(1).apply(&h)?])
}

/// The generator is the model that is fitted; the step holds the discriminator.
struct Adversarial {
    discriminator: Model,
    of_generator: OptimizerState,
    of_discriminator: OptimizerState,
}

impl TrainStep for Adversarial {
    fn logged(&self) -> Vec<(&'static str, Option<Goal>)> {
        vec![("d_loss", Some(Goal::Min)), ("g_loss", Some(Goal::Min))]
    }

    fn train_step(&mut self, input: StepInput<'_>) -> Result<Vec<Tensor>> {
        let StepInput { model: generator, batch, seed, step } = input;
        let (real, rows) = (&batch.x[0], batch.rows());
        let mut random = Stream::named(seed ^ step, "noise");
        let noise: Vec<f32> = (0..rows * NOISE).map(|_| random.normal() as f32).collect();
        let noise = Tensor::from_vec(noise, (rows, NOISE), real.device())?;
        let loss = BinaryCrossentropy::new().from_logits(true);
        let (ones, zeros) = (
            Tensor::ones((rows, 1), DType::F32, real.device())?,
            Tensor::zeros((rows, 1), DType::F32, real.device())?,
        );

        // The discriminator learns to tell real points from made ones.
        let mut cx = Context::training(seed, step);
        let made = generator.forward(&noise, &mut Context::inference())?;
        let says = self.discriminator.forward(real, &mut cx)?;
        let of_real = loss.call(&ones, &says)?;
        let of_made = loss.call(&zeros, &self.discriminator.forward(&made, &mut cx)?)?;
        let d_loss = (of_real + of_made)?;
        let gradients = self.discriminator.backward(&d_loss)?;
        self.discriminator.update(&mut self.of_discriminator, &gradients, &mut cx)?;

        // The generator learns to make points that are taken for real.
        let mut cx = Context::training(seed, step);
        let made = generator.forward(&noise, &mut cx)?;
        let g_loss = loss.call(&ones, &self.discriminator.forward(&made, &mut cx)?)?;
        let gradients = generator.backward(&g_loss)?;
        generator.update(&mut self.of_generator, &gradients, &mut cx)?;
        Ok(vec![d_loss, g_loss])
    }
}

/// Trains a generator; its history and the mean distance of what it makes from the centre.
pub fn train() -> Result<(History, f32)> {
    let points: Vec<[f32; 2]> =
        (0..512).map(|i| (i as f32 * 0.1).sin_cos().into()).map(|p: [f32; 2]| p).collect();
    let unused = vec![0f32; points.len()];
    let (mut generator, mut discriminator) = (generator()?, discriminator()?);
    generator.build(&Dims::batch_of(&[NOISE]))?;
    discriminator.set_seed(1);
    discriminator.build(&Dims::batch_of(&[2]))?;
    let step = Adversarial {
        of_generator: generator.optimizer(Adam::new(0.002))?,
        of_discriminator: discriminator.optimizer(Adam::new(0.002))?,
        discriminator,
    };
    let fit = Fit::new(30, 64).verbose(Verbose::Silent).train_step(step);
    let history = generator.fit_with(&points, &unused, fit)?;

    let mut random = Stream::named(9, "noise");
    let noise: Vec<[f32; NOISE]> =
        (0..256).map(|_| std::array::from_fn(|_| random.normal() as f32)).collect();
    let made = generator.predict(&noise)?;
    let distance = made.sqr()?.sum(1)?.sqrt()?.mean_all()?.to_scalar::<f32>()?;
    Ok((history, distance))
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let (history, distance) = train()?;
    println!("{:?} {:?}: distance {distance:.2}", history.last("d_loss"), history.last("g_loss"));
    Ok(())
}
