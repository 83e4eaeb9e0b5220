//! Models: the graph of layers ([`Graph`]), how one is stated ([`Architecture`]), and one with
//! weights that runs ([`Network`]).

pub mod architecture;
pub mod functional;
pub mod graph;
pub mod network;
pub mod summary;

pub use architecture::Architecture;
pub use functional::Functional;
pub use graph::{EdgeId, Graph, LayerEntry, Node};
pub use network::Network;
pub use sconce_core::names::snake_case;
