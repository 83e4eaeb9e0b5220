//! What holds for every model: shapes are what was promised, JSON and files lose nothing.

use proptest::prelude::*;
use sconce::prelude::*;

/// Adds one layer; `size` and `flag` choose hyperparameters, all of which fit any input.
type Add = fn(Sequential, usize, bool) -> Sequential;

const LAYERS: [Add; 9] = [
    |model, size, flag| model.add(Dense::new(size + 1).use_bias(flag)),
    |model, size, _| model.add(Dense::new(size + 1).activation("gelu").kernel_regularizer("l2")),
    |model, _, flag| model.add(Activation::new(if flag { "softmax" } else { "tanh" })),
    |model, size, _| model.add(Dropout::new(size as f64 / 10.0)),
    |model, _, _| model.add(Flatten::new()),
    |model, _, _| model.add(Reshape::new([-1, 1])),
    |model, size, _| model.add(Reshape::new([vec![1; size], vec![-1]].concat())),
    |model, size, _| model.add(Rescaling::new(size as f64 + 0.5).offset(-0.1)),
    |model, _, _| model.add(Identity::new()),
];

/// Features, and for each layer its kind and hyperparameters.
type Plan = (usize, Vec<(usize, usize, bool)>, u64);

fn any_model() -> impl Strategy<Value = Plan> {
    let layer = (0..LAYERS.len(), 0usize..5, any::<bool>());
    (1usize..6, prop::collection::vec(layer, 1..7), any::<u64>())
}

/// The model of a plan, and an input of so many rows.
fn build((features, layers, seed): &Plan, rows: usize) -> (Sequential, Tensor) {
    let mut model = Sequential::new().seed(*seed).add(InputLayer::new([*features]));
    for (kind, size, flag) in layers {
        model = LAYERS[*kind](model, *size, *flag);
    }
    model.build(&Dims::batch_of(&[*features])).unwrap();
    (model, Tensor::randn(0f32, 1.0, (rows, *features), &Device::Cpu).unwrap())
}

fn values(tensor: &Tensor) -> Vec<u32> {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn outputs_have_the_promised_shape(plan in any_model(), rows in 1usize..4) {
        let (model, x) = build(&plan, rows);
        let y = model.predict(&x).unwrap();
        let promised = model.network().unwrap().graph().output_dims()[0].clone();
        prop_assert!(promised.fits(y.dims()), "{promised} promised, {:?} came", y.dims());
        prop_assert_eq!(y.dims()[0], rows);
    }

    #[test]
    fn json_and_files_lose_nothing(plan in any_model(), rows in 1usize..4) {
        let (model, x) = build(&plan, rows);
        let y = values(&model.predict(&x).unwrap());

        let json = model.to_json().unwrap();
        let mut again = Sequential::from_json(&json).unwrap().seed(Model::seed(&model));
        again.build(&Dims::batch_of(&[plan.0])).unwrap();
        prop_assert_eq!(again.to_json().unwrap(), json);
        prop_assert_eq!(values(&again.predict(&x).unwrap()), y.clone());

        let folder = tempfile::tempdir().unwrap();
        for name in ["m.keras", "m.safetensors"] {
            let path = folder.path().join(name);
            let back = match name {
                "m.keras" => model.save(&path).and_then(|()| Model::load(&path)),
                _ => model.save_weights(&path).and_then(|()| Model::load_with(&path, LoadOptions::new())),
            };
            prop_assert_eq!(values(&back.unwrap().predict(&x).unwrap()), y.clone(), "{}", name);
        }
    }
}
