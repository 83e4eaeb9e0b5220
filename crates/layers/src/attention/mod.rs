//! Attention: sequences that look at each other.
//!
//! One layer a file. `masks.rs` is what all of them read of a call; `heads.rs` holds the projections and
//! the scores of layers with several heads.

pub mod additive_attention;
#[allow(clippy::module_inception)] // One layer, one file of its name.
pub mod attention;
pub mod grouped_query_attention;
mod heads;
mod masks;
pub mod multi_head_attention;

pub use additive_attention::AdditiveAttention;
pub use attention::{Attention, ScoreMode};
pub use grouped_query_attention::GroupQueryAttention;
pub use multi_head_attention::MultiHeadAttention;

use crate::Call;
use sconce_core::{Args, Json};

/// Keras's names of the arguments of layers that take a list of query, value and key.
const LISTED: &[&str] =
    &["inputs", "mask", "training", "return_attention_scores", "use_causal_mask"];

/// Keras's names of the arguments of layers with heads.
const NAMED: &[&str] = &[
    "query",
    "value",
    "key",
    "query_mask",
    "value_mask",
    "key_mask",
    "attention_mask",
    "return_attention_scores",
    "training",
    "use_causal_mask",
];

/// Whether a flag of a call is set.
fn is_set<T>(args: &Args<T>, names: &[&str], name: &str) -> bool {
    let place = names.iter().position(|other| *other == name).unwrap_or(usize::MAX);
    args.at(place, name).and_then(|arg| arg.json()) == Some(&Json::Bool(true))
}

/// Whether a flag of a call is set.
fn flag(call: &Call<'_>, names: &[&str], name: &str) -> bool {
    is_set(call.args(), names, name)
}
