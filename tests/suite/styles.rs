//! The three styles of training give the same weights, bit for bit.

#[path = "../../examples/custom_layer.rs"]
mod custom_layer;
#[path = "../../examples/keras_style.rs"]
pub mod keras_style;
#[path = "../../examples/mlx_style.rs"]
mod mlx_style;
#[path = "../../examples/pytorch_style.rs"]
mod pytorch_style;

use sconce::prelude::*;

pub fn bits(model: &Sequential) -> Vec<Vec<u32>> {
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

/// `fit` differentiates its own record of a step, a loop of your own candle's graph; layers in plain
/// candle code stand between.
#[test]
fn the_record_and_candle_s_graph_give_the_same_bits() {
    let (x, y) = keras_style::points();
    let model = || {
        let mut model = Sequential::new()
            .add(Dense::new(6).activation("tanh").input_shape([2]))
            .add(custom_layer::Bend::default())
            .add(Reshape::new([2, 3]))
            .add(Dense::new(4).activation("gelu"))
            .add(Flatten::new())
            .add(custom_layer::Bend::default().name("second"))
            .add(Dropout::new(0.2))
            .add(Activation::new("softplus"))
            .add(Dense::new(3));
        model.build(&Dims::batch_of(&[2])).unwrap();
        model
    };
    let mut fitted = model();
    fitted.compile(Adam::new(0.01), "sparse_categorical_crossentropy").unwrap();
    fitted.fit_with(&x, &y, Fit::new(2, 32).seed(7).verbose(Verbose::Silent)).unwrap();

    let own = model();
    let mut optimizer = own.optimizer(Adam::new(0.01)).unwrap();
    for epoch in 0..2 {
        for batch in batches(&x, &y, 32, 7, epoch).unwrap() {
            let (x, y) = batch.unwrap();
            let mut cx = Context::training(7, optimizer.iterations);
            let output = own.forward(&x, &mut cx).unwrap();
            let loss = SparseCategoricalCrossentropy::default().call(&y, &output).unwrap();
            let gradients = own.backward(&loss).unwrap();
            gradients.audit(own.store().unwrap()).unwrap();
            own.update(&mut optimizer, &gradients, &mut cx).unwrap();
        }
    }
    assert_eq!(bits(&fitted), bits(&own));
}
