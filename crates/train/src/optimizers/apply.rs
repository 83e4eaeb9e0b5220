//! What surrounds every update rule, in Keras's order: accumulate, clip, decay, update, average,
//! constrain, count. And everything an optimizer keeps between steps, in one place.

use super::{Optimizer, Rule};
use crate::schedules::LearningRate;
use sconce_core::{DType, Error, Gradients, Result, Store, Tensor};
use sconce_ops::update;
use std::sync::Arc;

/// What a rule reads at one update.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Learning rate of this update.
    pub rate: f64,
    /// Updates so far, this one included.
    pub iteration: u64,
    /// Factor on the gradient (clipping, accumulation).
    pub scale: f64,
}

/// An optimizer at work on a store: its rule and all it keeps.
pub struct OptimizerState {
    optimizer: Optimizer,
    rule: Arc<dyn Rule>,
    rate: LearningRate,
    /// Batches seen (Keras's `iterations`).
    pub iterations: u64,
    /// For each trainable weight, the rule's slots.
    pub slots: Vec<Vec<Tensor>>,
    /// With `use_ema`, the average of each trainable weight.
    pub averages: Vec<Tensor>,
    /// With `gradient_accumulation_steps`, the gradients since the last update.
    pub accumulated: Vec<Tensor>,
}

impl OptimizerState {
    /// For the trainable weights of a store.
    pub fn new(optimizer: &Optimizer, store: &Store) -> Result<Self> {
        let rule = optimizer.get()?.clone();
        let common = rule.common();
        let like = |t: &Tensor, value: f32| -> Result<Tensor> {
            Ok(Tensor::full(value, t.dims(), t.device())?.to_dtype(t.dtype())?)
        };
        let (mut slots, mut averages, mut accumulated) = (Vec::new(), Vec::new(), Vec::new());
        for parameter in store.trainable() {
            let w = &parameter.var.as_tensor().detach();
            slots
                .push(rule.slots().iter().map(|s| like(w, s.initial)).collect::<Result<Vec<_>>>()?);
            if common.use_ema {
                averages.push(like(w, 0.0)?);
            }
            if common.gradient_accumulation_steps.is_some() {
                accumulated.push(like(w, 0.0)?);
            }
        }
        let rate = common.rate(0.001);
        let (optimizer, iterations) = (optimizer.clone(), 0);
        Ok(Self { optimizer, rule, rate, iterations, slots, averages, accumulated })
    }

    /// The optimizer as it was configured.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The rule.
    pub fn rule(&self) -> &Arc<dyn Rule> {
        &self.rule
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.rate.at(self.iterations)
    }

    /// Replaces a constant learning rate (a schedule cannot be set).
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        if let LearningRate::Schedule(_) = self.rate {
            return Err(Error::training(
                "the learning rate is a schedule and cannot be set; compile with a number instead",
            ));
        }
        self.rate = LearningRate::Constant(rate);
        Ok(())
    }

    /// Applies the gradients of one batch to the trainable weights of the store.
    pub fn apply(&mut self, store: &Store, gradients: &Gradients) -> Result<()> {
        let Self { rule, slots, averages, accumulated, .. } = self;
        let common = rule.common();
        let rate = self.rate.at(self.iterations);
        let iteration = self.iterations + 1;
        self.iterations = iteration;
        let weights: Vec<_> = store.trainable().collect();
        if weights.len() != slots.len() {
            return Err(Error::training(
                "weights were frozen or thawed since `compile`; call `compile` again",
            ));
        }
        let mut scale = 1.0 / common.loss_scale_factor.unwrap_or(1.0);
        let mut taken: Vec<Option<Tensor>> = gradients.0.clone();
        if let Some(steps) = common.gradient_accumulation_steps {
            for (sum, gradient) in accumulated.iter().zip(&taken) {
                if let Some(gradient) = gradient {
                    update::add_to(sum, gradient)?;
                }
            }
            if !iteration.is_multiple_of(steps) {
                return Ok(());
            }
            scale /= steps as f64;
            taken = accumulated.iter().cloned().map(Some).collect();
        }
        let total = match common.global_clipnorm {
            Some(_) => {
                let squares = taken
                    .iter()
                    .flatten()
                    .map(update::sum_of_squares)
                    .sum::<candle_core::Result<f64>>();
                Some(squares?.sqrt() * scale)
            }
            None => None,
        };
        for ((parameter, gradient), slots) in weights.iter().zip(&taken).zip(slots) {
            let Some(gradient) = gradient else { continue };
            let w = &parameter.var.as_tensor().detach();
            let mut gradient = gradient.clone();
            let mut factor = scale;
            if let (Some(largest), Some(total)) = (common.global_clipnorm, total) {
                factor *= clip_factor(total, largest);
            } else if let Some(largest) = common.clipnorm {
                factor *= clip_factor(update::sum_of_squares(&gradient)?.sqrt() * scale, largest);
            } else if let Some(largest) = common.clipvalue {
                gradient = (gradient * scale)?.clamp(-largest, largest)?;
                factor = 1.0;
            }
            if let Some(decay) = common.weight_decay {
                update::scale_in_place(w, 1.0 - rate * decay)?;
            }
            let step = Step { rate, iteration, scale: factor };
            rule.update(&step, w, &gradient, slots)?;
        }
        for sum in accumulated.iter() {
            update::scale_in_place(sum, 0.0)?;
        }
        for (parameter, average) in weights.iter().zip(averages.iter()) {
            let w = &parameter.var.as_tensor().detach();
            let momentum = if iteration == 1 { 0.0 } else { common.ema_momentum };
            let mixed = ((average * momentum)? + (w * (1.0 - momentum))?)?;
            update::assign(average, &mixed)?;
            if common.ema_overwrite_frequency.is_some_and(|every| iteration.is_multiple_of(every)) {
                update::assign(w, average)?;
            }
        }
        for parameter in &weights {
            if let Some(constraint) = &parameter.constraint {
                parameter.set(&constraint.project(&parameter.var.as_tensor().detach())?)?;
            }
        }
        Ok(())
    }

    /// At the end of training, sets the weights to their averages if that is asked for.
    pub fn finalize(&mut self, store: &Store) -> Result<()> {
        let common = self.rule.common();
        if common.use_ema && common.ema_overwrite_frequency.is_none() && self.iterations > 0 {
            for (parameter, average) in store.trainable().zip(&self.averages) {
                update::assign(parameter.var.as_tensor(), average)?;
            }
        }
        Ok(())
    }

    /// The type slots are kept in.
    pub fn dtype(&self) -> DType {
        DType::F32
    }
}

/// The factor that brings a norm down to the largest allowed.
fn clip_factor(norm: f64, largest: f64) -> f64 {
    if norm > largest { largest / norm } else { 1.0 }
}
