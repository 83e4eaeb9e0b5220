//! An optimizer at work: everything it keeps between steps, in one place.

use super::{Optimizer, Rule};
use crate::schedules::LearningRate;
use sconce_core::{DType, Device, Error, Json, Result, Store, Tensor};
use sconce_kernels::update;
use std::sync::Arc;

/// What a rule reads at one update.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Learning rate of this update.
    pub rate: f64,
    /// Updates of the weights so far, this one included.
    pub iteration: u64,
}

/// An optimizer at work on a store: its rule and all it keeps. [`OptimizerState::variables`] is
/// the whole of what changes, so a state that is given back its variables goes on exactly.
pub struct OptimizerState {
    optimizer: Optimizer,
    pub(super) rule: Arc<dyn Rule>,
    pub(super) rate: LearningRate,
    /// Batches seen (Keras's `iterations` variable).
    pub iterations: u64,
    pub(super) paths: Vec<String>,
    pub(super) slots: Vec<Vec<Tensor>>,
    pub(super) averages: Vec<Tensor>,
    pub(super) accumulated: Vec<Tensor>,
    pub(super) fused: bool,
    dtype: DType,
}

impl OptimizerState {
    /// For the trainable weights of a store.
    pub fn new(optimizer: &Optimizer, store: &Store) -> Result<Self> {
        let rule = optimizer.get()?.clone();
        let common = rule.common();
        let like = |t: &Tensor, value: f32| -> Result<Tensor> {
            Ok(Tensor::full(value, t.dims(), t.device())?.to_dtype(t.dtype())?)
        };
        let mut state = Self {
            optimizer: optimizer.clone(),
            rate: common.learning_rate.clone(),
            iterations: 0,
            paths: Vec::new(),
            slots: Vec::new(),
            averages: Vec::new(),
            accumulated: Vec::new(),
            fused: rule.kernel().is_some(),
            rule: rule.clone(),
            dtype: store.trainable().next().map_or(DType::F32, |p| p.var.dtype()),
        };
        for parameter in store.trainable() {
            let w = parameter.var.as_tensor();
            let slots = rule.slots();
            let slots = slots.iter().flatten().map(|s| like(w, s.initial));
            state.slots.push(slots.collect::<Result<_>>()?);
            if common.use_ema {
                state.averages.push(like(w, 0.0)?);
            }
            if common.gradient_accumulation_steps.is_some() {
                state.accumulated.push(like(w, 0.0)?);
            }
            state.fused &= update::fuses(w);
            state.paths.push(parameter.path.clone());
        }
        if let LearningRate::Constant(rate) = state.rate {
            state.set_learning_rate(rate)?;
        }
        Ok(state)
    }

    /// The optimizer as it was configured.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The rule at work.
    pub fn rule(&self) -> &Arc<dyn Rule> {
        &self.rule
    }

    /// Keras's JSON of the optimizer, with the learning rate as it is now.
    pub fn to_json(&self) -> Result<Json> {
        let mut json = self.optimizer.to_json()?;
        if let LearningRate::Constant(rate) = self.rate {
            json["config"]["learning_rate"] = rate.into();
        }
        Ok(json)
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.rate.at(self.iterations)
    }

