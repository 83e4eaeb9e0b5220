//! Burn 0.22 on burn-flex: a training loop on its tensors and autodiff.
//!
//! Its modules and optimizers need its feature `std`, which puts every GPU backend into Cargo.lock; so the rules are written
//! out, with the operations of its own `Adam` and no more. A batch is one copy of its rows.

use crate::workloads::{Timing, Workload};
use burn_tensor::activation::{log_softmax, relu};
use burn_tensor::module::linear;
use burn_tensor::{Device, Distribution, Gradients, Int, Tensor, TensorData};
use sconce::core::Stream;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// Trains once.
pub fn train(workload: Workload) -> Result<Timing, Box<dyn Error>> {
    let hidden = workload.hidden();
    if hidden.is_empty() {
        return Err(format!("takes no part in {}", workload.name()).into());
    }
    let device = Device::flex();
    let (rows, features, batch) = workload.sizes();
    let (x, y) = workload.data();
    let (x, y) = (x.into_raw_vec_and_offset().0, y.into_raw_vec_and_offset().0);

    let sizes = [&[features], hidden, &[10]].concat();
    let layer = |pair: &[usize]| Layer::new(pair[0], pair[1], &device);
    let mut layers: Vec<Layer> = sizes.windows(2).map(layer).collect();

    let mut order: Vec<usize> = (0..rows).collect();
    let mut stream = Stream::named(0, "burn");
    let (mut epochs, mut steps) = (Vec::new(), 0);
    for _ in 0..workload.epochs() {
        let (start, mut total) = (Instant::now(), 0.0);
        stream.shuffle(&mut order);
        for chosen in order.chunks(batch) {
            let mut inputs = Vec::with_capacity(chosen.len() * features);
            chosen
                .iter()
                .for_each(|row| inputs.extend_from_slice(&x[row * features..][..features]));
            let labels: Vec<i64> = chosen.iter().map(|row| y[*row]).collect();
            let inputs = TensorData::new(inputs, [chosen.len(), features]);
            let labels = TensorData::new(labels, [chosen.len(), 1]);

            let logits = forward(&layers, Tensor::from_data(inputs, &device).autodiff());
            let labels = Tensor::<2, Int>::from_data(labels, &device).autodiff();
            let loss = log_softmax(logits, 1).gather(1, labels).mean().neg();
            let mut gradients = loss.backward();
            total += loss.into_scalar::<f32>() * chosen.len() as f32;
            steps += 1;
            let step = |layer: Layer| layer.step(&mut gradients, workload, steps);
            layers = layers.into_iter().map(step).collect();
        }
        black_box(total);
        epochs.push(start.elapsed().as_secs_f64());
    }
    Ok(Timing::of(epochs, workload.steps()))
}

fn forward(layers: &[Layer], inputs: Tensor<2>) -> Tensor<2> {
    layers.iter().enumerate().fold(inputs, |x, (i, layer)| {
        let y = linear(x, layer.kernel.leaf.clone(), Some(layer.bias.leaf.clone()));
        if i + 1 < layers.len() { relu(y) } else { y }
    })
}

struct Layer {
    kernel: Weight<2>,
    bias: Weight<1>,
}

impl Layer {
    fn new(inputs: usize, units: usize, device: &Device) -> Self {
        let limit = (6.0 / (inputs + units) as f64).sqrt();
        let kernel = Tensor::random([inputs, units], Distribution::Uniform(-limit, limit), device);
        Self { kernel: Weight::new(kernel), bias: Weight::new(Tensor::zeros([units], device)) }
    }

    fn step(self, gradients: &mut Gradients, workload: Workload, step: i32) -> Self {
        Self {
            kernel: self.kernel.step(gradients, workload, step),
            bias: self.bias.step(gradients, workload, step),
        }
    }
}

/// A weight and Adam's two moments.
struct Weight<const D: usize> {
    leaf: Tensor<D>,
    moments: Option<(Tensor<D>, Tensor<D>)>,
}

impl<const D: usize> Weight<D> {
    fn new(value: Tensor<D>) -> Self {
        Self { leaf: value.autodiff().require_grad(), moments: None }
    }

    fn step(self, gradients: &mut Gradients, workload: Workload, step: i32) -> Self {
        let Some(gradient) = self.leaf.grad_remove(gradients) else { return self };
        let value = self.leaf.inner();
        match workload {
            Workload::Seed => Self::new(value - clip(gradient, 1.0) * 0.01),
            _ => {
                let (m, v) = (gradient.clone() * 0.1, gradient.square() * 0.001);
                let (m, v) = match self.moments {
                    Some((old_m, old_v)) => (old_m * 0.9 + m, old_v * 0.999 + v),
                    None => (m, v),
                };
                let rate = 0.001 * (1.0 - 0.999f32.powi(step)).sqrt() / (1.0 - 0.9f32.powi(step));
                let value = value - m.clone() * rate / (v.clone().sqrt() + 1e-7);
                Self { moments: Some((m, v)), ..Self::new(value) }
            }
        }
    }
}

/// Keras's clipnorm: each weight's gradient by its own norm.
fn clip<const D: usize>(gradient: Tensor<D>, limit: f32) -> Tensor<D> {
    let norm = gradient.clone().square().sum().into_scalar::<f32>().sqrt();
    if norm > limit { gradient * (limit / norm) } else { gradient }
}
