//! Deep models are recorded by their length.

use crate::stubs::{Plain, build, model, tensor};
use sconce_core::{Context, Tape};
use sconce_model::{Apply, Input, Network};

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

/// The entries of a pass whose backward pass reaches every weight.
fn entries(network: &Network) -> usize {
    let x = tensor(&[1.0, -1.0], &[1, 2]);
    let (loss, tape) = Tape::record(|| {
        let outputs = network.forward(std::slice::from_ref(&x), &mut Context::training(0, 0));
        outputs.unwrap()[0].sum_all().unwrap()
    });
    let entries = tape.len();
    let store = network.store();
    let gradients = store.backward_into(&loss, &tape, &mut store.sink()).unwrap();
    gradients.audit(store).unwrap();
    entries
}

#[test]
fn a_block_of_a_residual_chain_is_a_seal_a_product_and_a_sum() {
    assert_eq!([200, 400].map(|blocks| entries(&chain(blocks))), [3 * 200, 3 * 400]);
}
