//! Weights: what a layer declares ([`WeightSpec`]), what holds them ([`Store`]), what a layer is
//! given when it runs ([`Weights`]), and where their gradients go ([`GradientSlot`], [`Gradients`]).
//!
//! The order of declaration is the order of the store, of files, and of every sum over weights, so
//! results never depend on the order of a hash map.

use crate::{Error, Result, Stream, Tape};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Draws the first values of a weight.
pub trait Initializer: Send + Sync {
    /// `dims.iter().product()` values in row-major order. `stream` is seeded by the model's seed and
    /// the weight's path; an initializer with a seed of its own uses that instead.
    fn values(&self, dims: &[usize], stream: &mut Stream) -> Result<Vec<f32>>;

    /// Refuses hyperparameters that no weight could make right.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A penalty on a weight, added to the loss.
pub trait Regularizer: Send + Sync {
    /// A differentiable scalar.
    fn penalty(&self, weight: &Tensor) -> Result<Tensor>;

    /// Refuses hyperparameters that no weight could make right.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A projection applied to a weight after each update.
pub trait Constraint: Send + Sync {
    /// The projected weight, of the same shape.
    fn project(&self, weight: &Tensor) -> Result<Tensor>;

    /// Refuses hyperparameters that no weight could make right.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// One weight as a layer declares it.
#[derive(Clone)]
pub struct WeightSpec {
    /// Name within the layer, "kernel"; nested with slashes.
    pub name: String,
    /// Shape.
    pub dims: Vec<usize>,
    /// First values.
    pub initializer: Arc<dyn Initializer>,
    /// Whether training changes it (batch statistics do not count).
    pub trainable: bool,
    /// Penalty added to the loss.
    pub regularizer: Option<Arc<dyn Regularizer>>,
    /// Projection after each update.
    pub constraint: Option<Arc<dyn Constraint>>,
}

impl WeightSpec {
    /// A trainable weight without penalty or projection.
    pub fn new(name: &str, dims: &[usize], initializer: Arc<dyn Initializer>) -> Self {
        Self {
            name: name.to_string(),
            dims: dims.to_vec(),
            initializer,
            trainable: true,
            regularizer: None,
            constraint: None,
        }
    }

    /// With a penalty.
    pub fn regularizer(mut self, regularizer: Option<Arc<dyn Regularizer>>) -> Self {
        self.regularizer = regularizer;
        self
    }

    /// With a projection after each update.
    pub fn constraint(mut self, constraint: Option<Arc<dyn Constraint>>) -> Self {
        self.constraint = constraint;
        self
    }

    /// State that training does not change.
    pub fn non_trainable(mut self) -> Self {
        self.trainable = false;
        self
    }
}

/// A persistent buffer for one weight's gradient. Our own operations write here and hand candle
/// nothing, which saves an allocation, a zeroing and an addition of the weight's size a step.
#[derive(Debug, Default)]
pub struct GradientSlot(Mutex<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    buffer: Option<Tensor>,
    filled: bool,
}

impl GradientSlot {
    /// Calls `write(buffer, accumulate)` with the buffer for a weight like `like`: it must overwrite
    /// the buffer, or add to it if `accumulate` (a weight used more than once in a step).
    pub fn write(
        &self,
        like: &Tensor,
        write: impl FnOnce(&Tensor, bool) -> candle_core::Result<()>,
    ) -> candle_core::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = match &state.buffer {
            Some(buffer) => buffer.clone(),
            None => {
                let buffer = Tensor::zeros(like.shape(), like.dtype(), like.device())?;
                state.buffer = Some(buffer.clone());
                buffer
            }
        };
        write(&buffer, state.filled)?;
        state.filled = true;
        Ok(())
    }

    /// The gradient written since the last call, if any. The tensor is the buffer itself: the next
    /// step overwrites it.
    pub fn take(&self) -> Option<Tensor> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.filled).then(|| state.buffer.clone()).flatten()
    }
}

/// A weight handed to an operation: its value, and where its gradient goes if not to candle.
#[derive(Clone, Copy, Debug)]
pub struct Weight<'a> {
    /// The value, tracked by candle's autograd unless the weight is frozen.
    pub tensor: &'a Tensor,
    /// The persistent gradient buffer, when the caller reads gradients from there.
    pub slot: Option<&'a Arc<GradientSlot>>,
}

impl<'a> From<&'a Tensor> for Weight<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self { tensor, slot: None }
    }
}

/// One weight of a model.
pub struct Parameter {
    /// Path in the model: "dense/kernel".
    pub path: String,
    /// Value.
    pub var: Var,
    /// Whether training changes it. Frozen layers clear it.
    pub trainable: bool,
    /// Whether it could be trained at all (`false`: state such as batch statistics).
    pub is_state: bool,
    /// Penalty added to the loss.
    pub regularizer: Option<Arc<dyn Regularizer>>,
    /// Projection after each update.
    pub constraint: Option<Arc<dyn Constraint>>,
    slot: Arc<GradientSlot>,
    /// The value without autograd: what layers see of a frozen weight, so that nothing is
    /// differentiated for it.
    untracked: Tensor,
}

impl Parameter {
    /// Its name within the layer: "kernel".
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Replaces the value; shape and type must be the same.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        if value.dims() != self.var.dims() {
            return Err(Error::layer(
                &self.path,
                format!("expected a weight of shape {:?}, got {:?}", self.var.dims(), value.dims()),
            ));
        }
        let value = value.to_dtype(self.var.dtype())?.to_device(self.var.device())?;
        Ok(self.var.set(&value.force_contiguous()?)?)
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.path, self.var.dims())
    }
}

