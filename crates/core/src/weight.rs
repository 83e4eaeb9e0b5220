//! Weights: what a layer declares ([`WeightSpec`]), what it then has ([`Weight`]), the weights of a
//! model by path ([`Store`]), and their gradients ([`Gradients`]).
//!
//! The order of declaration is the order of the store, of files, and of every sum over weights, so
//! results never depend on the order of a hash map.

use crate::device::held_as;
use crate::tape::{self, GradientSink, Rows, Tape};
use crate::{Error, Result, Stream};
use candle_core::{DType, Device, Shape, Tensor, TensorId, Var};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

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
    /// Type; `None`: the float type that the layer's policy keeps its weights in.
    pub dtype: Option<DType>,
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
            dtype: None,
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

    /// Of a type of its own, such as integer state.
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }
}

/// Refuses a weight, or a variable of an optimizer for one, that memory has no room for: allocating it
/// would end the process.
///
/// # Errors
/// With the shape.
pub fn check_memory(dims: &[usize], dtype: DType) -> Result<()> {
    let bytes = dims.iter().try_fold(dtype.size_in_bytes(), |bytes, dim| bytes.checked_mul(*dim));
    let mut room = Vec::<u8>::new();
    let fits = bytes.is_some_and(|bytes| room.try_reserve_exact(bytes).is_ok());
    // Without this the compiler leaves the allocation out.
    std::hint::black_box(&room);
    if fits {
        return Ok(());
    }
    let message = format!("a weight of shape {dims:?} does not fit into memory; make it smaller");
    Err(Error::layer("", message))
}

/// Where the first values of weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstValues {
    /// Drawn by the initializers, each weight from the stream of its path under this seed.
    Seed(u64),
    /// Zeros, for weights that are read from a file next: nothing is drawn.
    Zeros,
}

/// A weight of a layer. Every model that uses the layer shares it.
pub struct Weight {
    /// Name within the layer: "kernel".
    pub name: String,
    /// Value.
    pub var: Var,
    /// Whether training never changes it (state such as batch statistics).
    pub is_state: bool,
    /// Penalty added to the loss.
    pub regularizer: Option<Arc<dyn Regularizer>>,
    /// Projection after each update.
    pub constraint: Option<Arc<dyn Constraint>>,
    /// The value without autograd: what layers see of a frozen weight, so that nothing is
    /// differentiated for it.
    untracked: Tensor,
}

impl Weight {
    /// A weight of a layer at `scope` (a path), with its first values. `float` is the type of weights
    /// that declare none.
    ///
    /// # Errors
    /// What the initializer refuses, with the weight's path; integer state that its initializer's
    /// values do not fit.
    pub fn new(
        spec: WeightSpec,
        scope: &str,
        device: &Device,
        float: DType,
        first: FirstValues,
    ) -> Result<Self> {
        let path = format!("{scope}/{}", spec.name);
        let dtype = spec.dtype.unwrap_or(float);
        let var = match first {
            FirstValues::Zeros => {
                check_memory(&spec.dims, dtype).map_err(|e| e.in_layer(&path))?;
                // Not made of a tensor, which would be copied and so take its memory before there are values.
                Var::zeros(spec.dims.as_slice(), held_as(dtype, device), device)?
            }
            FirstValues::Seed(seed) => {
                spec.initializer.check()?;
                let mut stream = Stream::named(seed, &path);
                let values = spec
                    .initializer
                    .values(&spec.dims, &mut stream)
                    .map_err(|e| e.in_layer(&path))?;
                let shape = Shape::from(spec.dims.as_slice());
                if values.len() != shape.elem_count() {
                    return Err(Error::layer(
                        path,
                        format!(
                            "its initializer made {} values for shape {:?}",
                            values.len(),
                            spec.dims
                        ),
                    ));
                }
                match (dtype, device) {
                    // The vector becomes the variable's memory: weights are never held twice.
                    (DType::F32, Device::Cpu) => Var::from_vec(values, shape, device)?,
                    _ => {
                        let value = Tensor::from_vec(values, shape, &Device::Cpu)?;
                        let dtype = held_as(dtype, device);
                        Var::from_tensor(&value.to_dtype(dtype)?.to_device(device)?)?
                    }
                }
            }
        };
        Ok(Self {
            name: spec.name,
            untracked: var.as_detached_tensor(),
            var,
            is_state: !spec.trainable,
            regularizer: spec.regularizer,
            constraint: spec.constraint,
        })
    }

    /// The same weight, memory included, as another statement of it says.
    ///
    /// # Errors
    /// If that has another shape.
    pub fn restated(&self, spec: WeightSpec) -> Result<Self> {
        if spec.dims != self.var.dims() {
            let expected =
                format!("expected a weight of shape {:?}, got {:?}", self.var.dims(), spec.dims);
            return Err(Error::layer("", expected));
        }
        Ok(Self {
            name: spec.name,
            var: self.var.clone(),
            is_state: !spec.trainable,
            regularizer: spec.regularizer,
            constraint: spec.constraint,
            untracked: self.untracked.clone(),
        })
    }

