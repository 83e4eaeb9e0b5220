//! The state of an optimizer: everything it keeps between steps.

use super::{Optimizer, Slot, UpdateRule, WeightInfo};
use crate::schedules::LearningRate;
use sconce_core::names::snake_case;
use sconce_core::{Config, DType, Device, Error, Json, Result, Store, Tensor};
use sconce_kernels::update;
use std::sync::Arc;

/// What a rule reads at one update.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Learning rate of this update.
    pub rate: f64,
    /// Updates of the weights so far, this one included.
    pub iteration: u64,
    /// The slots that all weights share, as declared by [`UpdateRule::shared_slots`].
    pub shared: &'a [Tensor],
}

/// The state of an optimizer for the trainable weights of a store. [`OptimizerState::variables`] is
/// everything that changes, so a state whose variables are restored continues exactly.
pub struct OptimizerState {
    optimizer: Optimizer,
    pub(super) rule: Arc<dyn UpdateRule>,
    pub(super) rate: LearningRate,
    /// Batches seen (Keras's `iterations` variable).
    pub iterations: u64,
    pub(super) paths: Vec<String>,
    /// The slots of each weight as declared, and their variables.
    declared: Vec<Vec<Slot>>,
    pub(super) slots: Vec<Vec<Tensor>>,
    declared_shared: Vec<Slot>,
    pub(super) shared: Vec<Tensor>,
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
        let first = store.trainable().next().map(|parameter| &parameter.var);
        let dtype = first.map_or(DType::F32, |var| var.dtype());
        let device = first.map_or(Device::Cpu, |var| var.device().clone());
        let declared_shared = rule.shared_slots(dtype);
        let create = |slot: &Slot| slot.create(None, &device);
        let mut state = Self {
            optimizer: optimizer.clone(),
            rate: common.learning_rate.clone(),
            iterations: 0,
            paths: Vec::new(),
            declared: Vec::new(),
            slots: Vec::new(),
            shared: declared_shared.iter().map(create).collect::<Result<_>>()?,
            declared_shared,
            averages: Vec::new(),
            accumulated: Vec::new(),
            fused: rule.kernel().is_some(),
            rule: rule.clone(),
            dtype,
        };
        for parameter in store.trainable() {
            let w = parameter.var.as_tensor();
            let info = WeightInfo { path: &parameter.path, dims: w.dims(), dtype: w.dtype() };
            let declared = rule.slots(&info);
            let slots = declared.iter().map(|slot| slot.create(Some(w), w.device()));
            let slots = slots.collect::<Result<Vec<_>>>()?;
            let like = |slot: &Tensor| slot.dims() == w.dims() && update::fuses(slot);
            state.fused &= update::fuses(w) && slots.iter().all(like);
            state.declared.push(declared);
            state.slots.push(slots);
            let zeros = || Tensor::zeros(w.dims(), w.dtype(), w.device());
            if common.use_ema {
                state.averages.push(zeros()?);
            }
            if common.gradient_accumulation_steps.is_some() {
                state.accumulated.push(zeros()?);
            }
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

    /// The update rule.
    pub fn rule(&self) -> &Arc<dyn UpdateRule> {
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
        let mut common = self.rule.common().clone();
        common.learning_rate = rate.into();
        common.check_ranges()?;
        self.rate = common.learning_rate;
        Ok(())
    }

    /// Everything that changes from step to step, as `optimizer.variables` in Keras: its order, its
    /// paths. The number of iterations and the learning rate (unless it is a schedule) are copies;
    /// the others share the optimizer's own memory, which the next step changes.
    pub fn variables(&self) -> Result<Vec<(String, Tensor)>> {
        let name = self.name();
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
        out.extend(self.of_rule().into_iter().map(|(path, tensor)| (path, tensor.clone())));
        Ok(out)
    }

    fn name(&self) -> String {
        let name = self.rule.common().name.clone();
        name.unwrap_or_else(|| snake_case(self.optimizer.class_name()))
    }

    /// The variables after the number of iterations and the learning rate, in Keras's order: averages,
    /// gradient accumulators, the slots of the weights group by group and in each group weight by
    /// weight, shared slots.
    fn of_rule(&self) -> Vec<(String, &Tensor)> {
        let name = self.name();
        let of_weight =
            |path: &str, slot: &str| format!("{name}/{}_{slot}", path.replace('/', "_"));
        let mut out = Vec::new();
        for (slot, tensors) in
            [("average", &self.averages), ("gradient_accumulator", &self.accumulated)]
        {
            out.extend(self.paths.iter().zip(tensors).map(|(path, t)| (of_weight(path, slot), t)));
        }
        let mut slots = Vec::new();
        for ((path, declared), tensors) in self.paths.iter().zip(&self.declared).zip(&self.slots) {
            slots.extend(declared.iter().zip(tensors).map(|(slot, t)| (path, slot, t)));
        }
        slots.sort_by_key(|(_, slot, _)| slot.group);
        out.extend(slots.into_iter().map(|(path, slot, t)| {
            (slot.path.clone().unwrap_or_else(|| of_weight(path, &slot.name)), t)
        }));
        let shared = self.declared_shared.iter().zip(&self.shared);
        out.extend(shared.map(|(slot, t)| {
            (slot.path.clone().unwrap_or_else(|| format!("{name}/{}", slot.name)), t)
        }));
        out
    }

    /// Sets everything [`OptimizerState::variables`] gives, in that order, to copies of these. Keras
    /// writes only the first ones (iteration, learning rate) of an optimizer that made no step;
    /// they are taken too.
    ///
    /// # Errors
    /// If number, shapes or types do not match; then nothing is changed.
    pub fn set_variables(&mut self, values: &[Tensor]) -> Result<()> {
        let variables = self.variables()?;
        let rate = matches!(self.rate, LearningRate::Constant(_));
        let iterations = match values.first() {
            Some(count) if !count.dtype().is_float() => {
                count.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?
            }
            _ => Vec::new(),
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
            if value.dtype().is_float() && !now.dtype().is_float() {
                return Err(Error::data(format!(
                    "the optimizer variable {name} has type {:?}, {:?} was given",
                    now.dtype(),
                    value.dtype()
                )));
            }
        }
        let mut rest = values.get(1..).unwrap_or(&[]);
        let mut new_rate = None;
        if let (true, Some((first, after))) = (rate, rest.split_first()) {
            new_rate = Some(first.flatten_all()?.to_dtype(DType::F64)?.get(0)?.to_scalar()?);
            rest = after;
        }
        let convert = |((_, now), value): (&(String, &Tensor), &Tensor)| -> Result<Tensor> {
            let value = value.to_device(now.device())?.to_dtype(now.dtype())?;
            Ok(value.force_contiguous()?)
        };
        let of_rule = self.of_rule();
        let rest = of_rule.iter().zip(rest).map(convert).collect::<Result<Vec<_>>>()?;
        if let Some(rate) = new_rate {
            self.set_learning_rate(rate)?;
        }
        self.iterations = iterations;
        for ((_, now), value) in self.of_rule().iter().zip(&rest) {
            update::assign(now, value)?;
        }
        Ok(())
    }
}