/// The weights of one layer, as its `call` sees them.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    parameters: &'a [Parameter],
    slots: bool,
}

impl<'a> Weights<'a> {
    /// A layer's slice of the store; with `slots`, gradients go to the persistent buffers.
    pub fn new(parameters: &'a [Parameter], slots: bool) -> Self {
        Self { parameters, slots }
    }

    /// The weight of a name, if the layer declared one.
    pub fn find(&self, name: &str) -> Option<Weight<'a>> {
        let parameter = self.parameters.iter().find(|p| {
            p.path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        })?;
        Some(Weight {
            tensor: match parameter.trainable {
                true => parameter.var.as_tensor(),
                false => &parameter.untracked,
            },
            slot: (self.slots && parameter.trainable).then_some(&parameter.slot),
        })
    }

    /// The weight of a name.
    pub fn get(&self, name: &str) -> Result<Weight<'a>> {
        self.find(name).ok_or_else(|| {
            Error::layer(
                "",
                format!("no weight `{name}` was declared; its weights: {:?}", self.parameters),
            )
        })
    }

    /// The declared parameters, in order.
    pub fn parameters(&self) -> &'a [Parameter] {
        self.parameters
    }
}

/// The ordered, path-named weights of a model.
#[derive(Debug)]
pub struct Store {
    device: Device,
    dtype: DType,
    parameters: Vec<Parameter>,
    by_path: HashMap<String, usize>,
}

impl Store {
    /// An empty store.
    pub fn new(device: &Device, dtype: DType) -> Self {
        Self { device: device.clone(), dtype, parameters: Vec::new(), by_path: HashMap::new() }
    }

    /// Declares a weight at `scope/spec.name` and draws its first values from the stream of its path.
    pub fn add(&mut self, scope: &str, spec: WeightSpec, trainable: bool, seed: u64) -> Result<()> {
        let path = format!("{scope}/{}", spec.name);
        if self.by_path.contains_key(&path) {
            return Err(Error::layer(scope, format!("declares the weight `{}` twice", spec.name)));
        }
        let mut stream = Stream::named(seed, &path);
        spec.initializer.check()?;
        let values =
            spec.initializer.values(&spec.dims, &mut stream).map_err(|e| e.in_layer(&path))?;
        let value = Tensor::from_vec(values, spec.dims.as_slice(), &self.device)?;
        let var = Var::from_tensor(&value.to_dtype(self.dtype)?)?;
        self.by_path.insert(path.clone(), self.parameters.len());
        self.parameters.push(Parameter {
            path,
            untracked: var.as_detached_tensor(),
            var,
            trainable: trainable && spec.trainable,
            is_state: !spec.trainable,
            regularizer: spec.regularizer,
            constraint: spec.constraint,
            slot: Arc::default(),
        });
        Ok(())
    }

    /// The device the weights live on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The float type of the weights.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// All weights, in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// All weights, in order, to freeze or thaw them.
    pub fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    /// The weight at a path.
    pub fn get(&self, path: &str) -> Result<&Parameter> {
        self.by_path.get(path).and_then(|i| self.parameters.get(*i)).ok_or_else(|| {
            let paths: Vec<&str> = self.parameters.iter().map(|p| p.path.as_str()).collect();
            Error::layer(path, crate::registry::unknown("weight", path, paths))
        })
    }

    /// The weights that training changes, in order.
    pub fn trainable(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|p| p.trainable)
    }

    /// Differentiates a scalar loss with respect to every trainable weight.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        self.gradients(loss.backward())
    }

    /// As [`Store::backward`], of a loss whose forward pass was recorded.
    pub fn backward_recorded(&self, loss: &Tensor, tape: Tape) -> Result<Gradients> {
        self.gradients(tape.backward(loss))
    }

    fn gradients(&self, outside_slots: candle_core::Result<GradStore>) -> Result<Gradients> {
        let mut outside_slots = outside_slots.map_err(crate::error::from_candle)?;
        let mut gradients = Vec::with_capacity(self.parameters.len());
        for parameter in self.parameters.iter().filter(|p| p.trainable) {
            let slot = parameter.slot.take();
            let gradient = match (slot, outside_slots.remove(parameter.var.as_tensor())) {
                (Some(a), Some(b)) => Some((a + b)?),
                (Some(a), None) => Some(a),
                (None, Some(b)) => Some(b.detach()),
                (None, None) => None,
            };
            gradients.push(gradient);
        }
        Ok(Gradients(gradients))
    }
}

/// The gradients of a store's trainable weights, in its order. `None`: the loss does not depend on
/// that weight.
#[derive(Clone, Debug)]
pub struct Gradients(pub Vec<Option<Tensor>>);

impl Gradients {
    /// Pairs each trainable weight with its gradient; a weight without one is an error that names it.
    pub fn audit(&self, store: &Store) -> Result<()> {
        let missing: Vec<&str> = store
            .trainable()
            .zip(&self.0)
            .filter(|(_, gradient)| gradient.is_none())
            .map(|(parameter, _)| parameter.path.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::training(format!(
            "these trainable weights get no gradient from the loss: {}. Connect them to an output that \
             the loss reads, or freeze their layers with `trainable(false)`",
            missing.join(", ")
        )))
    }
}
