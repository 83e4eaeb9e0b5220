//! The three styles of training give the same weights, bit for bit.

#[path = "../../examples/keras_style.rs"]
mod keras_style;
#[path = "../../examples/mlx_style.rs"]
mod mlx_style;
#[path = "../../examples/pytorch_style.rs"]
mod pytorch_style;

use sconce::prelude::*;

fn bits(model: &Sequential) -> Vec<Vec<u32>> {
    let weights = model.network().unwrap().get_weights().unwrap();
    let bits = |w: &Tensor| w.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    weights.iter().map(|w| bits(w).iter().map(|v| v.to_bits()).collect()).collect()
}

#[test]
fn three_styles_give_the_same_bits() {
    let before = bits(&keras_style::model().unwrap());
    let keras = bits(&keras_style::train().unwrap());
    assert_ne!(before, keras);
    assert_eq!(keras, bits(&pytorch_style::train().unwrap()));
    assert_eq!(keras, bits(&mlx_style::train().unwrap()));
}
