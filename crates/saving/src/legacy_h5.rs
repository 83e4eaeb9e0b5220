//! The older HDF5 format of Keras 1, 2 and 3 (`.h5`, `.hdf5`): weights by layer and, in files of whole
//! models, the configuration in attributes.
//!
//! Source: `legacy_h5_format.py` of Keras 3.15, `hdf5_format.py` of Keras 2.15, `topology.py` of Keras 1.2.

use crate::archive::Place;
use crate::h5::H5Contents;
use crate::{Array, keras_json};
use sconce_core::{Error, Json, Result};
use std::collections::HashMap;

/// Weights by layer, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerWeights {
    /// The layers' names, each with the names and values of its weights.
    pub layers: Vec<(String, Vec<(String, Array)>)>,
    /// The Keras that wrote them ("2.2.4"); files without it are of Keras 1.
    pub keras_version: Option<String>,
    /// What Keras ran on ("tensorflow").
    pub backend: Option<String>,
}

/// A whole model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LegacyModel {
    pub(crate) config: Json,
    pub(crate) training_config: Option<Json>,
    pub(crate) weights: LayerWeights,
    /// The optimizer's variables with their names, in its order.
    pub(crate) optimizer: Vec<(String, Array)>,
}

/// The group of the weights in a file of a whole model.
const WEIGHTS: &str = "model_weights";
const OPTIMIZER: &str = "optimizer_weights";
/// A group of weights that belong to the model itself, not to a layer.
const TOP_LEVEL: &str = "top_level_model_weights";

/// Whether the file holds weights by layer, not by Keras 3's paths of objects.
pub(crate) fn is_legacy(contents: &H5Contents) -> bool {
    contents.text("", "model_config").is_some()
        || ["", WEIGHTS].iter().any(|group| list(contents, group, "layer_names").is_some())
}

/// The whole model of a file.
pub(crate) fn model(contents: H5Contents, place: &Place) -> Result<LegacyModel> {
    let json = |key: &str| -> Result<Option<Json>> {
        let Some(text) = contents.text("", key) else { return Ok(None) };
        let parsed = keras_json::parse(text.as_bytes());
        let parsed =
            parsed.map_err(|e| place.error(format!("`{key}`: {}", keras_json::explain_syntax(&e))));
        parsed.map(Some)
    };
    let Some(config) = json("model_config")? else {
        let message = match is_legacy(&contents) {
            true => {
                "holds weights without a model. Make the model, then load them with `load_weights`; or \
                 convert them together with its JSON: `sconce convert model.json --weights WEIGHTS OUT`"
            }
            false => {
                "is an HDF5 file, but no model of Keras: it has no attribute `model_config`. A \
                 `.weights.h5` file holds weights only, which `load_weights` reads"
            }
        };
        return Err(place.error(message));
    };
    let training_config = json("training_config")?.filter(Json::is_object);
    let optimizer_names = list(&contents, OPTIMIZER, "weight_names").unwrap_or_default();
    let layout = Layout::of(&contents, place)?;
    let mut arrays = contents.tensors.into_map();
    let optimizer = optimizer_names.into_iter().filter_map(|name| {
        let array = arrays.remove(&join(OPTIMIZER, &name))?;
        Some((name, array))
    });
    let optimizer = optimizer.collect();
    Ok(LegacyModel { config, training_config, weights: layout.weights(arrays, place)?, optimizer })
}

/// The weights of a file of weights or of a whole model.
pub(crate) fn weights(contents: H5Contents, place: &Place) -> Result<LayerWeights> {
    Layout::of(&contents, place)?.weights(contents.tensors.into_map(), place)
}

/// Which array is which weight of which layer.
struct Layout {
    layers: Vec<(String, Vec<(String, String)>)>,
    keras_version: Option<String>,
    backend: Option<String>,
}

impl Layout {
    fn of(contents: &H5Contents, place: &Place) -> Result<Self> {
        let root = match list(contents, WEIGHTS, "layer_names") {
            Some(_) => WEIGHTS,
            None => "",
        };
        let names = list(contents, root, "layer_names").ok_or_else(|| {
            place.error("holds no `layer_names`, the list of the layers whose weights it has")
        })?;
        let text = |key: &str| {
            let text = contents.text(root, key).or_else(|| contents.text("", key));
            text.map(str::to_string)
        };
        let mut layers = Vec::new();
        for name in names {
            let group = join(root, &name);
            let weights = list(contents, &group, "weight_names").unwrap_or_default();
            let weights = weights.into_iter().map(|weight| {
                let path = join(&group, &weight);
                (weight, path)
            });
            layers.push((name, weights.collect()));
        }
        let top = join(root, TOP_LEVEL);
        if let Some(weights) =
            list(contents, &top, "weight_names").filter(|names| !names.is_empty())
        {
            return Err(place.error(format!(
                "`{top}`: weights of the model itself, not of a layer, are not supported: {}",
                weights.join(", ")
            )));
        }
        Ok(Self { layers, keras_version: text("keras_version"), backend: text("backend") })
    }

    fn weights(self, mut arrays: HashMap<String, Array>, place: &Place) -> Result<LayerWeights> {
        let mut layers = Vec::new();
        for (layer, paths) in self.layers {
            let mut weights = Vec::new();
            for (name, path) in paths {
                let array = arrays.remove(&path).ok_or_else(|| missing(place, &path))?;
                weights.push((name, array));
            }
            layers.push((layer, weights));
        }
        Ok(LayerWeights { layers, keras_version: self.keras_version, backend: self.backend })
    }
}

fn missing(place: &Place, path: &str) -> Error {
    place.error(format!(
        "`{path}` is listed among the weights but is not in the file (or listed twice)"
    ))
}

/// A list of names: an attribute, or several numbered ones where it was too long for one.
fn list(contents: &H5Contents, group: &str, attribute: &str) -> Option<Vec<String>> {
    if let Some(names) = contents.texts(group, attribute) {
        return Some(names.to_vec());
    }
    if contents.has_attribute(group, attribute) {
        // NumPy's empty list has the type of numbers.
        return Some(Vec::new());
    }
    let parts = (0..).map_while(|part| contents.texts(group, &format!("{attribute}{part}")));
    let names: Vec<String> = parts.flatten().cloned().collect();
    (!names.is_empty()).then_some(names)
}

/// A path of names, some of which may be paths themselves.
fn join(group: &str, name: &str) -> String {
    let parts = group.split('/').chain(name.split('/')).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}
