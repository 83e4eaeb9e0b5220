//! Random functional models.

use crate::stubs::{Blend, model};
use proptest::prelude::*;
use sconce_core::{Args, Context, CustomObjects, Device, FirstValues, Stream, Tensor};
use sconce_layers::{Activation, Dense, Dropout, Identity, LayerEntry, LayerExt, Layers};
use sconce_model::{Apply, Architecture, GraphLayer, Input, Network, SymbolicTensor};

const WIDTH: usize = 3;

/// Makes tensors from those there are; `a`, `b` and `layer` choose among them.
fn step(
    kind: usize,
    [a, b]: [&SymbolicTensor; 2],
    layers: &mut Vec<LayerEntry>,
    layer: usize,
) -> SymbolicTensor {
    let made = match kind {
        0 => Dense::new(WIDTH).activation("tanh").entry(),
        1 => Dropout::new(0.25).entry(),
        2 => Activation::new("softmax").entry(),
        3 => nested(false),
        4 => nested(true),
        5 => return (a + b).unwrap(),
        6 => return (a * b).unwrap(),
        7 => return (0.5 - &(-a).unwrap()).unwrap(),
        8 => {
            let args = Args::one(a.clone()).named("values", b.clone()).value("scale", 0.25);
            return Blend {}.apply(args).unwrap();
        }
        // A layer that was used before, with or without training.
        _ if !layers.is_empty() => layers[layer % layers.len()].clone(),
        _ => Identity::new().entry(),
    };
    let mut args = Args::one(a.clone());
    if kind % 2 == 1 {
        // At the call of a Dropout, JSON says nothing by `false`.
        args = args.value("training", made.class_name() == "Dropout");
    }
    let y = (&made).apply(args).unwrap();
    layers.push(made);
    y
}

/// A model as a layer: a stack or a graph.
fn nested(is_stack: bool) -> LayerEntry {
    if is_stack {
        let mut stack = Architecture::sequential();
        stack.add(Dense::new(2)).unwrap();
        stack.add(Dense::new(WIDTH)).unwrap();
        return GraphLayer::new(stack).entry();
    }
    let z = Input::new([WIDTH]);
    let h = Dense::new(WIDTH).apply(&z).unwrap();
    GraphLayer::new(model(&[&z], &[&(&h + &z).unwrap()])).entry()
}

type Plan = (usize, Vec<(usize, usize, usize, usize)>, Vec<usize>);

fn any_plan() -> impl Strategy<Value = Plan> {
    let steps = prop::collection::vec((0usize..11, 0usize..99, 0usize..99, 0usize..99), 1..12);
    (1usize..4, steps, prop::collection::vec(0usize..99, 1..4))
}

/// The model of a plan, and its inputs.
fn make((inputs, steps, outputs): &Plan) -> (Architecture, Vec<Tensor>) {
    let inputs: Vec<_> = (0..*inputs).map(|_| Input::new([WIDTH])).collect();
    let mut tensors = inputs.clone();
    let mut layers = Vec::new();
    for (kind, a, b, layer) in steps {
        let [a, b] = [a, b].map(|i| tensors[i % tensors.len()].clone());
        tensors.push(step(*kind, [&a, &b], &mut layers, *layer));
    }
    let outputs: Vec<_> =
        outputs.iter().map(|i| &tensors[tensors.len() - 1 - i % tensors.len()]).collect();
    let mut stream = Stream::new(5, 5);
    let mut value = || -> Vec<f32> { (0..2 * WIDTH).map(|_| stream.uniform()).collect() };
    let values =
        inputs.iter().map(|_| Tensor::from_vec(value(), (2, WIDTH), &Device::Cpu).unwrap());
    let values = values.collect();
    (Architecture::functional(&inputs, outputs).unwrap(), values)
}

/// The bits of all outputs, in training and outside it.
fn bits(network: &Network, inputs: &[Tensor]) -> Vec<u32> {
    let contexts = [Context::inference(), Context::training(3, 4)];
    let outputs = contexts.into_iter().flat_map(|mut cx| network.forward(inputs, &mut cx).unwrap());
    outputs.flat_map(|y| crate::stubs::f32s(&y)).map(f32::to_bits).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn functional_models_come_back_from_json_and_compute_the_same(plan in any_plan()) {
        let (architecture, inputs) = make(&plan);
        let json = architecture.to_json(None).unwrap();
        let objects = CustomObjects::new().register::<Layers, Blend>();
        let read = objects.scope(|| Architecture::from_json(&json)).unwrap();
        prop_assert_eq!(read.to_json(None).unwrap().to_string(), json.to_string());
        let build = |architecture: &Architecture| {
            Network::build(architecture, None, &Device::Cpu, FirstValues::Seed(7)).unwrap()
        };
        let network = build(&architecture);
        let promised = network.graph().output_dims();
        for (dims, y) in promised.iter().zip(network.forward(&inputs, &mut Context::inference()).unwrap()) {
            prop_assert!(dims.fits(y.dims()));
        }
        let expected = bits(&network, &inputs);
        for other in [read, architecture.duplicate().unwrap()] {
            let other = build(&other);
            prop_assert_eq!(other.store().parameters().len(), network.store().parameters().len());
            prop_assert_eq!(bits(&other, &inputs), expected.clone());
        }
    }
}
