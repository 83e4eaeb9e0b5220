//! What surrounds every update rule, in Keras's order: unscale, accumulate, clip, decay, update,
//! average, constrain, count.

use super::clip::Clip;
use super::{Initial, OptimizerState, Step, Target};
use sconce_core::{Error, Gradients, Parameter, Result, Store, Tensor};
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
        let trainable: Vec<&Parameter> = store.trainable().collect();
        self.apply_to(&trainable, gradients, 1.0)
    }

    /// Applies the gradients, times `scale`, of the weights that this optimizer (which may be one of several)
    /// updates.
    pub(super) fn apply_to(
        &mut self,
        trainable: &[&Parameter],
        gradients: &Gradients,
        scale: f64,
    ) -> Result<()> {
        if let Some(dynamic) = self.rule.dynamic_scale() {
            return self.apply_scaled(dynamic, trainable, gradients);
        }
        if !self.inner.is_empty() {
            for inner in &mut self.inner {
                inner.apply_to(trainable, gradients, scale)?;
            }
            self.iterations += 1;
            return Ok(());
        }
        if !self.weights.iter().any(|at| matches!(gradients.0.get(*at), Some(Some(_)))) {
            return Ok(());
        }
        if self.iterations == 0 {
            self.copy_weights(trainable)?;
        }
        let common = self.rule.common();
        let unscale = scale / self.loss_scale_factor.unwrap_or(1.0);
        let every = common.gradient_accumulation_steps.unwrap_or(1);
        let updates = self.iterations / every;
        let rate = self.rate.at(self.iterations);
        let step = Step { rate, iteration: updates + 1, shared: &self.shared };
        if every == 1 {
            self.update(trainable, gradients, &step, unscale)?;
        } else {
            for (at, sum) in self.weights.iter().zip(&self.accumulated) {
                if let Some(Some(gradient)) = gradients.0.get(*at) {
                    add_scaled(sum, gradient, unscale, self.fused)?;
                }
            }
            if (self.iterations + 1).is_multiple_of(every) {
                let mut sums = vec![None; gradients.0.len()];
                for (at, sum) in self.weights.iter().zip(&self.accumulated) {
                    if let (Some(Some(_)), Some(place)) = (gradients.0.get(*at), sums.get_mut(*at))
                    {
                        *place = Some(sum.clone());
                    }
                }
                let sums = Gradients::from(sums);
                self.update(trainable, &sums, &step, 1.0 / every as f64)?;
                sums.0.iter().flatten().try_for_each(Tensor::zero_set)?;
            }
        }
        self.average(trainable, updates)?;
        for (parameter, gradient) in self.own(trainable).zip(self.own_gradients(gradients)) {
            if let (Some(constraint), Some(_)) = (&parameter.constraint, gradient) {
                parameter.set(&constraint.project(&parameter.var.as_tensor().detach())?)?;
            }
        }
        self.iterations += 1;
        Ok(())
    }

    /// Slots that start as the weights take their values, which may have been set since the state was made.
    fn copy_weights(&self, trainable: &[&Parameter]) -> Result<()> {
        for (parameter, (declared, slots)) in
            self.own(trainable).zip(self.declared.iter().zip(&self.slots))
        {
            let copies = declared.iter().zip(slots);
            for (_, slot) in copies.filter(|(slot, _)| slot.initial == Initial::WeightCopy) {
                let weight = parameter.var.as_tensor().detach().to_dtype(slot.dtype())?;
                update::assign(slot, &weight)?;
            }
        }
        Ok(())
    }

    /// The weights that this optimizer updates.
    fn own<'a>(&'a self, trainable: &'a [&'a Parameter]) -> impl Iterator<Item = &'a Parameter> {
        self.weights.iter().filter_map(|at| trainable.get(*at).copied())
    }

    /// Their gradients.
    fn own_gradients<'a>(
        &'a self,
        gradients: &'a Gradients,
    ) -> impl Iterator<Item = Option<&'a Tensor>> {
        self.weights.iter().filter_map(|at| gradients.0.get(*at).map(Option::as_ref))
    }

    /// Clips gradients, decays weights and updates them.
    fn update(
        &self,
        trainable: &[&Parameter],
        gradients: &Gradients,
        step: &Step<'_>,
        scale: f64,
    ) -> Result<()> {
        self.rule.update_shared(step)?;
        let clip = Clip::new(self.rule.common(), scale);
        if self.fused {
            let clip = clip.globally(self.own_gradients(gradients).flatten())?;
            let own = self.own_gradients(gradients);
            for (i, (parameter, gradient)) in self.own(trainable).zip(own).enumerate() {
                if let (Some(gradient), Some(slots)) = (gradient, self.slots.get(i)) {
                    let decay = step.rate * self.decays.get(i).copied().unwrap_or_default();
                    let prepare = clip.prepare(gradient, decay)?;
                    let leaves = self.rule.leaves_without_gradient() && prepare.keeps_zero();
                    let known = || gradients.rows(self.weights.get(i).copied()?);
                    let rows = if leaves { known() } else { None };
                    let (weight, prepare) = (parameter.var.as_tensor(), Some(prepare));
                    self.rule.update(step, &Target { weight, gradient, slots, rows, prepare })?;
                }
            }
            return Ok(());
        }
        let own: Vec<Option<Tensor>> =
            self.own_gradients(gradients).map(|gradient| gradient.cloned()).collect();
        let gradients = clip.composed(&own)?;
        for (i, (parameter, gradient)) in self.own(trainable).zip(&gradients).enumerate() {
            if let (Some(gradient), Some(slots)) = (gradient, self.slots.get(i)) {
                let weight = &parameter.var.as_tensor().detach();
                let decay = step.rate * self.decays.get(i).copied().unwrap_or_default();
                if decay != 0.0 {
                    update::assign(weight, &(weight - (weight * decay)?)?)?;
                }
                let target = Target { weight, gradient, slots, rows: None, prepare: None };
                self.rule.update(step, &target)?;
            }
        }
        Ok(())
    }

    /// Updates the moving averages, and overwrites the weights with them every
    /// `ema_overwrite_frequency` updates. `updates` is the number before this call.
    fn average(&self, trainable: &[&Parameter], updates: u64) -> Result<()> {
        let common = self.rule.common();
        let momentum = if updates == 0 { 0.0 } else { common.ema_momentum };
        let every = common.ema_overwrite_frequency;
        let overwrite = every.is_some_and(|every| (updates + 1).is_multiple_of(every));
        for (parameter, average) in self.own(trainable).zip(&self.averages) {
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

    /// Whether it, or one inside it, averages the weights.
    pub fn has_averages(&self) -> bool {
        self.rule.common().use_ema || self.inner.iter().any(Self::has_averages)
    }

    /// Exchanges the weights and their moving averages, in Keras's SwapEMAWeights. Until they are
    /// exchanged back no update may be made.
    pub fn swap_averages(&mut self, store: &Store) -> Result<()> {
        let trainable: Vec<&Parameter> = store.trainable().collect();
        self.swap_own_averages(&trainable)?;
        self.averages_swapped = !self.averages_swapped;
        Ok(())
    }

    /// States that the weights are averages and the averages weights: what a checkpoint held.
    pub fn set_averages_swapped(&mut self, swapped: bool) {
        self.averages_swapped = swapped;
    }

    fn swap_own_averages(&self, trainable: &[&Parameter]) -> Result<()> {
        for (parameter, average) in self.own(trainable).zip(&self.averages) {
            let weight = parameter.var.as_tensor();
            let before = weight.detach().copy()?;
            update::assign(weight, average)?;
            update::assign(average, &before)?;
        }
        self.inner.iter().try_for_each(|inner| inner.swap_own_averages(trainable))
    }

    /// With `use_ema`, sets the weights to their averages, as Keras does when training ends.
    pub fn finalize(&mut self, store: &Store) -> Result<()> {
        let trainable: Vec<&Parameter> = store.trainable().collect();
        if self.averages_swapped {
            // The weights are the averages already.
            self.swap_own_averages(&trainable)?;
            self.averages_swapped = false;
        }
        self.finalize_own(&trainable)
    }

    fn finalize_own(&self, trainable: &[&Parameter]) -> Result<()> {
        if self.iterations > 0 {
            for (parameter, average) in self.own(trainable).zip(&self.averages) {
                update::assign(parameter.var.as_tensor(), average)?;
            }
        }
        self.inner.iter().try_for_each(|inner| inner.finalize_own(trainable))
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
