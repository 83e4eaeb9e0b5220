//! The JSON Schema of models, as [`Architecture::from_json`] reads them.

use crate::architecture::{Architecture, FUNCTIONAL, SEQUENTIAL};
use sconce_core::Json;
use sconce_core::schema::{self, Definitions};
use serde_json::json;

impl Architecture {
    /// The JSON Schema of Keras's JSON of a model, with every layer.
    pub fn schema(definitions: &mut Definitions) -> Json {
        definitions.named("model", |definitions| {
            let layers = definitions.named("layer", |definitions| {
                let mut classes = sconce_layers::json::schema(definitions);
                classes.push(json!({"$ref": "#/$defs/model"}));
                json!({"description": "A layer of a Sequential model.", "anyOf": classes})
            });
            let calls = definitions.named("functional_layer", |definitions| {
                let mut classes = sconce_layers::json::schema(definitions);
                classes.extend([sequential(&layers), functional()]);
                for class in &mut classes {
                    class["properties"]["name"] = json!({
                        "description": "The layer's name, where its `config` has none.",
                        "type": "string",
                    });
                    class["properties"]["inbound_nodes"] = json!({
                        "description": "What it is called with at each of its uses.",
                        "type": "array",
                        "items": call(),
                    });
                }
                json!({"description": "A layer of a functional model.", "anyOf": classes})
            });
            json!({
                "description": "A model as Keras serializes it.",
                "anyOf": [sequential(&layers), functional_of(&calls)],
            })
        })
    }
}

/// What the `config` of every model holds.
fn config(doc: &str, required: &[&str], own: Json) -> Json {
    let mut properties = json!({
        "name": {"description": "The model's name.", "type": ["string", "null"]},
        "trainable": {
            "description": "Whether it is trained as a layer of another model.",
            "type": "boolean", "default": true,
        },
        "dtype": {"description": "Keras's dtype policy of the model; its layers have their own."},
    });
    if let (Json::Object(properties), Json::Object(own)) = (&mut properties, own) {
        properties.extend(own);
    }
    json!({
        "description": doc, "type": "object", "required": required, "additionalProperties": false,
        "properties": properties,
    })
}

fn sequential(layers: &Json) -> Json {
    let own = json!({
        "layers": {
            "description": "The layers, each fed by the one before it.",
            "type": "array", "minItems": 1, "items": layers,
        },
        "build_input_shape": {
            "description": "The shape of the inputs with the batch axis first, where no layer states it.",
        },
    });
    let doc = "A stack of layers, each fed by the one before it.";
    schema::object(json!({"enum": [SEQUENTIAL]}), config(doc, &["layers"], own))
}

/// A functional model within a functional model.
fn functional() -> Json {
    functional_of(&json!({"$ref": "#/$defs/functional_layer"}))
}

fn functional_of(layers: &Json) -> Json {
    let ends = json!({"type": ["array", "object"]});
    let end = |doc: &str| {
        let mut end = ends.clone();
        end["description"] = doc.into();
        end
    };
    let own = json!({
        "layers": {
            "description": "The layers, each with its name and with what it is called on.",
            "type": "array", "items": layers,
        },
        "input_layers": end("The inputs: [layer name, use, output], a list of such, or a dict of them."),
        "output_layers": end("The outputs, in the same form."),
    });
    let doc = "Layers that are called on each other's outputs.";
    let required = ["layers", "input_layers", "output_layers"];
    schema::object(json!({"enum": [FUNCTIONAL, "Model"]}), config(doc, &required, own))
}

/// One call of a layer.
fn call() -> Json {
    json!({
        "type": "object",
        "properties": {
            "args": {
                "description": "Tensors (`__keras_tensor__`), lists and dicts of them, or plain values.",
                "type": ["array", "null"],
            },
            "kwargs": {"description": "The same by keyword.", "type": ["object", "null"]},
        },
    })
}
