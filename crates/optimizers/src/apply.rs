//! What surrounds every update rule, in Keras's order: unscale, accumulate, clip, decay, update,
//! average, constrain, count.

use super::clip::Clip;
use super::{OptimizerState, Step};
use sconce_core::{Error, Gradients, Result, Store, Tensor};
use sconce_kernels::update;

impl OptimizerState {
    /// Applies the gradients of one batch to the trainable weights of the store. Weights without a
    /// gradient stay as they are.
    ///
    /// With `gradient_accumulation_steps`, most calls only add to the gradients so far. As in Keras,
    /// a learning rate schedule counts calls; Adam's corrections and `ema_overwrite_frequency` count
    /// updates of the weights; averages and constraints are applied at every call.
    ///
    /// # Errors
    /// If no weight has a gradient, or other weights are trainable than when the state was made.
    pub fn apply(&mut self, store: &Store, gradients: &Gradients) -> Result<()> {
        self.check(store, gradients)?;
        if gradients.0.is_empty() {
            return Ok(());
        }
        let common = self.rule.common();
        let unscale = 1.0 / common.loss_scale_factor.unwrap_or(1.0);
        let every = common.gradient_accumulation_steps.unwrap_or(1);
        let updates = self.iterations / every;
        let rate = self.rate.at(self.iterations);
        let step = Step { rate, iteration: updates + 1, shared: &self.shared };
        if every == 1 {
            self.update(store, &gradients.0, &step, unscale)?;
        } else {
            for (sum, gradient) in self.accumulated.iter().zip(&gradients.0) {
                if let Some(gradient) = gradient {
                    add_scaled(sum, gradient, unscale, self.fused)?;
                }
            }
            if (self.iterations + 1).is_multiple_of(every) {
                let sums = self.accumulated.iter().zip(&gradients.0);
                let sums: Vec<_> = sums.map(|(sum, g)| g.as_ref().map(|_| sum.clone())).collect();
                self.update(store, &sums, &step, 1.0 / every as f64)?;
                sums.iter().flatten().try_for_each(Tensor::zero_set)?;
            }
        }
        self.average(store, updates)?;
        for (parameter, gradient) in store.trainable().zip(&gradients.0) {
            if let (Some(constraint), Some(_)) = (&parameter.constraint, gradient) {
                parameter.set(&constraint.project(&parameter.var.as_tensor().detach())?)?;
            }
        }
        self.iterations += 1;
        Ok(())
    }

    /// Clips gradients, decays weights and updates them.
    fn update(
        &self,
        store: &Store,
        gradients: &[Option<Tensor>],
        step: &Step<'_>,
        scale: f64,
    ) -> Result<()> {
        self.rule.update_shared(step)?;
        let clip = Clip::new(self.rule.common(), step.rate, scale);
        if let (true, Some(kernel)) = (self.fused, self.rule.kernel()) {
            let clip = clip.globally(gradients.iter().flatten())?;
            for ((parameter, gradient), slots) in store.trainable().zip(gradients).zip(&self.slots)
            {
                if let Some(gradient) = gradient {
                    let prepare = clip.prepare(gradient)?;
                    let weight = parameter.var.as_tensor();
                    kernel.run(step, prepare, weight, gradient, slots)?;
                }
            }
            return Ok(());
        }
        let gradients = clip.composed(gradients)?;
        for ((parameter, gradient), slots) in store.trainable().zip(&gradients).zip(&self.slots) {
            if let Some(gradient) = gradient {
                let weight = &parameter.var.as_tensor().detach();
                if clip.decay != 0.0 {
                    update::assign(weight, &(weight - (weight * clip.decay)?)?)?;
                }
                self.rule.update(step, weight, gradient, slots)?;
            }
        }
        Ok(())
    }

    /// Updates the moving averages, and overwrites the weights with them every
    /// `ema_overwrite_frequency` updates. `updates` is the number before this call.
    fn average(&self, store: &Store, updates: u64) -> Result<()> {
        let common = self.rule.common();
        let momentum = if updates == 0 { 0.0 } else { common.ema_momentum };
        let every = common.ema_overwrite_frequency;
        let overwrite = every.is_some_and(|every| (updates + 1).is_multiple_of(every));
        for (parameter, average) in store.trainable().zip(&self.averages) {
            let weight = parameter.var.as_tensor();
            if self.fused {
                let (old, new) = (momentum as f32, 1.0 - momentum as f32);
                update::update(average, weight, [], move |a, w, []| (old * a + new * w, []))?;
            } else {
                let weight = weight.detach();
                let mixed = ((average * momentum)? + (weight * (1.0 - momentum))?)?;
                update::assign(average, &mixed)?;
            }
            if overwrite {
                update::assign(weight, average)?;
            }
        }
        Ok(())
    }

    /// With `use_ema`, sets the weights to their averages, as Keras does when training ends.
    pub fn finalize(&mut self, store: &Store) -> Result<()> {
        if self.iterations > 0 {
            for (parameter, average) in store.trainable().zip(&self.averages) {
                update::assign(parameter.var.as_tensor(), average)?;
            }
        }
        Ok(())
    }

    fn check(&self, store: &Store, gradients: &Gradients) -> Result<()> {
        if !store.trainable().map(|p| p.path.as_str()).eq(self.paths.iter().map(String::as_str)) {
            return Err(Error::training(
                "other weights are trainable now than when `compile` was called; call it again",
            ));
        }
        if gradients.0.len() != self.paths.len() {
            return Err(Error::training(format!(
                "expected a gradient (or `None`) for each of the {} trainable weights, found {}",
                self.paths.len(),
                gradients.0.len()
            )));
        }
        if !gradients.0.is_empty() && gradients.0.iter().all(Option::is_none) {
            return Err(Error::training(
                "no trainable weight has a gradient: the loss depends on none of them",
            ));
        }
        Ok(())
    }
}

/// `sum += gradient * scale`.
fn add_scaled(sum: &Tensor, gradient: &Tensor, scale: f64, fused: bool) -> Result<()> {
    if fused {
        let scale = scale as f32;
        update::update(sum, gradient, [], move |sum, g, []| (sum + g * scale, []))?;
    } else {
        update::assign(sum, &(sum + (gradient.detach() * scale)?)?)?;
    }
    Ok(())
}
