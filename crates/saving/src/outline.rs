//! The layers that a file lists, for models that cannot be built: what needs the author's code is no reason not to
//! show the rest.

use crate::{Array, ModelFile, StoredWeights};
use sconce_core::{Json, names};
use sconce_model::summary::{table, thousands};
use std::collections::HashMap;

/// The table of the layers in a file, at most `width` columns wide: of each its name and class, the layers whose outputs it
/// reads, and how many weights of it the file holds. Nothing is built, so that it shows layers of any class.
///
/// ```no_run
/// # fn main() -> sconce_core::Result<()> {
/// let file = sconce_saving::ModelFile::read("model.keras")?;
/// println!("{}", sconce_saving::outline(&file, 80));
/// # Ok(())
/// # }
/// ```
pub fn outline(file: &ModelFile, width: usize) -> String {
    let config = &file.config["config"];
    let layers = config.as_array().or_else(|| config["layers"].as_array());
    let mut classes: HashMap<String, usize> = HashMap::new();
    let mut total = 0;
    let rows = layers.into_iter().flatten().map(|layer| {
        let class = layer["class_name"].as_str().unwrap_or("?");
        let name = layer["config"]["name"].as_str().or_else(|| layer["name"].as_str());
        let name = name.unwrap_or("?");
        let weights = match &file.weights {
            StoredWeights::ByLayer(weights) => {
                let of = weights.layers.iter().filter(|(layer, _)| layer == name);
                of.flat_map(|(_, weights)| weights).map(|(_, array)| count(array)).sum()
            }
            StoredWeights::ByPath(weights) => {
                let class = names::snake_case(class.rsplit('>').next().unwrap_or(class));
                let times = classes.entry(class.clone()).or_insert(0);
                let path = match *times {
                    0 => format!("layers/{class}/"),
                    times => format!("layers/{class}_{times}/"),
                };
                *times += 1;
                let of = weights.iter().filter(|(at, _)| at.starts_with(&path));
                of.map(|(_, array)| count(array)).sum::<usize>()
            }
        };
        total += weights;
        let mut reads = Vec::new();
        producers(&layer["inbound_nodes"], &mut reads);
        [format!("{name} ({class})"), reads.join(", "), thousands(weights)]
    });
    let rows: Vec<[String; 3]> = rows.collect();
    let name = config["name"].as_str().or_else(|| file.config["class_name"].as_str());
    let table = table(name.unwrap_or("?"), "Connected to", rows, width);
    format!("{table} Total params: {}\n", thousands(total))
}

fn count(array: &Array) -> usize {
    array.shape().iter().product()
}

/// The names in the tensors of calls: `"keras_history": [layer, use, output]`, before Keras 3 such lists alone.
fn producers(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Array(items) => {
            if let [Json::String(name), Json::Number(_), Json::Number(_), ..] = items.as_slice()
                && !found.contains(name)
            {
                found.push(name.clone());
            }
            items.iter().for_each(|item| producers(item, found));
        }
        Json::Object(map) => map.values().for_each(|item| producers(item, found)),
        _ => {}
    }
}
