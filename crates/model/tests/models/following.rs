//! Layers also do what those after them do: the same numbers, and the same gradients.

use crate::stubs::{build, f32s, model, tensor};
use sconce_core::Context;
use sconce_layers::{
    Activation, Add, BatchNormalization, Conv1D, Conv2D, DataFormat, Dense, DepthwiseConv2D,
    Identity, LayerEntry, Padding, ReLU,
};
use sconce_model::{Apply, Input, Network, SymbolicTensor};
use sconce_testkit::assert_close;

/// Different values for each weight; positive ones for variances.
fn set_weights(network: &Network) {
    for (index, parameter) in network.store().parameters().iter().enumerate() {
        let weight = &parameter.weight;
        let len = weight.var.elem_count();
        let value = |i: usize| ((i * 37 + index * 11) % 101) as f32 / 80.0 - 0.5;
        let positive = weight.name == "moving_variance";
        let values = (0..len).map(|i| if positive { value(i).abs() + 0.3 } else { value(i) });
        parameter.set(&tensor(&values.collect::<Vec<_>>(), weight.var.dims())).unwrap();
    }
}

/// What comes out in prediction is what comes out where each layer runs by itself: where gradients could
/// be wanted.
fn check(what: &str, x: &SymbolicTensor, outputs: &[&SymbolicTensor]) {
    let network = build(&model(&[x], outputs));
    set_weights(&network);
    let dims: Vec<usize> = x.dims().0.iter().map(|axis| axis.unwrap_or(3)).collect();
    let len: usize = dims.iter().product();
    let values: Vec<f32> = (0..len).map(|i| ((i * 53 % 97) as f32 - 48.0) / 20.0).collect();
    let inputs = [tensor(&values, &dims)];
    let predicted = network.forward(&inputs, &mut Context::inference()).unwrap();
    let alone = network.forward(&inputs, &mut Context::inference().recording(true)).unwrap();
    for (predicted, alone) in predicted.iter().zip(&alone) {
        assert_close(what, predicted, alone, 1e-5);
    }
}

fn after(x: &SymbolicTensor, layers: impl IntoIterator<Item = LayerEntry>) -> SymbolicTensor {
    layers.into_iter().fold(x.clone(), |x, layer| layer.apply(&x).unwrap())
}

#[test]
fn predictions_are_what_each_layer_by_itself_gives() {
    let image = Input::new([7, 6, 3]);
    let norm = || LayerEntry::from(BatchNormalization::new().epsilon(0.02));
    let relu6 = || LayerEntry::from(ReLU { max_value: Some(0.8), ..ReLU::new() });
    let tanh = || LayerEntry::from(Activation::new("tanh"));
    let conv = || LayerEntry::from(Conv2D::new(4, 3).use_bias(false));
    let with_bias = || LayerEntry::from(Conv2D::new(5, 1));
    let depthwise = || LayerEntry::from(DepthwiseConv2D::new(3).depth_multiplier(2));
    let plain = || LayerEntry::from(BatchNormalization::new().center(false).scale(false));
    let of_rows = || LayerEntry::from(BatchNormalization::new().axis(1));
    let activated = || LayerEntry::from(Conv2D::new(4, 3).activation("relu"));
    let cases: Vec<(&str, Vec<LayerEntry>)> = vec![
        ("all", vec![conv(), norm(), relu6(), with_bias(), plain(), tanh()]),
        ("depthwise", vec![depthwise(), norm(), relu6()]),
        ("activation alone", vec![with_bias(), tanh(), norm()]),
        ("two of each", vec![conv(), norm(), norm(), relu6(), tanh()]),
        ("of its own", vec![activated(), norm(), relu6()]),
        ("another axis", vec![with_bias(), of_rows(), tanh()]),
        ("softmax", vec![conv(), norm(), LayerEntry::from(Activation::new("softmax"))]),
    ];
    for (what, layers) in cases {
        check(what, &image, &[&after(&image, layers)]);
    }
    let first = LayerEntry::from(Conv2D::new(4, 3).data_format(DataFormat::ChannelsFirst));
    let image = Input::new([3, 7, 6]);
    check("channels first", &image, &[&after(&image, [first, norm(), tanh()])]);
    let series = Input::new([9, 2]);
    let conv = LayerEntry::from(Conv1D::new(3, 2));
    check("series", &series, &[&after(&series, [conv, norm(), relu6()])]);
}

