//! What `#[derive(Config)]` and `#[derive(ConfigValue)]` write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sconce_core::json::Map;
use sconce_core::schema::Definitions;
use sconce_core::{Config, ConfigValue, Entry, Error, Json, Kind, Part, Registered, registry};
use serde_json::json;

trait Shape: Send + Sync {
    fn area(&self) -> f64;
}

struct Shapes;

impl Kind for Shapes {
    type Object = dyn Shape;
    const NAME: &'static str = "plane shape";
    const MODULE: &'static str = "keras.shapes";
    fn entries() -> &'static [Entry<Self>] {
        Self::ENTRIES
    }
}

/// A square. Its sides are equal.
///
/// A second paragraph.
#[derive(Clone, Debug, PartialEq, Config)]
struct Square {
    /// Length of a side.
    #[config(default = 1.0, range = "(0, inf)")]
    side: f64,
}

impl Shape for Square {
    fn area(&self) -> f64 {
        self.side * self.side
    }
}

registry! {
    Shapes(Shape):
    Square ["square"];
}

#[derive(Clone, Copy, Debug, PartialEq, ConfigValue)]
enum Corner {
    Round,
    #[config(name = "sharp", alias = "pointed")]
    SharpEdge,
    CutOff,
}

/// A picture, see [`Square`].
#[derive(Clone, Debug, Config)]
#[config(name = "KerasPicture", only(quantization_config = null), read_only(version = 3))]
pub struct Picture {
    /// How many; at least 1.
    #[config(range = "[1, inf)")]
    pub count: usize,
    /// Its frame.
    #[config(default = "square", null = "square")]
    frame: Part<Shapes>,
    /// Whether it is
    /// framed.
    #[config(default = true)]
    pub framed: bool,
    /// Something behind it.
    back: Option<Part<Shapes>>,
    /// How light it is.
    #[config(default = 0.5, range = "[0, 1)")]
    pub light: Option<f64>,
    /// Sizes.
    #[config(default = vec![1, 2], range = "[1, 9]")]
    sizes: Vec<i64>,
    /// Its corners.
    #[config(default = Corner::CutOff)]
    corner: Corner,
    /// Keras calls it so.
    #[config(key = "lambda", default = "none")]
    factor: String,
    /// Its name.
    #[config(skip_none)]
    name: Option<String>,
    /// Not for files.
    #[config(skip)]
    pub cache: u8,
}

fn map(value: Json) -> Map {
    value.as_object().unwrap().clone()
}

#[track_caller]
fn refuses(config: Json, path: &str, message: &str) {
    let error = Picture::from_config(&map(config)).map(|_| ()).unwrap_err();
    let Error::Config { path: found, message: text, .. } = &error else { panic!("{error}") };
    assert_eq!(found, path, "{error}");
    assert!(text.contains(message), "{error}");
}

fn written(picture: &Picture) -> Json {
    Json::Object(picture.to_config().unwrap())
}

fn square(side: f64) -> Json {
    json!({"module": "keras.shapes", "class_name": "Square", "config": {"side": side}, "registered_name": null})
}

#[test]
fn all_keys_are_written_in_order() {
    let expected = json!({
        "count": 3, "frame": square(1.0), "framed": true, "back": null, "light": 0.5, "sizes": [1, 2],
        "corner": "cut_off", "lambda": "none", "quantization_config": null,
    });
    let picture = Picture::new(3);
    assert_eq!(written(&picture).to_string(), expected.to_string());
    let read = Picture::from_config(&map(json!({"count": 3}))).unwrap();
    assert_eq!(written(&read).to_string(), expected.to_string());
    assert_eq!((read.cache, Picture::CLASS_NAME), (0, "KerasPicture"));
}

#[test]
fn builders_set_what_json_sets() {
    let built = Picture::new(2)
        .frame(Square::new().side(2.0))
        .framed(false)
        .back("square")
        .light(0.25)
        .sizes([4])
        .corner(Corner::SharpEdge)
        .factor("x")
        .name("mona");
    let config = json!({
        "name": "mona", "lambda": "x", "corner": "pointed", "sizes": [4.0], "light": 0.25,
        "back": "square", "framed": false, "frame": {"class_name": "Square", "config": {"side": 2}},
        "count": 2.0, "quantization_config": null, "version": 3,
    });
    let read = Picture::from_config(&map(config)).unwrap();
    assert_eq!(written(&built), written(&read));
    assert_eq!(written(&read)["name"], "mona");
    assert_eq!(built.frame.get().unwrap().area(), 4.0);
}

