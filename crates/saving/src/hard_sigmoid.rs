//! The `hard_sigmoid` of Keras 1 and 2, `clip(0.2x + 0.5, 0, 1)`, by that of Keras 3, `clip(x/6 + 0.5, 0, 1)`:
//! what goes into it becomes 1.2 times as large, by the weights before it. Models so converted compute the
//! same in every Keras 3.

use sconce_core::{Error, Result, Tensor, Weight};
use sconce_layers::LayerEntry;
use sconce_model::Network;
use sconce_model::legacy::HARD_SIGMOID_SCALE;
use std::collections::HashSet;
use std::sync::Arc;

/// Rescales the weights of every layer with the activation; says of which.
///
/// # Errors
/// A layer whose weights do not stand before its activation.
pub(crate) fn rescale(network: &Network) -> Result<Vec<String>> {
    let mut found: Vec<(String, LayerEntry)> = Vec::new();
    let mut seen = HashSet::new();
    for entry in network.graph().layers() {
        entry.walk("", &mut |path, entry, _| {
            if seen.insert(entry.id()) {
                found.push((path.to_string(), entry.clone()));
            }
        });
    }
    let mut changes = Vec::new();
    for (path, entry) in found {
        let config = entry.layer().config().unwrap_or_default();
        let is_hard = |key: &str| config.get(key).is_some_and(|name| name == "hard_sigmoid");
        let gates =
            gates(entry.class_name(), is_hard("activation"), is_hard("recurrent_activation"));
        if gates.iter().any(|scale| *scale) && !entry.weights().is_empty() {
            scale(&entry, &gates).map_err(|e| e.in_layer(&path))?;
            changes.push(format!(
                "hard_sigmoid of `{path}`, which was steeper before Keras 3: its weights are \
                 {HARD_SIGMOID_SCALE} times as large"
            ));
        }
    }
    Ok(changes)
}

/// Which of the equal parts of a layer's outputs go through the activation.
fn gates(class: &str, activation: bool, recurrent: bool) -> Vec<bool> {
    match class.trim_end_matches("Cell") {
        // Input, forget, cell, output.
        "LSTM" | "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => {
            vec![recurrent, recurrent, activation, recurrent]
        }
        // Update, reset, hidden.
        "GRU" => vec![recurrent, recurrent, activation],
        "Activation" => Vec::new(),
        _ => vec![activation],
    }
}

fn scale(entry: &LayerEntry, gates: &[bool]) -> Result<()> {
    for weight in entry.weights() {
        // "lstm_cell/kernel" of a recurrent layer.
        match weight.name.rsplit('/').next().unwrap_or_default() {
            // Applied before the pointwise kernel.
            "depthwise_kernel" if entry.class_name().starts_with("Separable") => {}
            "kernel" | "recurrent_kernel" | "pointwise_kernel" | "depthwise_kernel" | "bias" => {
                scale_weight(weight, gates)?;
            }
            other => {
                return Err(Error::data(format!(
                    "the old hard_sigmoid cannot be expressed by the weight `{other}`"
                )));
            }
        }
    }
    Ok(())
}

fn scale_weight(weight: &Arc<Weight>, gates: &[bool]) -> Result<()> {
    let value = weight.var.as_tensor().detach();
    let last = value.rank().saturating_sub(1);
    let size = value.dims().last().copied().unwrap_or_default() / gates.len().max(1);
    let parts = gates.iter().enumerate().map(|(i, scale)| {
        let part = value.narrow(last, i * size, size)?;
        Ok(if *scale { (part * HARD_SIGMOID_SCALE)? } else { part })
    });
    let parts: Vec<Tensor> = parts.collect::<Result<_>>()?;
    weight.set(&Tensor::cat(&parts, last)?)
}
