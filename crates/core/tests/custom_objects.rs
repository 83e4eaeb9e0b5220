//! Objects of the user's own, written and read as Keras 3.15 writes registered objects.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sconce_core::{Config, CustomObjects, Entry, Json, Kind, Part, Result, registry};
use serde_json::json;
use std::sync::Arc;

trait Loss: Send + Sync {
    fn value(&self, error: f64) -> f64;
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

struct Losses;

type LossFn = Part<Losses>;

impl Kind for Losses {
    type Object = dyn Loss;
    const NAME: &'static str = "loss";
    const MODULE: &'static str = "keras.losses";
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }
    fn check(object: &Self::Object) -> Result<()> {
        object.check()
    }
}

/// The square.
#[derive(Config)]
struct MeanSquaredError;

impl Loss for MeanSquaredError {
    fn value(&self, error: f64) -> f64 {
        error * error
    }
}

registry! {
    Losses(Loss):
    MeanSquaredError ["mse"];
}

/// My loss.
#[derive(Config)]
#[config(package = "pkg", part = LossFn)]
struct MyLoss {
    /// A factor.
    #[config(default = 2.0, range = "(0, inf)")]
    delta: f64,
}

impl Loss for MyLoss {
    fn value(&self, error: f64) -> f64 {
        self.delta * error
    }
}

impl<F: Fn(f64) -> f64 + Send + Sync> Loss for F {
    fn value(&self, error: f64) -> f64 {
        self(error)
    }
}

fn objects() -> CustomObjects {
    CustomObjects::new()
        .register::<Losses, MyLoss>()
        .function::<Losses>("pkg>my_fn", Arc::new(|error: f64| error + 1.0))
}

/// `keras.saving.serialize_keras_object` of a class registered with `package="pkg"`.
fn serialized(delta: f64) -> Json {
    json!({"module": null, "class_name": "MyLoss", "config": {"delta": delta}, "registered_name": "pkg>MyLoss"})
}

#[track_caller]
fn error(value: Json) -> String {
    LossFn::from_json(&value).map(drop).unwrap_err().to_string()
}

#[test]
fn a_registered_type_goes_through_json() {
    for part in [LossFn::from(MyLoss::new()), LossFn::registered(MyLoss::new())] {
        assert_eq!(part.to_json().unwrap().to_string(), serialized(2.0).to_string());
        assert_eq!((part.class_name(), part.name()), ("MyLoss", "pkg>MyLoss"));
    }
    objects().scope(|| {
        let read = LossFn::from_json(&serialized(3.0)).unwrap();
        assert_eq!(read.get().unwrap().value(2.0), 6.0);
        assert_eq!(read.to_json().unwrap(), serialized(3.0));
        // As Keras reads it too, and by its registered name alone.
        for given in [json!({"class_name": "pkg>MyLoss", "config": {}}), json!("pkg>MyLoss")] {
            assert_eq!(LossFn::from_json(&given).unwrap().to_json().unwrap(), serialized(2.0));
        }
        assert_eq!(error(json!({"module": null, "class_name": "MyLoss", "config": {"delt": 1}, "registered_name": "pkg>MyLoss"})),
            "at `config.delt`: unknown key `delt`. Did you mean `delta`? Known: delta.");
        assert!(error(serialized(-1.0)).starts_with("at `config.delta`: must be a number above 0"));
    });
}

#[test]
fn a_registered_function_goes_through_json() {
    let serialized = json!({"module": "builtins", "class_name": "function", "config": "pkg>my_fn", "registered_name": "function"});
    let part = LossFn::function("pkg>my_fn", Arc::new(|error: f64| error));
    assert_eq!(part.to_json().unwrap().to_string(), serialized.to_string());
    objects().scope(|| {
        for given in [serialized.clone(), json!("pkg>my_fn")] {
            let read = LossFn::from_json(&given).unwrap();
            assert_eq!(read.get().unwrap().value(2.0), 3.0);
            assert_eq!(read.to_json().unwrap(), serialized);
        }
    });
}

#[test]
fn outside_a_scope_the_error_says_how_to_register() {
    let expected = "at `registered_name`: the loss `pkg>MyLoss` is not registered. Read the file within \
        `CustomObjects::new().register::<Losses, MyLoss>().scope(|| ..)`, where `MyLoss` is your type with that \
        registered name";
    assert_eq!(error(serialized(1.0)), expected);
    let other = json!({"module": null, "class_name": "MyLos", "config": {}, "registered_name": "pkg>MyLos"});
    let hint = objects().scope(|| error(other));
    assert!(hint.contains("Did you mean `pkg>MyLoss`?"), "{hint}");
    let function = json!({"module": "builtins", "class_name": "function", "config": "pkg>my_fn", "registered_name": "function"});
    assert!(error(function).starts_with("at `config`: the loss `pkg>my_fn` is not registered"));
    // The names that are registered here are among those of the table.
    assert!(
        objects()
            .scope(|| error(json!("unheard of")))
            .contains("Known: mse, pkg>MyLoss, pkg>my_fn.")
    );
}

/// The objects of Keras keep their names, whatever is registered.
#[test]
fn own_objects_do_not_replace_those_of_keras() {
    struct Impostor;
    impl Loss for Impostor {
        fn value(&self, _: f64) -> f64 {
            -1.0
        }
    }
    CustomObjects::new().function::<Losses>("mse", Arc::new(Impostor)).scope(|| {
        let keras = json!({"module": "keras.losses", "class_name": "MeanSquaredError", "config": {}, "registered_name": null});
        for given in [json!("mse"), keras] {
            assert_eq!(LossFn::from_json(&given).unwrap().get().unwrap().value(3.0), 9.0);
        }
    });
}

#[test]
fn scopes_nest_and_end() {
    /// Another of the same name.
    #[derive(Config)]
    #[config(package = "pkg", name = "MyLoss")]
    struct Inner {
        /// A factor.
        #[config(default = 0.0)]
        delta: f64,
    }
    impl Loss for Inner {
        fn value(&self, error: f64) -> f64 {
            error - self.delta
        }
    }
    let value =
        || LossFn::from_json(&serialized(1.0)).map(|part| part.get().unwrap().value(5.0)).ok();
    let inner = CustomObjects::new().register::<Losses, Inner>();
    objects().scope(|| {
        assert_eq!(value(), Some(5.0));
        assert_eq!(inner.scope(value), Some(4.0));
        assert_eq!(value(), Some(5.0));
    });
    assert_eq!(value(), None);
    // In one set of objects the later one counts.
    assert_eq!(objects().register::<Losses, Inner>().scope(value), Some(4.0));
    // Other threads do not see it.
    objects().scope(|| {
        std::thread::scope(|threads| threads.spawn(|| assert_eq!(value(), None)).join().unwrap())
    });
}

#[test]
fn a_panic_leaves_the_scope() {
    let caught = std::panic::catch_unwind(|| {
        objects().scope(|| objects().scope(|| panic!("in the scope")));
    });
    assert!(caught.is_err());
    assert!(LossFn::from_json(&serialized(1.0)).is_err());
}

#[test]
fn the_schema_knows_what_is_registered_here() {
    let names = || {
        sconce_core::schema::document(|d| d.part::<Losses>())["$defs"]["loss"]["anyOf"][0]["enum"]
            .clone()
    };
    assert_eq!(names(), json!(["MeanSquaredError", "mse"]));
    assert_eq!(
        objects().scope(names),
        json!(["MeanSquaredError", "mse", "pkg>MyLoss", "pkg>my_fn"])
    );
}