#[test]
fn what_others_read_is_not_skipped() {
    let image = Input::new([5, 5, 2]);
    let convolved = Conv2D::new(3, 3).apply(&image).unwrap();
    let normal = BatchNormalization::new().apply(&convolved).unwrap();
    let sum = Add::new().apply([&convolved, &normal]).unwrap();
    check("read twice", &image, &[&sum]);
    check("an output", &image, &[&normal, &convolved]);
    // One normalization for two convolutions, the second as the model's output.
    let shared: LayerEntry = BatchNormalization::new().into();
    let again = Conv2D::new(3, 1).apply(&(&shared).apply(&convolved).unwrap()).unwrap();
    check("shared", &image, &[&(&shared).apply(&again).unwrap()]);
}

/// In training an activation is run by the layer before it: the same results, state and gradients as with an
/// `Identity` between the two.
#[test]
fn activations_train_as_by_themselves() {
    let block = |layers: &[&str], apart: bool| {
        let image = Input::new([6, 5, 3]);
        let mut x = image.clone();
        let mut skipped: Option<SymbolicTensor> = None;
        for layer in layers {
            let before = x.clone();
            let next = match *layer {
                "norm" => BatchNormalization::new().epsilon(0.02).apply(&x),
                "rows" => BatchNormalization::new().axis(1).apply(&x),
                "add" => Add::new().apply([&x, &skipped.clone().unwrap()]),
                "alone" => Add::new().apply([&x]),
                "conv" => Conv2D::new(4, 3).padding(Padding::Same).apply(&x),
                "depthwise" => DepthwiseConv2D::new(3).padding(Padding::Same).apply(&x),
                "dense" => Dense::new(4).apply(&x),
                name => Activation::new(name).apply(&x),
            };
            x = next.unwrap();
            if *layer == "conv" {
                skipped =
                    Some(before).filter(|before| before.dims() == x.dims()).or(Some(x.clone()));
            }
            if apart {
                x = Identity::new().apply(&x).unwrap();
            }
        }
        build(&model(&[&image], &[&x]))
    };
    for layers in [
        &["conv", "norm", "relu", "conv"][..],
        &["conv", "norm", "tanh", "norm", "leaky_relu", "dense"],
        &["conv", "norm", "conv", "norm", "add", "relu", "conv"],
        &["conv", "relu", "depthwise", "relu6", "dense", "sigmoid", "norm"],
        &["conv", "rows", "relu", "dense", "gelu", "norm", "swish", "conv"],
        &["conv", "alone", "relu", "conv"],
    ] {
        let values: Vec<f32> = (0..270).map(|i| ((i * 53 % 97) as f32 - 48.0) / 40.0).collect();
        let inputs = [tensor(&values, &[3, 6, 5, 3])];
        let [joined, apart] = [false, true].map(|apart| {
            let network = block(layers, apart);
            set_weights(&network);
            let mut cx = Context::training(0, 0);
            let y = network.forward(&inputs, &mut cx).unwrap().remove(0);
            cx.apply_updates().unwrap();
            let weighted = tensor(&values[..], &[270]);
            let len = y.elem_count().min(270);
            let weights = weighted.narrow(0, 0, len).unwrap();
            let y = y.flatten_all().unwrap().narrow(0, 0, len).unwrap();
            let loss = (&y * weights).unwrap().sum_all().unwrap();
            let mut all: Vec<Vec<f32>> = vec![f32s(&y)];
            let found = network.store().backward(&loss).unwrap().0;
            all.extend(found.iter().map(|gradient| f32s(gradient.as_ref().unwrap())));
            all.extend(network.store().parameters().iter().map(|p| f32s(&p.weight.var)));
            all
        });
        for (joined, apart) in joined.iter().zip(&apart) {
            for (a, b) in joined.iter().zip(apart) {
                assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{layers:?}: {a} {b}");
            }
        }
        assert!(joined.iter().flatten().any(|v| *v != 0.0), "{layers:?}");
    }
}
