//! Parts of the user's own in a model: in Rust, through JSON and back, and what is said without them.

use sconce::core::{Config, CustomObjects, Initializer, Stream};
use sconce::layers::initializers::Initializers;
use sconce::prelude::*;
use sconce::train::RunConfig;
use sconce::train::callbacks::{CallbackConfig, Callbacks};
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

/// Keeps the number of each epoch in a file.
#[derive(Clone, Config)]
#[config(package = "my_package", part = sconce::train::callbacks::CallbackPart)]
struct Epochs {
    /// The file.
    filename: String,
}

impl CallbackConfig for Epochs {
    fn start(&self) -> Box<dyn Callback> {
        let filename = self.filename.clone();
        Box::new(LambdaCallback::new().on_epoch_end(move |epoch, _, _| {
            std::fs::write(&filename, epoch.to_string()).unwrap();
            Ok(Flow::Continue)
        }))
    }
}

#[test]
fn an_own_callback_runs_in_a_run_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("epoch.txt");
    let config = serde_json::json!({
        "model": {"class_name": "Sequential", "config": {"layers": [
            {"class_name": "Dense", "config": {"units": 3}},
        ]}},
        "compile": {"loss": "sparse_categorical_crossentropy"},
        "data": {"train": {"dataset": "iris", "split": "train"}},
        "fit": {"epochs": 3},
        "callbacks": [{
            "class_name": "Epochs", "registered_name": "my_package>Epochs",
            "config": {"filename": file},
        }],
    });
    let error = RunConfig::from_json(&config).map(drop).unwrap_err().to_string();
    assert!(error.contains("at `callbacks[0]"), "{error}");
    assert!(error.contains("register::<Callbacks, Epochs>()"), "{error}");

    let objects = CustomObjects::new().register::<Callbacks, Epochs>();
    let read = objects.scope(|| RunConfig::from_json(&config)).unwrap();
    read.prepare(&Device::Cpu).unwrap().train_quietly().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "2");
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written["callbacks"][0]["registered_name"], "my_package>Epochs");
}