#[test]
fn null_means_what_the_field_says() {
    let read =
        Picture::from_config(&map(json!({"count": 1, "frame": null, "light": null}))).unwrap();
    assert_eq!((read.frame.class_name(), read.light), ("Square", None));
    refuses(json!({"count": 1, "framed": null}), "framed", "must be true or false, found null");
    refuses(json!({"count": null}), "count", "must be a whole number of at least 1, found null");
}

#[test]
fn errors_say_where_and_what() {
    refuses(
        json!({"count": 1, "farmed": true}),
        "farmed",
        "unknown key `farmed`. Did you mean `framed`? Known: count, frame, framed, back, light, sizes, corner, lambda, name, quantization_config, version.",
    );
    refuses(json!({}), "", "the required key `count` is missing");
    refuses(json!({"count": "x"}), "count", "must be a whole number of at least 1, found \"x\"");
    refuses(json!({"count": 0}), "count", "must be a whole number of at least 1, found 0");
    refuses(json!({"count": 1.5}), "count", "a whole number of at least 1, found 1.5");
    refuses(json!({"count": -1}), "count", "a whole number of at least 1, found -1");
    refuses(
        json!({"count": 1, "light": 1}),
        "light",
        "must be a number of at least 0 and below 1, found 1",
    );
    refuses(
        json!({"count": 1, "light": "x"}),
        "light",
        "a number of at least 0 and below 1 or null, found \"x\"",
    );
    refuses(json!({"count": 1, "sizes": 1}), "sizes", "must be a list");
    refuses(
        json!({"count": 1, "sizes": [1, "2"]}),
        "sizes[1]",
        "must be a whole number, found \"2\"",
    );
    refuses(json!({"count": 1, "sizes": [1, 10]}), "sizes", "a whole number from 1 to 9, found 10");
    refuses(
        json!({"count": 1, "corner": "rond"}),
        "corner",
        "unknown value `rond`. Did you mean `round`? Known: round, sharp, cut_off.",
    );
    refuses(
        json!({"count": 1, "corner": 3}),
        "corner",
        "must be one of \"round\", \"sharp\", \"cut_off\", found 3",
    );
    refuses(json!({"count": 1, "lambda": 3}), "lambda", "must be a string, found 3");
    refuses(
        json!({"count": 1, "frame": "sqare"}),
        "frame",
        "unknown plane shape `sqare`. Did you mean `square`?",
    );
    refuses(
        json!({"count": 1, "frame": {"class_name": "Square", "config": {"side": 0}}}),
        "frame.config.side",
        "must be a number above 0, found 0",
    );
    refuses(
        json!({"count": 1, "frame": {"class_name": "Square", "config": {"sied": 0}}}),
        "frame.config.sied",
        "Did you mean `side`?",
    );
    refuses(
        json!({"count": 1, "quantization_config": {}}),
        "quantization_config",
        "must be null, found {}",
    );
    refuses(json!({"count": 1, "version": 2}), "version", "must be 3, found 2");
}

#[test]
fn missing_keys_are_named_together() {
    #[derive(Config)]
    struct Both {
        /// One.
        one: f64,
        /// Two.
        two: bool,
    }
    let error = Both::from_config(&map(json!({}))).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "the required keys `one`, `two` are missing");
    let Both { one, two } = Both::new(1.0, false);
    assert_eq!((one, two), (1.0, false));
}

#[test]
fn ranges_hold_for_builders_too() {
    let message =
        |side: f64| Part::from(Square::new().side(side)).get().map(drop).unwrap_err().to_string();
    assert_eq!(message(0.0), "at `side`: must be a number above 0, found 0");
    assert_eq!(message(f64::NAN), "at `side`: must be a number above 0, found NaN");
    assert_eq!(message(f64::INFINITY), "at `side`: must be a number above 0, found inf");
    let picture = Picture::new(1).sizes([0]);
    assert_eq!(
        picture.check_ranges().unwrap_err().to_string(),
        "at `sizes`: must be a whole number from 1 to 9, found 0"
    );
}

