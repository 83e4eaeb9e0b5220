//! Frozen layers stay as they are, whatever stands around them.

use sconce::prelude::*;

fn weights(model: &Sequential) -> Vec<Vec<f32>> {
    let values = |w: &Tensor| w.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    model.network().unwrap().get_weights().unwrap().iter().map(values).collect()
}

/// Trains three dense layers, of which some are frozen: before, after, and the history.
fn train(trainable: [bool; 3]) -> (Vec<Vec<f32>>, Vec<Vec<f32>>, History) {
    let x: Vec<[f32; 2]> = (0..64).map(|i| [i as f32 / 64.0, (i % 7) as f32 / 7.0]).collect();
    let y: Vec<[f32; 1]> = x.iter().map(|[a, b]| [a - 2.0 * b]).collect();
    let dense = |units, index: usize| Dense::new(units).trainable(trainable[index]);
    let mut model = Sequential::new()
        .add(dense(4, 0).activation("tanh").input_shape([2]))
        .add(dense(3, 1).activation("relu"))
        .add(dense(1, 2));
    model.compile(Adam::new(0.05), "mse").unwrap();
    let before = weights(&model);
    let history = model.fit_with(&x, &y, Fit::new(5, 16).verbose(Verbose::Silent)).unwrap();
    (before, weights(&model), history)
}

#[test]
fn frozen_layers_stay_and_the_others_learn() {
    for frozen in 0..3 {
        let (before, after, history) = train([0, 1, 2].map(|layer| layer != frozen));
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(before == after, index / 2 == frozen, "weight {index}, frozen {frozen}");
        }
        let loss = history.get("loss");
        assert!(loss.last() < loss.first(), "{loss:?}");
    }
}

#[test]
fn a_model_of_frozen_layers_only_is_left_alone() {
    let (before, after, history) = train([false; 3]);
    assert_eq!(before, after);
    assert_eq!(history.get("loss").len(), 5);
}
