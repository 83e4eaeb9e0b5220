//! Deep models take time by their length.

use crate::stubs::{Plain, build, model, tensor};
use sconce_core::{Context, Tape};
use sconce_model::{Apply, Input, Network};
use std::time::{Duration, Instant};

/// A chain of residual blocks: plain candle code with a weight of its own, and an addition.
fn chain(blocks: usize) -> Network {
    let x = Input::new([2]);
    let mut h = x.clone();
    for _ in 0..blocks {
        let branch = (&Plain.apply(&h).unwrap() * 1e-3).unwrap();
        h = (&h + &branch).unwrap();
    }
    build(&model(&[&x], &[&h]))
}

/// The entries of a pass, and the best time of five passes and their backward passes.
fn measure(network: &Network) -> (usize, Duration) {
    let x = tensor(&[1.0, -1.0], &[1, 2]);
    let run = || {
        let start = Instant::now();
        let (loss, tape) = Tape::record(|| {
            let outputs = network.forward(std::slice::from_ref(&x), &mut Context::training(0, 0));
            outputs.unwrap()[0].sum_all().unwrap()
        });
        let entries = tape.len();
        let gradients =
            network.store().backward_into(&loss, &tape, &mut network.store().sink()).unwrap();
        gradients.audit(network.store()).unwrap();
        (start.elapsed(), entries)
    };
    let (time, entries) = (0..5).map(|_| run()).min().unwrap();
    (entries, time)
}

#[test]
fn a_residual_chain_of_twice_the_length_takes_twice_the_time() {
    let (short, long) = (chain(200), chain(400));
    let ((entries, time), (entries_long, time_long)) = (measure(&short), measure(&long));
    // A block is a seal, a product and a sum.
    assert_eq!((entries, entries_long), (3 * 200, 3 * 400));
    assert!(time_long < time * 3, "{time:?} {time_long:?}");
}
