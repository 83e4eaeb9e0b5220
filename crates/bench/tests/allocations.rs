//! How often a step of the workload `seed` asks for memory. The number is the same on any machine: the
//! step is small enough to run on one thread.
#![allow(clippy::unwrap_used)]

use allocation_counter::measure;
use ndarray::{Array1, Array2};
use sconce::core::Stream;
use sconce::prelude::*;

const ROWS: usize = 3200;
const BATCH: usize = 32;

/// Allocations of a run of so many epochs.
fn allocations(epochs: usize) -> u64 {
    let mut stream = Stream::named(0, "allocations");
    let x = Array2::from_shape_simple_fn((ROWS, 32), || stream.normal() as f32);
    let y = Array1::from_shape_simple_fn(ROWS, || stream.below(10) as i64);
    let hidden = Dense::new(64).activation("relu");
    let mut model = Sequential::new().add(hidden).add(Dense::new(10));
    model.compile(SGD::new(0.01).clipnorm(1.0), "sparse_categorical_crossentropy").unwrap();
    let fit = Fit::new(epochs, BATCH).verbose(Verbose::Silent);
    let run = measure(|| drop(model.fit_with(&x, &y, fit).unwrap()));
    run.count_total
}

/// The number stands in docs/PERFORMANCE.md too, with what it is made of. A debug build and a release
/// build ask as often.
#[test]
fn a_step_allocates_as_often_as_is_stated() {
    const STATED: f64 = 87.0;
    let (few, more) = (2, 12);
    let steps = ((more - few) * ROWS / BATCH) as f64;
    let in_a_step = (allocations(more) - allocations(few)) as f64 / steps;
    println!("{in_a_step:.1} allocations a step");
    assert!(in_a_step <= STATED, "{in_a_step:.1} allocations a step, {STATED} are stated");
}
