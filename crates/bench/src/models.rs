//! The models of the workloads.

use crate::workloads::Workload;
use sconce::layers::initializers::RandomUniform;
use sconce::ops::arithmetic::{Operator, arithmetic};
use sconce::prelude::*;
use std::sync::Arc;

/// The model of a workload on a device, compiled.
pub fn model(workload: Workload, device: &Device) -> Result<Model> {
    let (_, features, _) = workload.sizes();
    let mut model = match workload {
        Workload::Seed | Workload::Mlp => dense(features, workload.hidden())?,
        Workload::Cnn => cnn()?,
        Workload::Resnet => resnet()?,
        Workload::Lstm => lstm()?,
        Workload::Transformer => transformer()?,
    };
    model.set_device(device);
    let loss = "sparse_categorical_crossentropy";
    match workload {
        Workload::Seed => model.compile(SGD::new(0.01).clipnorm(1.0), loss)?,
        Workload::Resnet => model.compile(SGD::new(0.05).momentum(0.9), loss)?,
        _ => model.compile(Adam::new(0.001), loss)?,
    }
    Ok(model)
}

fn dense(features: usize, hidden: &[usize]) -> Result<Model> {
    let x = Input::new([features]);
    let mut h = x.clone();
    for units in hidden {
        h = Dense::new(*units).activation("relu").apply(&h)?;
    }
    Model::new([&x], [&Dense::new(10).apply(&h)?])
}

fn cnn() -> Result<Model> {
    let x = Input::new([28, 28, 1]);
    let h = Conv2D::new(32, 3).activation("relu").apply(&x)?;
    let h = MaxPooling2D::new(2).apply(&h)?;
    let h = Conv2D::new(64, 3).activation("relu").apply(&h)?;
    let h = MaxPooling2D::new(2).apply(&h)?;
    let h = Dropout::new(0.5).apply(&Flatten::new().apply(&h)?)?;
    Model::new([&x], [&Dense::new(10).apply(&h)?])
}

/// Three stages of two residual blocks, as the peers have them.
fn resnet() -> Result<Model> {
    let convolved = |x: &SymbolicTensor, filters: usize, size: usize, strides: usize| {
        let convolution = Conv2D::new(filters, size).strides(strides).padding(Padding::Same);
        BatchNormalization::new().apply(&convolution.use_bias(false).apply(x)?)
    };
    let x = Input::new([32, 32, 3]);
    let mut h = ReLU::new().apply(&convolved(&x, 16, 3, 1)?)?;
    let mut width = 16;
    for (filters, strides) in [(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)] {
        let first = ReLU::new().apply(&convolved(&h, filters, 3, strides)?)?;
        let body = convolved(&first, filters, 3, 1)?;
        let shortcut = match filters == width {
            true => h,
            false => convolved(&h, filters, 1, strides)?,
        };
        h = ReLU::new().apply(&Add::new().apply([&body, &shortcut])?)?;
        width = filters;
    }
    let h = GlobalAveragePooling2D::new().apply(&h)?;
    Model::new([&x], [&Dense::new(10).apply(&h)?])
}

fn tokens(steps: usize) -> SymbolicTensor {
    Input::of_layer(InputLayer::of(Dims::batch_of(&[steps])).dtype("int64"))
}

fn lstm() -> Result<Model> {
    let x = tokens(100);
    let h = LSTM::new(64).apply(&Embedding::new(10_000, 128).apply(&x)?)?;
    Model::new([&x], [&Dense::new(2).apply(&h)?])
}

/// One block of an encoder over tokens with learned positions.
fn transformer() -> Result<Model> {
    let x = tokens(STEPS);
    let h = Positions {}.apply(&Embedding::new(20_000, 64).apply(&x)?)?;
    let attended = MultiHeadAttention::new(4, 16).apply(Args::one(h.clone()).tensor(h.clone()))?;
    let h = LayerNormalization::new().apply(&(&h + &attended)?)?;
    let hidden = Dense::new(128).activation("relu").apply(&h)?;
    let h = LayerNormalization::new().apply(&(&h + &Dense::new(64).apply(&hidden)?)?)?;
    let h = GlobalAveragePooling1D::new().apply(&h)?;
    Model::new([&x], [&Dense::new(2).apply(&h)?])
}

/// Positions of the transformer.
const STEPS: usize = 200;

/// Adds a learned vector for each of the positions.
struct Positions {}

impl Configured for Positions {
    fn class_name(&self) -> &'static str {
        "Positions"
    }
}

impl Layer for Positions {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        Ok(vec![x.single("Positions")?.clone()])
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let dims = &x.single("Positions")?.dims;
        let shape = [STEPS, dims.last()?];
        Ok(vec![WeightSpec::new("positions", &shape, Arc::new(RandomUniform::new(-0.05, 0.05)))])
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let (x, positions) = (call.single()?, call.weight("positions")?);
        Ok(vec![arithmetic(Operator::Add, x, &positions)?])
    }
}
