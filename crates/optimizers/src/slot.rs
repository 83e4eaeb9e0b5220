//! The variables that an update rule keeps between updates, as it declares them.

use sconce_core::weight::check_memory;
use sconce_core::{DType, Device, Error, Result, Tensor};

/// What a rule knows of a weight when it declares its slots.
#[derive(Clone, Copy, Debug)]
pub struct WeightInfo<'a> {
    /// Path in the model: "dense/kernel".
    pub path: &'a str,
    /// Shape.
    pub dims: &'a [usize],
    /// Type.
    pub dtype: DType,
}

/// The first value of a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// Every element has this value.
    Value(f64),
    /// A copy of the weight as it is before the first step. The slot has the weight's shape.
    WeightCopy,
}

/// A variable that a rule keeps between updates, of any shape and type.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Keras's name: "momentum", "velocity".
    pub name: String,
    /// Shape.
    pub dims: Vec<usize>,
    /// Type.
    pub dtype: DType,
    /// First value.
    pub initial: Initial,
    /// Keras creates (and files hold) variables group by group, and in each group weight by weight.
    /// Default 0.
    pub group: usize,
    /// The path among the optimizer's variables. `None`: as Keras writes most,
    /// "adam/dense_kernel_momentum" for a slot of a weight and "adam/name" for a shared one.
    pub path: Option<String>,
    /// Whether it is kept in the CPU's memory, where rules read it without waiting for the device.
    pub on_cpu: bool,
}

impl Slot {
    /// A slot of zeros.
    pub fn new(name: &str, dims: &[usize], dtype: DType) -> Self {
        Self {
            name: name.to_string(),
            dims: dims.to_vec(),
            dtype,
            initial: Initial::Value(0.0),
            group: 0,
            path: None,
            on_cpu: false,
        }
    }

    /// A slot of zeros with the shape and type of a weight.
    pub fn like(name: &str, weight: &WeightInfo<'_>) -> Self {
        Self::new(name, weight.dims, weight.dtype)
    }

    /// Sets the first value.
    pub fn initial(mut self, initial: Initial) -> Self {
        self.initial = initial;
        self
    }

    /// Sets the group.
    pub fn group(mut self, group: usize) -> Self {
        self.group = group;
        self
    }

    /// Sets the path.
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_string());
        self
    }

    /// Keeps it in the CPU's memory.
    pub fn on_cpu(mut self) -> Self {
        self.on_cpu = true;
        self
    }

    /// The slot's variable with its first value. `weight`: `None` for shared slots.
    pub(super) fn create(&self, weight: Option<&Tensor>, device: &Device) -> Result<Tensor> {
        check_memory(&self.dims, self.dtype)?;
        let device = if self.on_cpu { &Device::Cpu } else { device };
        match (self.initial, weight) {
            (Initial::Value(0.0), _) => {
                Ok(Tensor::zeros(self.dims.as_slice(), self.dtype, device)?)
            }
            (Initial::Value(value), _) => {
                let values = Tensor::full(value, self.dims.as_slice(), &Device::Cpu)?;
                Ok(values.to_dtype(self.dtype)?.to_device(device)?)
            }
            (Initial::WeightCopy, Some(weight)) if weight.dims() == self.dims => {
                Ok(weight.detach().to_device(device)?.copy()?.to_dtype(self.dtype)?)
            }
            (Initial::WeightCopy, weight) => Err(Error::training(format!(
                "the optimizer slot {} of shape {:?} cannot start as a copy of the weight: {}",
                self.name,
                self.dims,
                match weight {
                    Some(weight) => format!("that has shape {:?}", weight.dims()),
                    None => "a shared slot has none".to_string(),
                }
            ))),
        }
    }
}
