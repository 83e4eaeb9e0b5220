//! The order in which Keras lists the layers of a functional model.
//!
//! Source: `map_graph` in Keras's `ops/function.py`.

use sconce_core::{Error, Result};
use std::cmp::Reverse;
use std::collections::HashMap;

/// One use of a layer in a functional model.
#[derive(Clone, Debug)]
pub struct Call {
    /// The layer, by its index.
    pub layer: usize,
    /// The calls its arguments come from, in order; none for an input layer.
    pub inputs: Vec<usize>,
}

/// The order in which Keras lists the layers of a functional model, whatever order its configuration
/// states them in: by their distance from the outputs, then as a walk from the outputs meets them.
/// Layers that no output depends on are left out, except input layers.
///
/// `inputs` and `outputs` are calls. The result are indices of layers.
pub fn functional_order(calls: &[Call], inputs: &[usize], outputs: &[usize]) -> Result<Vec<usize>> {
    let (sorted, met) = depth_first(calls, outputs)?;
    let mut call_depth = vec![0; calls.len()];
    let mut layer_depth: HashMap<usize, usize> = HashMap::new();
    for index in sorted.into_iter().rev() {
        let (Some(call), Some(depth)) = (calls.get(index), call_depth.get(index).copied()) else {
            continue;
        };
        let known = layer_depth.entry(call.layer).or_default();
        *known = depth.max(*known);
        for input in &call.inputs {
            if let Some(depth) = call_depth.get_mut(*input) {
                *depth = (*known + 1).max(*depth);
            }
        }
    }
    let mut order: Vec<(Reverse<usize>, Option<usize>, usize)> = Vec::new();
    for call in inputs.iter().filter_map(|input| calls.get(*input)) {
        if !layer_depth.contains_key(&call.layer) {
            order.push((Reverse(0), None, call.layer));
        }
    }
    order.extend(
        layer_depth.iter().map(|(layer, depth)| (Reverse(*depth), met.get(layer).copied(), *layer)),
    );
    order.sort_by_key(|(depth, met, _)| (*depth, *met));
    Ok(order.into_iter().map(|(_, _, layer)| layer).collect())
}

/// Calls after all that they depend on, and when the walk met each layer first.
fn depth_first(calls: &[Call], outputs: &[usize]) -> Result<(Vec<usize>, HashMap<usize, usize>)> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; calls.len()];
    let mut sorted = Vec::with_capacity(calls.len());
    let mut met = HashMap::new();
    // Pairs of a call and the number of its inputs that were visited.
    let mut stack: Vec<(usize, usize)> = Vec::new();
    for output in outputs {
        stack.push((*output, 0));
        while let Some((index, visited)) = stack.pop() {
            let (Some(call), Some(now)) = (calls.get(index), state.get_mut(index)) else {
                return Err(Error::config(
                    "",
                    format!("the graph refers to a call {index} that is not there"),
                ));
            };
            if visited == 0 {
                match *now {
                    State::Done => continue,
                    State::Open => {
                        return Err(Error::config("", "the graph of the model has a cycle"));
                    }
                    State::New => {}
                }
                *now = State::Open;
                let count = met.len();
                met.entry(call.layer).or_insert(count);
            }
            match call.inputs.get(visited) {
                Some(input) => stack.extend([(index, visited + 1), (*input, 0)]),
                None => {
                    *now = State::Done;
                    sorted.push(index);
                }
            }
        }
    }
    Ok((sorted, met))
}
