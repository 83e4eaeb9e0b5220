//! A model with weights: it runs, and knows nothing of training.

use crate::architecture::Architecture;
use crate::graph::Graph;
use crate::summary::summary;
use sconce_core::{Context, DType, Device, Dims, Error, Json, Result, Store, Tensor};

/// A graph and its weights.
pub struct Network {
    architecture: Architecture,
    graph: Graph,
    store: Store,
    seed: u64,
}

impl Network {
    /// Builds the graph of an architecture and draws its weights. `input` is the shape of the data,
    /// used where the architecture states none.
    pub fn build(
        architecture: &Architecture,
        input: Option<&Dims>,
        device: &Device,
        seed: u64,
    ) -> Result<Self> {
        let mut graph = architecture.graph(input)?;
        let mut store = Store::new(device, DType::F32);
        graph.build(&mut store, seed)?;
        Ok(Self { architecture: architecture.clone(), graph, store, seed })
    }

    /// The architecture it was built from.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Its graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Its weights.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its weights, to freeze or thaw them.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// The seed its weights were drawn with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Runs the model on input arrays, in the order of its inputs.
    pub fn forward(&self, inputs: &[Tensor], cx: &mut Context) -> Result<Vec<Tensor>> {
        self.graph.forward(&self.store, inputs, cx, |_, _| Ok(()))
    }

    /// The name of the first layer whose output has a value that is not finite.
    pub fn first_non_finite(&self, inputs: &[Tensor], cx: &mut Context) -> Result<Option<String>> {
        let mut first = None;
        self.graph.forward(&self.store, inputs, cx, |name, outputs| {
            for output in outputs {
                if first.is_none() && output.dtype().is_float() && !is_finite(output)? {
                    first = Some(name.to_string());
                }
            }
            Ok(())
        })?;
        Ok(first)
    }

    /// Keras's JSON of the model.
    pub fn to_json(&self) -> Result<Json> {
        self.architecture.to_json(Some(&self.graph))
    }

    /// The table of layers, shapes and numbers of weights, `width` columns wide at most.
    pub fn summary(&self, width: usize) -> String {
        summary(self, width)
    }

    /// Replaces the weight at a path.
    pub fn set_weight(&self, path: &str, value: &Tensor) -> Result<()> {
        self.store.get(path)?.set(value)
    }

    /// Replaces all weights, in order; nothing changes if one does not fit.
    pub fn set_weights(&self, values: &[Tensor]) -> Result<()> {
        let parameters = self.store.parameters();
        if values.len() != parameters.len() {
            return Err(Error::data(format!(
                "the model has {} weights, got {}",
                parameters.len(),
                values.len()
            )));
        }
        for (parameter, value) in parameters.iter().zip(values) {
            if value.dims() != parameter.var.dims() {
                return Err(Error::data(format!(
                    "weight `{}` has shape {:?}, got {:?}",
                    parameter.path,
                    parameter.var.dims(),
                    value.dims()
                )));
            }
        }
        parameters.iter().zip(values).try_for_each(|(p, v)| p.set(v))
    }

    /// Copies of all weights, in order.
    pub fn get_weights(&self) -> Result<Vec<Tensor>> {
        let copy =
            |p: &sconce_core::Parameter| Ok(p.var.as_tensor().detach().force_contiguous()?);
        self.store.parameters().iter().map(copy).collect()
    }
}

/// Whether every value is finite (the sum of `x * 0` is then 0).
fn is_finite(x: &Tensor) -> Result<bool> {
    let sum = (x.to_dtype(DType::F32)? * 0.0)?.sum_all()?.to_scalar::<f32>()?;
    Ok(sum == 0.0)
}
