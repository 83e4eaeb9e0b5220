//! The state of an optimizer: everything it keeps between steps.

use super::{Optimizer, Slot, UpdateRule, WeightInfo};
use crate::schedules::LearningRate;
use sconce_core::names::snake_case;
use sconce_core::{Config, DType, Device, Error, Json, Parameter, Result, Store, Tensor};
use sconce_kernels::update;
use std::slice::Iter;
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
    /// The places of its weights among all that are trainable, and their paths.
    pub(super) weights: Vec<usize>,
    pub(super) paths: Vec<String>,
    /// The weight decay of each.
    pub(super) decays: Vec<f64>,
    /// The slots of each weight as declared, and their variables.
    pub(super) declared: Vec<Vec<Slot>>,
    pub(super) slots: Vec<Vec<Tensor>>,
    declared_shared: Vec<Slot>,
    pub(super) shared: Vec<Tensor>,
    pub(super) averages: Vec<Tensor>,
    pub(super) accumulated: Vec<Tensor>,
    /// Whether weights and averages are in each other's place, during validation.
    pub(super) averages_swapped: bool,
    pub(super) fused: bool,
    pub(super) loss_scale_factor: Option<f64>,
    /// The states of the optimizers that this one holds.
    pub(super) inner: Vec<OptimizerState>,
    dtype: DType,
}

impl OptimizerState {
    /// For the trainable weights of a store.
    pub fn new(optimizer: &Optimizer, store: &Store) -> Result<Self> {
        let trainable: Vec<&Parameter> = store.trainable().collect();
        let factor = optimizer.get()?.loss_scale_factor();
        Self::of(optimizer, &trainable, (0..trainable.len()).collect(), factor)
    }

    /// For some of the trainable weights.
    fn of(
        optimizer: &Optimizer,
        trainable: &[&Parameter],
        weights: Vec<usize>,
        loss_scale_factor: Option<f64>,
    ) -> Result<Self> {
        let rule = optimizer.get()?.clone();
        let common = rule.common();
        let own = || weights.iter().filter_map(|at| trainable.get(*at).copied());
        let first = own().next().map(|parameter| &parameter.var);
        let dtype = first.map_or(DType::F32, |var| var.dtype());
        let device = first.map_or(Device::Cpu, |var| var.device().clone());
        // As in Keras, an optimizer inside another that updates no weight has none of its own.
        let declared_shared = if first.is_some() { rule.shared_slots(dtype) } else { Vec::new() };
        let create = |slot: &Slot| slot.create(None, &device);
        let mut state = Self {
            optimizer: optimizer.clone(),
            rate: common.learning_rate.clone(),
            iterations: 0,
            weights: Vec::new(),
            paths: Vec::new(),
            decays: Vec::new(),
            declared: Vec::new(),
            slots: Vec::new(),
            shared: declared_shared.iter().map(create).collect::<Result<_>>()?,
            declared_shared,
            averages: Vec::new(),
            accumulated: Vec::new(),
            averages_swapped: false,
            fused: rule.fused(),
            loss_scale_factor,
            inner: Vec::new(),
            rule: rule.clone(),
            dtype,
        };
        let holds = rule.inner();
        let mut of_inner = vec![Vec::new(); holds.len()];
        for (at, parameter) in weights.iter().zip(own()) {
            state.paths.push(parameter.path.clone());
            state.weights.push(*at);
            if !holds.is_empty() {
                if let Some(weights) = of_inner.get_mut(rule.inner_of(&parameter.path)?) {
                    weights.push(*at);
                }
                continue;
            }
            let w = parameter.var.as_tensor();
            let info = WeightInfo { path: &parameter.path, dims: w.dims(), dtype: w.dtype() };
            let declared = rule.slots(&info);
            let slots = declared.iter().map(|slot| slot.create(Some(w), w.device()));
            let slots = slots.collect::<Result<Vec<_>>>()?;
            // Integers hold no part of a formula.
            let fuses = |slot: &Tensor| update::fuses(slot) || !slot.dtype().is_float();
            state.fused &= update::fuses(w) && slots.iter().all(fuses);
            state.declared.push(declared);
            state.slots.push(slots);
            let decay = rule.weight_decay(&info).filter(|_| !common.excludes(&info));
            state.decays.push(decay.unwrap_or_default());
            let zeros = || Tensor::zeros(w.dims(), w.dtype(), w.device());
            if common.use_ema {
                state.averages.push(zeros()?);
            }
            if common.gradient_accumulation_steps.is_some() {
                state.accumulated.push(zeros()?);
            }
        }
        // The scale of the outermost optimizer is the one that counts.
        let factor = if rule.dynamic_scale().is_some() { None } else { loss_scale_factor };
        for (optimizer, weights) in holds.into_iter().zip(of_inner) {
            state.inner.push(Self::of(optimizer, trainable, weights, factor)?);
        }
        if let LearningRate::Constant(rate) = state.rate {
            state.rate = state.checked_rate(rate)?;
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
        if !self.inner.is_empty() {
            let inner = self.inner.iter().map(Self::to_json).collect::<Result<Vec<_>>>()?;
            self.rule.write_inner(&mut json["config"], inner);
        } else if let LearningRate::Constant(rate) = self.rate {
            json["config"]["learning_rate"] = rate.into();
        }
        Ok(json)
    }

    /// The learning rate of the next update; NaN of a `MultiOptimizer`, whose optimizers have one each.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate_before(0)
    }