/// Arguments of several configurations, each with defaults of its own.
#[test]
fn flattened_arguments_are_keys_before_the_own() {
    #[derive(Config)]
    #[config(new(name))]
    struct Shared {
        /// A name.
        name: String,
        /// A rate.
        #[config(default = 0.5, range = "[0, 1]")]
        rate: f64,
    }
    #[derive(Config)]
    #[config(new(steps))]
    struct Own {
        /// Shared arguments.
        #[config(flatten, default = Shared::new("own").rate(0.25))]
        shared: Shared,
        /// Steps.
        #[config(default = 3, range = "[1, inf)")]
        steps: usize,
    }
    let own = Own::new(4);
    assert_eq!((own.shared.name.as_str(), own.shared.rate, own.steps), ("own", 0.25, 4));
    let written = |own: &Own| Json::Object(own.to_config().unwrap()).to_string();
    assert_eq!(written(&own), r#"{"name":"own","rate":0.25,"steps":4}"#);
    let read = |config: Json| Own::from_config(&map(config));
    assert_eq!(written(&read(json!({})).unwrap()), written(&Own::default()));
    let given = read(json!({"steps": 2, "rate": 1, "name": "x"})).unwrap();
    assert_eq!(written(&given), r#"{"name":"x","rate":1.0,"steps":2}"#);
    let error = |config: Json| read(config).map(drop).unwrap_err().to_string();
    assert_eq!(error(json!({"rate": 2})), "at `rate`: must be a number from 0 to 1, found 2");
    assert_eq!(error(json!({"name": 1})), "at `name`: must be a string, found 1");
    assert_eq!(
        error(json!({"stesp": 2})),
        "at `stesp`: unknown key `stesp`. Did you mean `steps`? Known: name, rate, steps."
    );
    let outside = Own { shared: Shared::new("own").rate(-1.0), steps: 1 };
    assert!(outside.check_ranges().unwrap_err().to_string().starts_with("at `rate`: must be"));
    assert!(Own::new(0).check_ranges().is_err());
    let schema = Own::schema(&mut Definitions::new());
    let expected = json!({
        "type": "object",
        "properties": {
            "name": {"description": "A name.", "type": "string", "default": "own"},
            "rate": {"description": "A rate.", "type": "number", "minimum": 0, "maximum": 1, "default": 0.25},
            "steps": {"description": "Steps.", "type": "integer", "minimum": 1, "default": 3},
        },
        "additionalProperties": false,
    });
    assert_eq!(schema.to_string(), expected.to_string());
}

/// A number that JSON cannot write is an error with its path, where it is written.
#[test]
fn what_cannot_be_written_says_where() {
    #[derive(Config)]
    struct Free {
        /// Any number.
        #[config(default = 0.0)]
        number: f64,
        /// A shape.
        shape: Option<Part<Shapes>>,
    }
    let error = |free: &Free| free.to_config().unwrap_err().to_string();
    assert_eq!(error(&Free::new().number(f64::NAN)), "at `number`: NaN cannot be written to JSON");
    struct Own;
    impl Shape for Own {
        fn area(&self) -> f64 {
            0.0
        }
    }
    let own = Free::new()
        .shape(Part::custom("own", std::sync::Arc::new(Own) as std::sync::Arc<dyn Shape>));
    assert!(error(&own).starts_with("at `shape`: the plane shape `own` is code of your own"));
}

#[test]
fn the_schema_describes_every_key() {
    let mut definitions = Definitions::new();
    let schema = Picture::schema(&mut definitions);
    let reference = json!({"$ref": "#/$defs/plane_shape"});
    let expected = json!({
        "description": "A picture, see `Square`.",
        "type": "object",
        "properties": {
            "count": {"description": "How many; at least 1.", "type": "integer", "minimum": 1},
            "frame": {"description": "Its frame.", "anyOf": [reference, {"type": "null"}], "default": square(1.0)},
            "framed": {"description": "Whether it is framed.", "type": "boolean", "default": true},
            "back": {"description": "Something behind it.", "anyOf": [reference, {"type": "null"}], "default": null},
            "light": {"description": "How light it is.", "type": ["number", "null"], "minimum": 0, "exclusiveMaximum": 1, "default": 0.5},
            "sizes": {"description": "Sizes.", "type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9}, "default": [1, 2]},
            "corner": {"description": "Its corners.", "enum": ["round", "sharp", "pointed", "cut_off"], "default": "cut_off"},
            "lambda": {"description": "Keras calls it so.", "type": "string", "default": "none"},
            "name": {"description": "Its name.", "type": ["string", "null"], "default": null},
            "quantization_config": {"const": null},
            "version": {"const": 3},
        },
        "required": ["count"],
        "additionalProperties": false,
    });
    assert_eq!(schema.to_string(), expected.to_string());
    let definitions = Json::Object(definitions.into_map());
    assert_eq!(definitions["plane_shape"]["anyOf"][0], json!({"enum": ["Square", "square"]}));
    let object = &definitions["plane_shape"]["anyOf"][1];
    assert_eq!(object["description"], "A square. Its sides are equal.\n\nA second paragraph.");
    assert_eq!(object["properties"]["config"]["properties"]["side"]["exclusiveMinimum"], 0);
}

#[test]
fn dtype_is_float32() {
    #[derive(Config)]
    #[config(dtype)]
    struct Typed {}
    let read = |dtype: Json| Typed::from_config(&map(json!({"dtype": dtype})));
    let policy = |name: &str| json!({"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": null});
    for dtype in [json!(null), json!("float32"), policy("float32")] {
        assert!(read(dtype).unwrap().to_config().unwrap().is_empty());
    }
    for dtype in [json!("float64"), policy("float64")] {
        let error = read(dtype).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            error,
            "at `dtype`: the dtype policy `float64` is not supported yet; use `float32`"
        );
    }
}

#[test]
fn serde_goes_the_same_way() {
    #[derive(Config)]
    #[config(serde, new(size))]
    struct Both {
        /// A size.
        #[config(default = 2)]
        size: usize,
    }
    assert_eq!(serde_json::to_value(Both::new(5)).unwrap(), json!({"size": 5}));
    assert_eq!(serde_json::from_value::<Both>(json!({})).unwrap().size, Both::default().size);
    let error =
        sconce_core::json::parse::<Vec<Both>>(json!([{}, {"size": -1}])).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "at `[1].size`: must be a whole number of at least 0, found -1");
}

#[test]
fn registered_names() {
    #[derive(Config)]
    #[config(package = "my_package", name = "Other")]
    struct Own;
    assert_eq!(Own::REGISTERED_NAME, "my_package>Other");
}

/// A layer with its name, as the crate of layers has it.
struct Named<L> {
    layer: L,
    name: &'static str,
}

impl<L> Named<L> {
    fn map(self, change: impl FnOnce(L) -> L) -> Self {
        Self { layer: change(self.layer), ..self }
    }
}

#[test]
fn named_layers_have_the_builders_of_the_layer() {
    #[derive(Config)]
    #[config(named)]
    struct Dense {
        /// Units.
        units: usize,
        /// A shape.
        shape: Option<Part<Shapes>>,
        /// A bias.
        #[config(default = true)]
        use_bias: bool,
    }
    let named = Named { layer: Dense::new(4), name: "a" }.shape("square").use_bias(false);
    assert_eq!((named.layer.units, named.layer.use_bias, named.name), (4, false, "a"));
    assert_eq!(named.layer.shape.unwrap().class_name(), "Square");
}

/// A type that comes through a macro's fragment is the type itself.
macro_rules! frame {
    ($ty:ty) => {
        /// A frame.
        #[derive(Clone, Debug, Config)]
        struct Frame {
            /// Its price.
            price: $ty,
            /// Its age in years.
            #[config(default = 3, skip_default)]
            age: u8,
            /// Where its drawing is.
            #[config(default = "frame.svg")]
            file: std::path::PathBuf,
        }
    };
}
frame!(Option<i64>);

#[test]
fn defaults_are_left_out_where_that_is_asked_for() {
    let frame = Frame::new();
    assert_eq!(
        Json::Object(frame.to_config().unwrap()),
        json!({"price": null, "file": "frame.svg"})
    );
    let config = json!({"price": 2, "age": 4, "file": "a/b.svg"});
    let read = Frame::from_config(&map(config)).unwrap();
    let built = frame.price(2).age(4).file("a/b.svg");
    assert_eq!(read.to_config().unwrap(), built.to_config().unwrap());
    assert_eq!(built.to_config().unwrap()["age"], 4);
    let error = Frame::from_config(&map(json!({"age": 256}))).unwrap_err().to_string();
    assert_eq!(error, "at `age`: must be a whole number from 0 to 255, found 256");
    let schema = Frame::schema(&mut Definitions::new());
    assert_eq!(schema["properties"]["age"]["maximum"], 255);
    assert_eq!(schema["properties"]["price"]["type"], json!(["integer", "null"]));
}

/// Linux allows paths that are no text; JSON does not.
#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_cannot_be_written() {
    use std::os::unix::ffi::OsStrExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"frame\xff.svg"));
    let error = Frame::new().file(path).to_config().unwrap_err().to_string();
    assert!(error.starts_with("at `file`: the path ") && error.contains("is not text"), "{error}");
}
