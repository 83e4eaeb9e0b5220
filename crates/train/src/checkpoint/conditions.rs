//! What must be the same in a run that goes on, since it decides the numbers.

use crate::callbacks::Callback;
use crate::fit::Fit;
use crate::model::Model;
use sconce_core::json::{Map, shown};
use sconce_core::{Error, Fingerprint, Json, Result};
use sconce_data::BatchSource;
use serde_json::json;
use std::path::Path;

/// Differences that a message lists.
const LISTED: usize = 8;

/// The conditions of a run, as JSON. Parts that are code of the user's own are `null`: that they are
/// the same is for him to see to.
#[derive(Clone, Debug)]
pub(crate) struct Conditions(pub Json);

impl Conditions {
    pub fn of(
        model: &Model,
        fit: &Fit,
        source: &dyn BatchSource,
        validation: Option<&dyn BatchSource>,
        callbacks: &[Box<dyn Callback>],
    ) -> Result<Self> {
        let architecture =
            model.to_json().ok().and_then(|text| serde_json::from_str::<Json>(&text).ok());
        let compile = model.compiled.as_ref().and_then(|compiled| compiled.configured().ok());
        let validation = validation.map(|source| source.fingerprint()).transpose()?;
        let mut steering = Vec::new();
        for callback in callbacks {
            if let Some(config) = callback.steers()? {
                steering.push(json!({"class_name": callback.name(), "config": config}));
            }
        }
        let weights: Option<Map> = fit.class_weight.as_ref().map(|weights| {
            weights.iter().map(|(class, weight)| (class.to_string(), json!(weight))).collect()
        });
        Ok(Self(json!({
            "model": architecture,
            "compile": compile,
            "data": source.fingerprint()?,
            "validation": validation,
            "fit": {
                "seed": fit.seed,
                "initial_epoch": fit.initial_epoch,
                "validation_freq": fit.validation_freq,
                "class_weight": weights,
            },
            "callbacks": steering,
        })))
    }

    /// A sum of everything but the data.
    pub fn config_hash(&self) -> String {
        let mut sum = Fingerprint::new();
        let parts = self.0.as_object().into_iter().flatten();
        for (key, value) in parts.filter(|(key, _)| !["data", "validation"].contains(&key.as_str()))
        {
            sum.add(key);
            sum.add(value.to_string());
        }
        sum.finish()
    }

    /// The sum of the data trained on, if the source knows it.
    pub fn data_hash(&self) -> Option<String> {
        self.0["data"]["sha256"].as_str().map(str::to_string)
    }

    /// Refuses a checkpoint of a run under other conditions; the error names what differs.
    pub fn check(&self, of_checkpoint: &Json, path: &Path) -> Result<()> {
        let mut differences = Vec::new();
        compare("", &self.0, of_checkpoint, &mut differences);
        if differences.is_empty() {
            return Ok(());
        }
        let more = differences.len().saturating_sub(LISTED);
        differences.truncate(LISTED);
        if more > 0 {
            differences.push(format!("and {more} more"));
        }
        Err(Error::config(
            "",
            format!(
                "the checkpoint {} is of a run under other conditions, so that going on would give \
                 neither its numbers nor those of a new run: {}. Go on under its conditions, or start \
                 over without resuming",
                path.display(),
                differences.join("; ")
            ),
        ))
    }
}

/// Collects where two documents differ.
fn compare(path: &str, now: &Json, then: &Json, differences: &mut Vec<String>) {
    match (now, then) {
        (Json::Object(a), Json::Object(b)) => {
            let of_b = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(of_b) {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let (a, b) = (a.get(key), b.get(key));
                compare(&at, a.unwrap_or(&Json::Null), b.unwrap_or(&Json::Null), differences);
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{index}]"), a, b, differences);
            }
        }
        _ if now == then => {}
        // Hexadecimal digits tell nobody anything.
        _ if path.ends_with(".sha256") => {
            differences.push(format!("the {} has changed", path.trim_end_matches(".sha256")));
        }
        _ => differences.push(format!(
            "`{path}` is {}, in the checkpoint {}",
            shown(now),
            shown(then)
        )),
    }
}
