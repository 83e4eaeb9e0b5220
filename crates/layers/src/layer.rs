//! What a layer is: hyperparameters that are its Keras configuration, and four questions answered
//! apart from each other: is the configuration valid ([`Layer::check`]), which shape comes out
//! ([`Layer::output_dims`]), which weights are needed ([`Layer::weights`]), what is computed
//! ([`Layer::call`]). A layer holds no tensors and is never changed by running.

use crate::core::InputLayer;
use crate::regularizers::Regularizer;
use sconce_core::registry::object;
use sconce_core::{Context, Dims, Error, Json, Kind, Result, Tensor, WeightSpec, Weights};
use serde::Deserialize;
use std::sync::Arc;

/// What every layer can say besides its own configuration.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its name in the model, unique; made from the class name (`dense`, `dense_1`) if left out.
    pub name: Option<String>,
    /// Whether training changes its weights.
    pub trainable: bool,
    /// The shape of one sample, on a model's first layer.
    pub input_shape: Option<Vec<Option<usize>>>,
    /// A penalty on what the layer puts out, divided by the batch size.
    pub activity_regularizer: Option<Regularizer>,
}

impl Default for Base {
    fn default() -> Self {
        Self { name: None, trainable: true, input_shape: None, activity_regularizer: None }
    }
}

/// The configuration of a layer as JSON. The `layers!` table writes this for layers of the registry;
/// your own layer writes it by hand.
pub trait Configured: Send + Sync {
    /// Keras's class name, or your own.
    fn class_name(&self) -> &'static str;

    /// Its own configuration, without name, trainable and dtype. A layer that cannot be written to a
    /// file says so here.
    fn config(&self) -> Result<Json> {
        Err(Error::config(
            "",
            format!("`{}` is your own layer and cannot be written to JSON", self.class_name()),
        ))
    }

    /// Name, trainable flag, input shape.
    fn base(&self) -> &Base;

    /// The same, to change them.
    fn base_mut(&mut self) -> &mut Base;
}

/// A layer. `inputs` are the shapes or tensors of one use of the layer, in order.
pub trait Layer: Configured {
    /// Refuses hyperparameters that cannot work, whatever the input.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The shapes that come out for the shapes that go in, or what was expected instead.
    fn output_dims(&self, inputs: &[Dims]) -> Result<Vec<Dims>>;

    /// The weights needed for the shapes that go in. Their order is the order of Keras's files.
    fn weights(&self, _inputs: &[Dims]) -> Result<Vec<WeightSpec>> {
        Ok(Vec::new())
    }

    /// Computes the outputs.
    fn call(
        &self,
        weights: &Weights<'_>,
        inputs: &[Tensor],
        cx: &mut Context,
    ) -> Result<Vec<Tensor>>;

    /// Whether the outputs are probabilities (a softmax or sigmoid comes last), for losses that must
    /// know whether they are given logits. `None`: as the inputs were (dropout, reshape).
    fn outputs_probabilities(&self) -> Option<bool> {
        Some(false)
    }
}

/// Builder methods that every layer has.
pub trait LayerExt: Layer + Sized {
    /// Names the layer; names are unique in a model.
    fn name(mut self, name: &str) -> Self {
        self.base_mut().name = Some(name.to_string());
        self
    }

    /// With `false`, training leaves the layer's weights as they are.
    fn trainable(mut self, trainable: bool) -> Self {
        self.base_mut().trainable = trainable;
        self
    }

    /// Adds a penalty on what the layer puts out, divided by the batch size: `"l2"`, `L1::new(0.01)`.
    fn activity_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.base_mut().activity_regularizer = Some(regularizer.into());
        self
    }

    /// The shape of one sample (without the batch axis), for the first layer of a model.
    fn input_shape(mut self, shape: impl AsRef<[usize]>) -> Self {
        self.base_mut().input_shape = Some(shape.as_ref().iter().copied().map(Some).collect());
        self
    }
}

impl<L: Layer> LayerExt for L {}

/// The table of layers that JSON and files can name.
pub struct Layers;

/// The one input of a layer that takes exactly one.
pub fn single<'a, T>(inputs: &'a [T], class_name: &str) -> Result<&'a T> {
    match inputs {
        [input] => Ok(input),
        _ => Err(Error::layer("", format!("{class_name} takes one input, got {}", inputs.len()))),
    }
}

/// Keys that Keras writes into every layer's configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    #[serde(default)]
    name: Option<String>,
    #[serde(default = "yes")]
    trainable: bool,
    #[serde(default)]
    dtype: Option<Json>,
    #[serde(default)]
    autocast: Option<bool>,
    #[serde(default)]
    input_shape: Option<Vec<Option<usize>>>,
    #[serde(default)]
    batch_input_shape: Option<Vec<Option<usize>>>,
    #[serde(default)]
    activity_regularizer: Option<Regularizer>,
}

fn yes() -> bool {
    true
}

const COMMON: [&str; 7] = [
    "name",
    "trainable",
    "dtype",
    "autocast",
    "input_shape",
    "batch_input_shape",
    "activity_regularizer",
];

