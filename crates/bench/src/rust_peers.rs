//! Peers in Rust (feature `rust-peers`): each trains a workload in this process.

mod burn;
mod rustyml;

use crate::workloads::{Timing, Workload};
use std::error::Error;

/// A peer and its training run.
pub struct Peer {
    /// Name in the table.
    pub name: &'static str,
    train: fn(Workload) -> Result<Timing, Box<dyn Error>>,
}

/// All of them.
pub const ALL: [Peer; 2] = [
    Peer { name: "rustyml", train: rustyml::train },
    Peer { name: "burn (flex)", train: burn::train },
];

impl Peer {
    /// Trains once; `None` if that failed (its message goes to stderr).
    pub fn run(&self, workload: Workload) -> Option<Timing> {
        (self.train)(workload).map_err(|e| eprintln!("{}: {e}", self.name)).ok()
    }
}
