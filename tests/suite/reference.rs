//! docs/reference.md is what the registries say: `SCONCE_WRITE_DOCS=1 cargo test --test suite reference`
//! writes it anew.

use sconce::core::Kind;
use sconce::core::schema::reference;
use sconce::layers::Layers;
use sconce::layers::constraints::Constraints;
use sconce::layers::initializers::Initializers;
use sconce::layers::regularizers::Regularizers;
use sconce::ops::activations::Activations;
use sconce::train::callbacks::Callbacks;
use sconce::train::losses::Losses;
use sconce::train::metrics::Metrics;
use sconce::train::optimizers::Optimizers;
use sconce::train::schedules::Schedules;

const INTRODUCTION: &str = "# Reference

Made from the registries by `SCONCE_WRITE_DOCS=1 cargo test --test suite reference`; do not edit. Each object is known by each
of its names, in Rust (`\"he_normal\".into()`) and in JSON; arguments are the keys of its `config` and the builder methods of
its struct. The API documentation has the formulas.
";

fn section<K: Kind>(title: &str) -> String {
    format!("\n## {title}\n\n{}", reference::<K>())
}

#[test]
fn the_reference_is_up_to_date() {
    let expected = [
        INTRODUCTION.to_string(),
        section::<Layers>("Layers"),
        section::<Activations>("Activations"),
        section::<Initializers>("Initializers"),
        section::<Regularizers>("Regularizers"),
        section::<Constraints>("Constraints"),
        section::<Losses>("Losses"),
        section::<Metrics>("Metrics"),
        section::<Callbacks>("Callbacks"),
        section::<Optimizers>("Optimizers"),
        section::<Schedules>("Schedules"),
    ]
    .concat();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");
    if std::env::var_os("SCONCE_WRITE_DOCS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/reference.md is out of date: run `SCONCE_WRITE_DOCS=1 cargo test --test suite reference`"
    );
}