/// Splits a layer's configuration into the keys common to all layers and its own.
pub fn split_common(config: Json) -> Result<(Base, Json)> {
    let mut own = object(config, "a layer's `config`")?;
    let mut common = serde_json::Map::new();
    for key in COMMON {
        if let Some(value) = own.shift_remove(key) {
            common.insert(key.to_string(), value);
        }
    }
    let common: Common = sconce_core::json::parse(Json::Object(common))?;
    if let Some(dtype) = &common.dtype {
        check_dtype(dtype)?;
    }
    // Keras writes `autocast` only for layers that take integers; nothing here depends on it.
    let _ = common.autocast;
    let from_batch = common.batch_input_shape.map(|shape| shape.into_iter().skip(1).collect());
    let base = Base {
        name: common.name,
        trainable: common.trainable,
        input_shape: common.input_shape.or(from_batch),
        activity_regularizer: common.activity_regularizer,
    };
    Ok((base, Json::Object(own)))
}

/// Weights and activations are float32; other policies are refused by name.
pub fn check_dtype(dtype: &Json) -> Result<()> {
    let name = match dtype {
        Json::Null => return Ok(()),
        Json::String(name) => name.as_str(),
        policy => policy.pointer("/config/name").and_then(Json::as_str).unwrap_or("unknown"),
    };
    if name == "float32" {
        return Ok(());
    }
    Err(Error::config(
        "dtype",
        format!("the dtype policy `{name}` is not supported yet; use `float32`"),
    ))
}

/// A layer's complete JSON, as Keras writes it.
pub fn to_json(layer: &dyn Layer, name: &str, build_shapes: Option<&[Dims]>) -> Result<Json> {
    if layer.class_name() == InputLayer::CLASS_NAME {
        let mut config = layer.config()?;
        config["name"] = name.into();
        return Ok(serde_json::json!({
            "module": "keras.layers", "class_name": layer.class_name(),
            "config": config, "registered_name": null,
        }));
    }
    let mut config = serde_json::Map::new();
    config.insert("name".into(), name.into());
    config.insert("trainable".into(), layer.base().trainable.into());
    config.insert("dtype".into(), float32_policy());
    if let Some(regularizer) = &layer.base().activity_regularizer {
        config.insert("activity_regularizer".into(), regularizer.to_json()?);
    }
    config.extend(object(layer.config()?, "a layer's `config`")?);
    let mut out = serde_json::json!({
        "module": "keras.layers",
        "class_name": layer.class_name(),
        "config": config,
        "registered_name": null,
    });
    if let (Some([shape]), Some(out)) = (build_shapes, out.as_object_mut()) {
        out.insert("build_config".into(), serde_json::json!({ "input_shape": shape }));
    }
    Ok(out)
}

/// Keras's serialized float32 dtype policy.
pub fn float32_policy() -> Json {
    serde_json::json!({
        "module": "keras", "class_name": "DTypePolicy",
        "config": { "name": "float32" }, "registered_name": null,
    })
}

/// Builds a layer of the registry from its serialized form (`{"class_name", "config", ...}`).
pub fn from_json(value: &Json) -> Result<Arc<dyn Layer>> {
    Ok(sconce_core::Part::<Layers>::from_json(value)?.get()?.clone())
}

/// Reads a layer of the registry with its complete configuration.
pub fn read<L: Layer + serde::de::DeserializeOwned + 'static>(
    config: &sconce_core::json::Map,
) -> Result<sconce_core::registry::Member<Layers>> {
    let layer = build::<L>(Json::Object(config.clone()))?;
    let config = layer.config()?;
    let layer: Arc<dyn Layer> = Arc::new(layer);
    sconce_core::registry::Member::of(layer, config)
}

/// Reads a layer of the registry from its configuration.
pub fn build<L: Layer + serde::de::DeserializeOwned>(config: Json) -> Result<L> {
    let (base, own) = split_common(config)?;
    let mut layer: L = sconce_core::json::parse(own)
        .map_err(|e| sconce_core::registry::with_shared_keys(e, &COMMON))?;
    *layer.base_mut() = base;
    layer.check()?;
    Ok(layer)
}

impl Kind for Layers {
    type Object = dyn Layer;
    const NAME: &'static str = "layer";
    const MODULE: &'static str = "keras.layers";
    fn entries() -> &'static [sconce_core::Entry<Self>] {
        crate::ENTRIES
    }
}

/// Writes the table of layers, one line a layer: `Dense,`. The struct has a field
/// `#[serde(skip)] base: Base`, and its name is Keras's class name.
#[macro_export]
macro_rules! layers {
    ($($ty:ident),* $(,)?) => {
        /// Every layer, by Keras's class name.
        pub(crate) const ENTRIES: &[sconce_core::Entry<$crate::Layers>] = &[
            sconce_core::Entry {
                class_name: InputLayer::CLASS_NAME,
                aliases: &[],
                read: InputLayer::read,
                schema: |_| sconce_core::registry::schema_of_defaults(InputLayer::read),
            },
            $(sconce_core::Entry {
                class_name: stringify!($ty),
                aliases: &[],
                read: $crate::layer::read::<$ty>,
                schema: |_| sconce_core::registry::schema_of_defaults($crate::layer::read::<$ty>),
            }),*
        ];
        $(impl $crate::Configured for $ty {
            fn class_name(&self) -> &'static str {
                stringify!($ty)
            }

            fn config(&self) -> sconce_core::Result<sconce_core::Json> {
                serde_json::to_value(self)
                    .map_err(|e| sconce_core::Error::config("", e.to_string()))
            }

            fn base(&self) -> &$crate::Base {
                &self.base
            }

            fn base_mut(&mut self) -> &mut $crate::Base {
                &mut self.base
            }
        })*
    };
}