    /// The learning rate so many updates before the next one: what its schedule gave then, or the rate as
    /// it is now.
    pub fn learning_rate_before(&self, updates: u64) -> f64 {
        match self.inner.as_slice() {
            [] => self.rate.at(self.iterations.saturating_sub(updates)),
            [inner] if self.rule.dynamic_scale().is_some() => inner.learning_rate_before(updates),
            _ => f64::NAN,
        }
    }

    /// Whether it holds no optimizers with learning rates of their own.
    fn has_one_rate(&self) -> bool {
        self.inner.is_empty() || self.rule.dynamic_scale().is_some()
    }

    /// The names of their rates; optimizers of one name are numbered: `sgd`, `sgd_1`.
    fn rate_names(&self) -> Vec<String> {
        let names: Vec<String> = self.inner.iter().map(Self::name).collect();
        let numbered = names.iter().enumerate().map(|(index, name)| {
            match names.iter().take(index).filter(|other| *other == name).count() {
                0 => format!("learning_rate_{name}"),
                same => format!("learning_rate_{name}_{same}"),
            }
        });
        numbered.collect()
    }

    /// The learning rate by its name in Keras's logs: `learning_rate`, or `learning_rate_{name}` of each
    /// optimizer in a `MultiOptimizer`.
    pub fn learning_rates(&self) -> Vec<(String, f64)> {
        match self.has_one_rate() {
            true => vec![("learning_rate".to_string(), self.learning_rate())],
            false => {
                let rates = self.inner.iter().map(Self::learning_rate);
                self.rate_names().into_iter().zip(rates).collect()
            }
        }
    }

    /// As [`OptimizerState::learning_rates`], with the optimizers whose rates they are, to set them.
    pub fn by_learning_rate(&mut self) -> Vec<(String, &mut Self)> {
        match self.has_one_rate() {
            true => vec![("learning_rate".to_string(), self)],
            false => self.rate_names().into_iter().zip(&mut self.inner).collect(),
        }
    }

    /// Whether it, or one inside it, clips gradients.
    pub fn clips(&self) -> bool {
        let common = self.rule.common();
        let bounds = [common.clipnorm, common.global_clipnorm, common.clipvalue];
        bounds.into_iter().flatten().any(|bound| bound > 0.0) || self.inner.iter().any(Self::clips)
    }

