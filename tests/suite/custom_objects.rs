//! Parts of the user's own in a model: in Rust, through JSON and back, and what is said without them.

use sconce::core::{Config, CustomObjects, Initializer, Stream};
use sconce::layers::initializers::Initializers;
use sconce::prelude::*;
use serde_json::Value as Json;

/// One number everywhere.
#[derive(Config)]
#[config(package = "my_package", part = sconce::layers::initializers::Initializer)]
struct Everywhere {
    /// The number.
    #[config(default = 1.0)]
    number: f64,
}

impl Initializer for Everywhere {
    fn values(&self, dims: &[usize], _: &mut Stream) -> Result<Vec<f32>> {
        Ok(vec![self.number as f32; dims.iter().product()])
    }
}

#[test]
fn an_own_initializer_goes_through_the_models_json() {
    let dense = Dense::new(2).kernel_initializer(Everywhere::new().number(0.5)).input_shape([3]);
    let json = Sequential::new().add(dense).to_json().unwrap();
    let written: Json = serde_json::from_str(&json).unwrap();
    let mut layers = written["config"]["layers"].as_array().unwrap().iter();
    let dense = layers.find(|layer| layer["class_name"] == "Dense").unwrap();
    let initializer = &dense["config"]["kernel_initializer"];
    let expected = serde_json::json!({
        "module": null, "class_name": "Everywhere", "config": {"number": 0.5},
        "registered_name": "my_package>Everywhere",
    });
    assert_eq!(initializer.to_string(), expected.to_string());

    let objects = CustomObjects::new().register::<Initializers, Everywhere>();
    let read = objects.scope(|| Model::from_json(&json)).unwrap();
    assert_eq!(read.to_json().unwrap(), json);
    let error = Model::from_json(&json).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains(
            ".config.kernel_initializer.registered_name`: the initializer `my_package>Everywhere`"
        ),
        "{error}"
    );
    assert!(error.contains("register::<Initializers, Everywhere>()"), "{error}");
}