    /// Replaces the value; shape must be the same, the type is converted.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        if value.dims() != self.var.dims() {
            let expected =
                format!("expected a weight of shape {:?}, got {:?}", self.var.dims(), value.dims());
            return Err(Error::layer("", expected));
        }
        let value = value.to_dtype(self.var.dtype())?.to_device(self.var.device())?;
        // `Var::set` refuses a value that shares the variable's memory.
        Ok(self.var.set(&value.detach().force_contiguous()?)?)
    }

    /// The value: tracked, so that it is differentiated, or not. It shares the weight's memory.
    pub fn value(&self, tracked: bool) -> &Tensor {
        if tracked { self.var.as_tensor() } else { &self.untracked }
    }
}

/// One weight of a model: a layer's weight under its path.
#[derive(Clone)]
pub struct Parameter {
    /// Path in the model: "dense/kernel", "encoder/dense/kernel".
    pub path: String,
    /// Whether training changes it.
    pub trainable: bool,
    /// The weight itself.
    pub weight: Arc<Weight>,
}

impl Parameter {
    /// Replaces the value; shape must be the same, the type is converted.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        self.weight.set(value).map_err(|e| e.in_layer(&self.path))
    }
}

impl std::ops::Deref for Parameter {
    type Target = Weight;

    fn deref(&self) -> &Weight {
        &self.weight
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.path, self.var.dims(), self.var.dtype())
    }
}

/// The weights of a model by path, in order. The order is that of files and of every sum over weights.
#[derive(Clone, Debug, Default)]
pub struct Store {
    parameters: Vec<Parameter>,
    by_path: HashMap<String, usize>,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a weight at `path`; a weight that is there already, under another path, is left out. It is
    /// trained if it is trainable at all of its paths, as in Keras, where freezing a model freezes the
    /// layers in it wherever else they stand.
    ///
    /// # Errors
    /// If the path is taken.
    pub fn add(&mut self, path: String, weight: Arc<Weight>, trainable: bool) -> Result<()> {
        let there = self.parameters.iter_mut().find(|p| Arc::ptr_eq(&p.weight, &weight));
        if let Some(parameter) = there {
            parameter.trainable &= trainable;
            return Ok(());
        }
        if self.by_path.contains_key(&path) {
            return Err(Error::layer(&path, "two weights of the model have this path"));
        }
        let trainable = trainable && !weight.is_state;
        self.by_path.insert(path.clone(), self.parameters.len());
        self.parameters.push(Parameter { path, trainable, weight });
        Ok(())
    }

    /// All weights, in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
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

    /// A sink for the gradients of the trainable weights.
    pub fn sink(&self) -> GradientSink {
        GradientSink::new(self.trainable().map(|p| p.var.as_tensor()))
    }

    /// Differentiates a scalar loss with respect to every trainable weight. The tape of this thread is
    /// empty afterwards.
    ///
    /// # Errors
    /// If the loss depends on what another tape recorded, or was differentiated already.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        let mut sink = self.sink();
        tape::backward(loss, &mut sink).map_err(crate::error::from_candle)?;
        Ok(self.gradients(&mut sink))
    }

    /// As [`Store::backward`], of a recorded pass, with the buffers of a sink that is used again: the
    /// next pass overwrites the gradients.
    pub fn backward_into(
        &self,
        loss: &Tensor,
        tape: &Tape,
        sink: &mut GradientSink,
    ) -> Result<Gradients> {
        if !sink.is_for(self.trainable().map(|p| p.var.as_tensor())) {
            *sink = self.sink();
        }
        tape.backward(loss, sink).map_err(crate::error::from_candle)?;
        Ok(self.gradients(sink))
    }

    fn gradients(&self, sink: &mut GradientSink) -> Gradients {
        let mut known = Vec::new();
        let gradients = self.trainable().map(|parameter| {
            let (gradient, rows) = sink.take_with_rows(parameter.var.as_tensor())?;
            known.extend(rows.map(|rows| (gradient.id(), rows)));
            Some(gradient)
        });
        Gradients(gradients.collect(), known)
    }
}

/// The gradients of a store's trainable weights, in its order. `None`: the loss does not depend on
/// that weight.
#[derive(Clone, Debug)]
pub struct Gradients(
    pub Vec<Option<Tensor>>,
    /// The tensors of which the rows are known outside which they are 0, as those of an embedding are.
    Vec<(TensorId, Rows)>,
);

impl From<Vec<Option<Tensor>>> for Gradients {
    fn from(gradients: Vec<Option<Tensor>>) -> Self {
        Self(gradients, Vec::new())
    }
}

impl Gradients {
    /// Outside which rows (of the first axis, ascending, each once) a gradient is 0, if that is known.
    pub fn rows(&self, index: usize) -> Option<&[u32]> {
        // By tensor: one that was put in the place of another may be anything.
        let gradient = self.0.get(index)?.as_ref()?.id();
        self.1.iter().find(|(known, _)| *known == gradient).map(|(_, rows)| &**rows)
    }

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

#[cfg(test)]
mod tests;