    /// Replaces a constant learning rate (a schedule cannot be set). As in Keras it is kept in the
    /// type of the weights.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        match self.inner.as_mut_slice() {
            [] => {
                self.rate = self.checked_rate(rate)?;
                Ok(())
            }
            [inner] if self.rule.dynamic_scale().is_some() => inner.set_learning_rate(rate),
            _ => Err(self.has_several_rates()),
        }
    }

    /// Refuses an optimizer whose learning rate cannot be set.
    ///
    /// # Errors
    /// A schedule, its own or of an optimizer inside.
    pub fn check_learning_rate_can_be_set(&self) -> Result<()> {
        match self.inner.as_slice() {
            [] => self.checked_rate(self.learning_rate()).map(drop),
            inner => inner.iter().try_for_each(Self::check_learning_rate_can_be_set),
        }
    }

    fn has_several_rates(&self) -> Error {
        Error::training(format!(
            "the optimizers of a {} have a learning rate each, and none can be set for all",
            self.optimizer.class_name()
        ))
    }

    fn checked_rate(&self, rate: f64) -> Result<LearningRate> {
        if let LearningRate::Schedule(_) = self.rate {
            return Err(Error::training(
                "the learning rate is a schedule and cannot be set; compile with a number instead",
            ));
        }
        let rate = if self.dtype == DType::F64 { rate } else { f64::from(rate as f32) };
        let mut common = self.rule.common().clone();
        common.learning_rate = rate.into();
        common.check_ranges()?;
        Ok(common.learning_rate)
    }

    /// Everything that changes from step to step, as `optimizer.variables` in Keras: its order, its
    /// paths. The number of iterations and the learning rate (unless it is a schedule) are copies;
    /// the others share the optimizer's own memory, which the next step changes.
    pub fn variables(&self) -> Result<Vec<(String, Tensor)>> {
        let mut out = self.counts()?;
        out.extend(self.of_rule().into_iter().map(|(path, tensor)| (path, tensor.clone())));
        for inner in &self.inner {
            out.extend(inner.variables()?);
        }
        Ok(out)
    }

    /// What the variables that all weights share hold after so many updates, where that follows from the
    /// number alone.
    pub fn shared_after(&self, updates: u64) -> Vec<f64> {
        self.rule.shared_after(updates)
    }

    /// The variables that an optimizer has before its first step.
    fn unused_variables(&self) -> Result<Vec<(String, Tensor)>> {
        let mut out = self.counts()?;
        for inner in &self.inner {
            out.extend(inner.unused_variables()?);
        }
        Ok(out)
    }

    /// The number of iterations, and the learning rate unless it is a schedule.
    fn counts(&self) -> Result<Vec<(String, Tensor)>> {
        let name = self.name();
        // Keras counts in the inner optimizer alone if the loss scale changes.
        let count = if self.rule.dynamic_scale().is_some() { 0 } else { self.iterations };
        // Keras on JAX counts in int32.
        let iterations = match i32::try_from(count) {
            Ok(count) => Tensor::new(count, &Device::Cpu)?,
            Err(_) => Tensor::new(count as i64, &Device::Cpu)?,
        };
        let mut out = vec![(format!("{name}/iteration"), iterations)];
        if let LearningRate::Constant(rate) = self.rate {
            let float = if self.dtype == DType::F64 { DType::F64 } else { DType::F32 };
            let rate = Tensor::new(rate, &Device::Cpu)?.to_dtype(float)?;
            out.push((format!("{name}/learning_rate"), rate));
        }
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
        let mut variables = self.variables()?;
        let unused = self.unused_variables()?;
        let fresh = self.iterations == 0 && values.len() == unused.len();
        if fresh && values.len() != variables.len() && count(values.first())? == 0 {
            variables = unused;
        }
        if values.len() != variables.len() {
            count(values.first())?;
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
        let whole = variables.len() == self.variables()?.len();
        self.restore(&mut values.iter(), whole, false)?;
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
        self.restore(&mut values.iter(), whole, true)
    }

    /// Takes its variables from `values`; `whole`: not only the counts. Without `set` it looks only whether
    /// that can be done.
    fn restore(&mut self, values: &mut Iter<'_, Tensor>, whole: bool, set: bool) -> Result<()> {
        let iterations = count(values.next())?;
        let rate = match self.rate {
            LearningRate::Constant(rate) => match values.next() {
                Some(rate) => {
                    let rate = rate.flatten_all()?.to_dtype(DType::F64)?.get(0)?.to_scalar()?;
                    Some(self.checked_rate(rate)?)
                }
                None => Some(rate.into()),
            },
            LearningRate::Schedule(_) => None,
        };
        let mut converted = Vec::new();
        for (_, now) in self.of_rule().into_iter().filter(|_| whole) {
            if let Some(value) = values.next() {
                let value = value.to_device(now.device())?.to_dtype(now.dtype())?;
                converted.push((now.clone(), value.force_contiguous()?));
            }
        }
        for inner in &mut self.inner {
            inner.restore(values, whole, set)?;
        }
        if set {
            let counted_inside = self.rule.dynamic_scale().and(self.inner.first());
            self.iterations = counted_inside.map_or(iterations, |inner| inner.iterations);
            self.rate = rate.unwrap_or_else(|| self.rate.clone());
            for (now, value) in &converted {
                update::assign(now, value)?;
            }
        }
        Ok(())
    }
}

/// The number of batches seen, the first variable of every optimizer.
fn count(value: Option<&Tensor>) -> Result<u64> {
    let count = match value {
        Some(count) if !count.dtype().is_float() && count.elem_count() == 1 => {
            u64::try_from(count.flatten_all()?.to_dtype(DType::I64)?.get(0)?.to_scalar::<i64>()?)
                .ok()
        }
        _ => None,
    };
    count.ok_or_else(|| {
        Error::data("the first optimizer variable must be the number of batches seen")
    })
}
