//! How do I build a model that is no stack? Apply layers to tensors: several inputs and outputs, shared
//! layers, operators, models of inner tensors, and frozen models inside others.
//!
//!     cargo run --release --example functional

use sconce::core::Stream;
use sconce::prelude::*;

/// 300 points seen from two sides.
struct Views {
    left: Vec<[f32; 2]>,
    right: Vec<[f32; 2]>,
    /// The number of each point's cluster.
    labels: Vec<i64>,
    /// The distance of each point from the centre.
    distances: Vec<[f32; 1]>,
}

fn data() -> Views {
    let mut random = Stream::named(3, "views");
    let labels: Vec<i64> = (0..300).map(|i| i % 3).collect();
    let points: Vec<[f32; 2]> = labels
        .iter()
        .map(|label| {
            let angle = *label as f64 * std::f64::consts::TAU / 3.0;
            [angle.cos() + 0.3 * random.normal(), angle.sin() + 0.3 * random.normal()]
                .map(|coordinate| coordinate as f32)
        })
        .collect();
    let right = points.iter().map(|[x, y]| [-y, *x]).collect();
    let distances = points.iter().map(|[x, y]| [x.hypot(*y)]).collect();
    Views { left: points, right, labels, distances }
}

/// Two inputs go through the same encoder; from their sum come a class and a distance.
pub fn model() -> Result<Model> {
    let (left, right) = (Input::new([2]).name("left"), Input::new([2]).name("right"));
    // An entry stands for one layer with its weights, however often it is applied.
    let encoder: LayerEntry = Dense::new(16).activation("relu").name("encoder").into();
    let (a, b) = ((&encoder).apply(&left)?, (&encoder).apply(&right)?);
    let both = Dense::new(16).activation("relu").name("features").apply(&(&a + &b)?)?;
    let class = Dense::new(3).activation("softmax").name("class").apply(&both)?;
    let distance = Dense::new(1).name("distance").apply(&both)?;
    Model::new([&left, &right], [&class, &distance])
}

/// Trains both outputs at once; returns the model and its history.
pub fn train() -> Result<(Model, History)> {
    let Views { left, right, labels, distances } = data();
    let mut model = model()?;
    let losses = [("class", "sparse_categorical_crossentropy"), ("distance", "mse")];
    let compile = Compile::new(Adam::new(0.01), losses)
        .loss_weights([("class", 1.0), ("distance", 2.0)])
        .metrics_of("class", ["accuracy"]);
    model.compile_with(compile)?;
    let fit = Fit::new(20, 32).validation_split(0.2).verbose(Verbose::Silent);
    let history = model.fit_with(&(&left, &right), &(&labels, &distances), fit)?;
    Ok((model, history))
}

/// A new output on the features of a trained model, which stays as it is.
pub fn transfer(trained: &Model) -> Result<(Model, History)> {
    let features = Model::new(trained.inputs()?, trained.layer_outputs("features")?)?;
    features.set_trainable(false);
    let (left, right) = (Input::new([2]), Input::new([2]));
    let inner = features.apply([&left, &right])?;
    let inside = Dense::new(1).activation("sigmoid").name("inside").apply(&inner)?;
    let mut model = Model::new([&left, &right], [&inside])?;
    model
        .compile_with(Compile::new(Adam::new(0.02), "binary_crossentropy").metrics(["accuracy"]))?;

    let Views { left, right, distances, .. } = data();
    let near: Vec<[f32; 1]> = distances.iter().map(|[d]| [f32::from(u8::from(*d < 1.0))]).collect();
    let fit = Fit::new(30, 32).verbose(Verbose::Silent);
    let history = model.fit_with(&(&left, &right), &near, fit)?;
    Ok((model, history))
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let (model, history) = train()?;
    let last = |history: &History, name: &str| history.last(name).unwrap_or_default();
    println!("{}", model.summary()?);
    println!(
        "class: accuracy {:.3}, distance: loss {:.4}",
        last(&history, "val_class_accuracy"),
        last(&history, "val_distance_loss")
    );
    let (_, history) = transfer(&model)?;
    println!("inside the circle: accuracy {:.3}", last(&history, "accuracy"));
    Ok(())
}
