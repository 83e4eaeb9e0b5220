//! The training loop: compile, fit, evaluate, predict.

pub mod callbacks;
pub mod checkpoint;
pub mod compile;
pub mod compile_config;
pub mod compiled;
pub mod custom_loop;
mod epoch;
pub mod evaluate;
mod exact;
pub mod files;
pub mod fit;
#[cfg(test)]
mod fit_tests;
#[cfg(test)]
mod functional_tests;
pub mod head;
mod health;
pub mod history;
mod legacy_compile;
mod legacy_optimizer;
#[cfg(test)]
mod listening;
mod model;
mod non_finite;
pub mod per_output;
mod prepare;
pub mod report;
pub mod run_config;
mod step;
mod step_logs;
#[cfg(test)]
mod tests;
pub mod train_step;

pub use callbacks::{Callback, Event, Flow, Run, Verbose};
pub use checkpoint::Checkpoint;
pub use compile::Compile;
pub use custom_loop::{batches, value_and_grad};
pub use files::{LoadOptions, LoadReport};
pub use fit::{CancelToken, Fit};
pub use history::{History, Logs, Scores};
pub use model::{Model, Sequential};
pub use per_output::PerOutput;
pub use run_config::RunConfig;
pub use sconce_losses::{losses, metrics};
pub use sconce_optimizers as optimizers;
pub use sconce_optimizers::{clip_grad_norm, schedules};
pub use sconce_saving::legacy_weights::WeightOptions;
pub use train_step::{StepInput, TrainStep};
