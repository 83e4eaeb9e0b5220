//! Models: the graph of layers ([`Graph`]), how one is stated ([`Architecture`], [`SymbolicTensor`]),
//! and one with weights that runs ([`Network`]).

pub mod architecture;
mod functional;
pub mod graph;
pub mod graph_layer;
pub mod layer_order;
pub mod legacy;
pub mod network;
mod schema;
mod shared;
pub mod summary;
pub mod symbolic;
pub mod symbolic_operations;

pub use architecture::Architecture;
pub use graph::{EdgeId, Graph, Node};
pub use graph_layer::GraphLayer;
pub use network::Network;
pub use sconce_core::names::snake_case;
pub use symbolic::{Apply, Input, IntoArgs, SymbolicTensor};
