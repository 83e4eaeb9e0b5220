//! Units after a ReLU that are 0 for every sample of an epoch.

use sconce_core::{DType, Json, Result, Value};
use sconce_model::Graph;
use std::collections::{BTreeMap, BTreeSet};

/// Layers with at least this share of dead units are told of.
const SHARE: f64 = 0.5;

/// The layers that end in a ReLU, in an epoch whose outputs are looked at. A layer with more living units
/// than are worth a word is not looked at again, so that of a healthy model one or two batches are.
#[derive(Debug)]
pub(crate) struct DeadUnits(BTreeMap<String, Units>);

#[derive(Debug)]
struct Units {
    channels_first: bool,
    /// Whether each was 0 so far; `None` before the first batch.
    dead: Option<Vec<bool>>,
}

impl DeadUnits {
    /// All such layers of a model, those inside others included, without some.
    pub fn of(graph: &Graph, without: &BTreeSet<String>) -> Self {
        let mut layers = BTreeMap::new();
        for entry in graph.layers() {
            entry.walk("", &mut |path, entry, _| {
                // A layer of the user's own may have no configuration to look at.
                let config = entry.layer().config().unwrap_or_default();
                if is_relu(entry.class_name(), &config) && !without.contains(path) {
                    let channels_first = config["data_format"] == "channels_first";
                    layers.insert(path.to_string(), Units { channels_first, dead: None });
                }
            });
        }
        Self(layers)
    }

    /// Whether there is nothing left to look at.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in the outputs of a layer for a batch.
    pub fn see(&mut self, path: &str, outputs: &[Value]) -> Result<()> {
        let (Some(units), Some(output)) = (self.0.get_mut(path), outputs.first()) else {
            return Ok(());
        };
        let x = output.tensor.detach();
        let axis = if units.channels_first { 1 } else { x.dims().len().saturating_sub(1) };
        let x = x.transpose(axis, x.dims().len() - 1)?.contiguous()?;
        let width = x.dims().last().copied().unwrap_or(0);
        if x.elem_count() == 0 {
            return Ok(());
        }
        let largest = x.reshape(((), width))?.max(0)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let dead = units.dead.get_or_insert_with(|| vec![true; width]);
        dead.iter_mut().zip(largest).for_each(|(dead, largest)| *dead &= largest <= 0.0);
        let count = dead.iter().filter(|dead| **dead).count();
        if (count as f64) < SHARE * width as f64 {
            self.0.remove(path);
        }
        Ok(())
    }

    /// The layers that are left at the end of an epoch (from 1), each with a sentence.
    pub fn notices(self, epoch: usize) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter().filter_map(move |(path, units)| {
            let dead = units.dead?;
            let count = dead.iter().filter(|dead| **dead).count();
            let share = 100.0 * count as f64 / dead.len() as f64;
            let notice = format!(
                "{count} of the {} units of the layer {path} ({share:.0} %) are 0 for every sample of \
                 epoch {epoch}, so that nothing is learned through them. Try a smaller learning rate, \
                 he_normal as kernel_initializer, or leaky_relu",
                dead.len()
            );
            Some((path, notice))
        })
    }
}

/// Whether a layer's outputs are 0 wherever its inputs are not positive.
fn is_relu(class_name: &str, config: &Json) -> bool {
    match class_name {
        "ReLU" => config["negative_slope"].as_f64().unwrap_or(0.0) == 0.0,
        // A recurrent layer's activation is of its states.
        "Dense" | "Activation" | "EinsumDense" => names_relu(&config["activation"]),
        name => {
            name.contains("Conv") && !name.contains("LSTM") && names_relu(&config["activation"])
        }
    }
}

fn names_relu(activation: &Json) -> bool {
    let name = activation.as_str().or_else(|| activation["config"].as_str());
    matches!(name, Some("relu" | "relu6"))
}