    /// Replaces a constant learning rate (a schedule cannot be set). As in Keras it is kept in the
    /// type of the weights.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        if let LearningRate::Schedule(_) = self.rate {
            return Err(Error::training(
                "the learning rate is a schedule and cannot be set; compile with a number instead",
            ));
        }
        let rate = if self.dtype == DType::F64 { rate } else { f64::from(rate as f32) };
        let rate = LearningRate::Constant(rate);
        rate.check().map_err(|e| e.under("learning_rate"))?;
        self.rate = rate;
        Ok(())
    }

    /// Everything that changes from step to step, as `optimizer.variables` in Keras: its order, its
    /// paths. The number of iterations and the learning rate (unless it is a schedule) are copies;
    /// the others share the optimizer's own memory, which the next step changes.
    pub fn variables(&self) -> Result<Vec<(String, Tensor)>> {
        let name = self.rule.common().name.clone().unwrap_or_default();
        // Keras on JAX counts in int32.
        let iterations = match i32::try_from(self.iterations) {
            Ok(count) => Tensor::new(count, &Device::Cpu)?,
            Err(_) => Tensor::new(self.iterations as i64, &Device::Cpu)?,
        };
        let mut out = vec![(format!("{name}/iteration"), iterations)];
        if let LearningRate::Constant(rate) = self.rate {
            let float = if self.dtype == DType::F64 { DType::F64 } else { DType::F32 };
            let rate = Tensor::new(rate, &Device::Cpu)?.to_dtype(float)?;
            out.push((format!("{name}/learning_rate"), rate));
        }
        for (path, slot, tensor) in self.of_weights() {
            out.push((format!("{name}/{}_{slot}", path.replace('/', "_")), tensor.clone()));
        }
        Ok(out)
    }

    /// The variables of weights, in Keras's order: averages, gradient accumulators, then the rule's
    /// slots group by group, and in each group weight by weight.
    fn of_weights(&self) -> Vec<(&str, &'static str, &Tensor)> {
        let paths = || self.paths.iter().map(String::as_str);
        let mut out = Vec::new();
        out.extend(paths().zip(&self.averages).map(|(path, t)| (path, "average", t)));
        out.extend(
            paths().zip(&self.accumulated).map(|(path, t)| (path, "gradient_accumulator", t)),
        );
        let mut first = 0;
        for group in self.rule.slots() {
            for (path, slots) in paths().zip(&self.slots) {
                let slots = slots.iter().skip(first);
                out.extend(group.iter().zip(slots).map(|(slot, t)| (path, slot.name, t)));
            }
            first += group.len();
        }
        out
    }

    /// Sets everything [`OptimizerState::variables`] gives, in that order, to copies of these. Keras
    /// writes only the first ones (iteration, learning rate) of an optimizer that made no step;
    /// they are taken too.
    ///
    /// # Errors
    /// If number or shapes do not fit; then nothing is changed.
    pub fn set_variables(&mut self, values: &[Tensor]) -> Result<()> {
        let variables = self.variables()?;
        let rate = matches!(self.rate, LearningRate::Constant(_));
        let iterations = match values.first() {
            Some(count) => count.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?,
            None => Vec::new(),
        };
        let iterations = match iterations.as_slice() {
            [count] => u64::try_from(*count).ok(),
            _ => None,
        };
        let iterations = iterations.ok_or_else(|| {
            Error::data("the first optimizer variable must be the number of batches seen")
        })?;
        let unused =
            (self.iterations, iterations) == (0, 0) && values.len() == 1 + usize::from(rate);
        if values.len() != variables.len() && !unused {
            let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::data(format!(
                "the optimizer {} has {} variables, {} were given; they must come from the same \
                 optimizer, set up in the same way, for the same trainable weights. Its variables: {}",
                self.optimizer.class_name(),
                variables.len(),
                values.len(),
                names.join(", ")
            )));
        }
        for ((name, now), value) in variables.iter().zip(values) {
            if now.dims() != value.dims() {
                return Err(Error::data(format!(
                    "the optimizer variable {name} has shape {:?}, {:?} was given",
                    now.dims(),
                    value.dims()
                )));
            }
        }
        let mut rest = values.get(1..).unwrap_or(&[]);
        if let (true, Some((rate, after))) = (rate, rest.split_first()) {
            self.set_learning_rate(rate.to_dtype(DType::F64)?.to_scalar()?)?;
            rest = after;
        }
        self.iterations = iterations;
        for ((_, _, now), value) in self.of_weights().iter().zip(rest) {
            let value = value.to_dtype(now.dtype())?.to_device(now.device())?;
            update::assign(now, &value.force_contiguous()?)?;
        }
        Ok(())
    }
}
