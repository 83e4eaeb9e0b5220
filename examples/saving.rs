//! How do I keep a model, parts of it, or its weights? Whole in a `.keras` file, as weights alone, as JSON,
//! and layer by layer from one model to another.
//!
//!     cargo run --release --example saving

use sconce::prelude::*;
use std::path::Path;

fn model() -> Sequential {
    Sequential::new()
        .add(Dense::new(8).activation("tanh").name("features").input_shape([2]))
        .add(Dense::new(1).name("head"))
}

/// Whether what came back predicts as the model did.
pub fn save_and_load(folder: &Path) -> Result<[bool; 4]> {
    let x: Vec<[f32; 2]> = (0..64).map(|i| [(i as f32).sin(), (i as f32).cos()]).collect();
    let y: Vec<[f32; 1]> = x.iter().map(|[a, b]| [a * b]).collect();
    let mut model = model();
    model.compile(Adam::new(0.01), "mse")?;
    model.fit_with(&x, &y, Fit::new(5, 16).verbose(Verbose::Silent))?;
    let expected = model.predict(&x)?.to_array::<f32>()?;
    let same = |model: &Model| Ok::<_, Error>(model.predict(&x)?.to_array::<f32>()? == expected);

    // The whole: architecture, weights, compile state, optimizer. Keras opens it; training goes on.
    let whole = folder.join("model.keras");
    model.save(&whole)?;
    let mut loaded = Model::load(&whole)?;
    let is_whole = same(&loaded)?;
    loaded.fit_with(&x, &y, Fit::new(1, 16).verbose(Verbose::Silent))?;

    // The weights alone, for a model that a program makes; Keras's `load_weights` reads them.
    let weights = folder.join("model.weights.h5");
    model.save_weights(&weights)?;
    let mut made = self::model();
    made.build(&Dims::batch_of(&[2]))?;
    made.load_weights(&weights)?;

    // The architecture alone, as Keras's `to_json`, and the weights as safetensors.
    let (json, weights) = (model.to_json()?, folder.join("model.safetensors"));
    model.save_weights(&weights)?;
    let mut from_json = Model::from_json(&json)?;
    from_json.build(&Dims::batch_of(&[2]))?;
    from_json.load_weights(&weights)?;

    // Weight by weight, between models that share some layers.
    let mut other = self::model();
    other.build(&Dims::batch_of(&[2]))?;
    for name in ["features/kernel", "features/bias", "head/kernel", "head/bias"] {
        other.store()?.get(name)?.set(model.store()?.get(name)?.var.as_tensor())?;
    }
    Ok([is_whole, same(&made)?, same(&from_json)?, same(&other)?])
}

#[allow(dead_code)] // A test includes this file as a module.
fn main() -> Result<()> {
    let folder = std::env::temp_dir().join("sconce-saving");
    std::fs::create_dir_all(&folder).map_err(|e| Error::file(&folder, e.to_string()))?;
    println!("predictions are the same: {:?}", save_and_load(&folder)?);
    Ok(())
}
