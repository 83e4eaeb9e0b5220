//! The end-to-end tests, in one binary.

// Tests may unwrap; the examples, which are shared as modules, include each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::duplicate_mod)]

mod adversarial;
mod applications;
mod callback_cases;
#[cfg(feature = "cuda")]
mod cuda;
mod custom_objects;
mod examples;
mod freezing;
mod image_cases;
mod image_layers;
mod keras_files;
mod keras_forms;
mod layer_cases;
mod layer_numbers;
mod layers;
mod loss_cases;
mod object_cases;
mod old_files;
mod optimizer_cases;
mod properties;
mod protocol;
mod recurrent;
mod recurrent_cases;
mod reference;
mod schema;
mod small_objects;
mod sources;
mod steps;
mod styles;
mod tensorboard;
mod wrapped;
