//! MultiOptimizer: different optimizers for different weights.

use super::common::only_name;
use super::{Common, Optimizer, Slot, Step, Target, UpdateRule, WeightInfo};
use regex::Regex;
use sconce_core::json::{Map, only_keys};
use sconce_core::schema::Definitions;
use sconce_core::value::mismatch;
use sconce_core::{Config, ConfigValue, Error, Json, Result};
use serde_json::json;

/// Has each weight updated by the optimizer that its path has in `optimizer_map`, each with a learning rate and a
/// state of its own.
///
/// ```
/// # use sconce_optimizers::{Adam, MultiOptimizer, OptimizerMap, SGD};
/// let optimizer = MultiOptimizer::new(OptimizerMap::new(Adam::new(0.001)).with("encoder/.*", SGD::new(0.01)));
/// ```
///
/// Clipping by a global norm is over the weights of one optimizer. `loss_scale_factor` takes the place of those of the
/// optimizers inside. Keras: `MultiOptimizer`.
#[derive(Clone, Debug, Config)]
pub struct MultiOptimizer {
    /// Which optimizer updates which weight.
    pub optimizer_map: OptimizerMap,
    /// The loss is multiplied by it before the backward pass, gradients are divided by it.
    #[config(range = "(0, inf)")]
    pub loss_scale_factor: Option<f64>,
    /// Its name; what else optimizers share is said to those inside.
    #[config(key = "name", with = only_name, default = Common::new("multi_optimizer", 0.0), no_builder)]
    pub common: Common,
}

impl MultiOptimizer {
    /// Sets the name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.common.name = Some(name.into());
        self
    }
}

/// Optimizers by the path of a weight: exactly, or by a regular expression that matches the whole path.
#[derive(Clone, Debug, Config)]
pub struct OptimizerMap {
    /// For weights that nothing else matches.
    pub default_optimizer: Optimizer,
    /// Paths or patterns, and their optimizers.
    #[config(with = patterns, default, no_builder)]
    pub optimizer_map: Vec<(String, Optimizer)>,
}

impl OptimizerMap {
    /// Adds an optimizer for a path ("dense/kernel") or pattern ("encoder/.*").
    pub fn with(mut self, pattern: impl Into<String>, optimizer: impl Into<Optimizer>) -> Self {
        self.optimizer_map.push((pattern.into(), optimizer.into()));
        self
    }

    fn optimizers(&self) -> impl Iterator<Item = &Optimizer> {
        self.optimizer_map.iter().map(|(_, optimizer)| optimizer).chain([&self.default_optimizer])
    }

    /// The position in [`OptimizerMap::optimizers`] of the one for a path.
    fn find(&self, path: &str) -> Result<usize> {
        if let Some(exact) = self.optimizer_map.iter().position(|(pattern, _)| pattern == path) {
            return Ok(exact);
        }
        let matches = |pattern: &str| whole(pattern).is_ok_and(|pattern| pattern.is_match(path));
        let mut found = Vec::new();
        for (i, (pattern, _)) in self.optimizer_map.iter().enumerate() {
            if matches(pattern) {
                found.push((i, pattern.as_str()));
            }
        }
        match found.as_slice() {
            [] => Ok(self.optimizer_map.len()),
            [(i, _)] => Ok(*i),
            [(_, first), (_, second), ..] => Err(Error::training(format!(
                "the weight {path} is matched by the patterns `{first}` and `{second}` of the optimizer map; \
                 one may match it"
            ))),
        }
    }

    fn check(&self) -> Result<()> {
        let inner = |optimizer: &Optimizer| match optimizer.get()?.inner().as_slice() {
            [] => Ok(()),
            _ => {
                let name = optimizer.class_name();
                Err(Error::config("", format!("a MultiOptimizer cannot hold a {name}")))
            }
        };
        inner(&self.default_optimizer).map_err(|e| e.under("default_optimizer"))?;
        for (i, (pattern, optimizer)) in self.optimizer_map.iter().enumerate() {
            let under = |error: Error| error.under(pattern).under("optimizer_map");
            if self.optimizer_map.iter().take(i).any(|(other, _)| other == pattern) {
                return Err(under(Error::config("", "this pattern is there twice")));
            }
            whole(pattern).map_err(|e| under(Error::config("", e.to_string())))?;
            inner(optimizer).map_err(under)?;
        }
        Ok(())
    }
}

/// A pattern that matches whole paths only.
fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

/// Keras's JSON of the map: an object with `class_name`.
impl ConfigValue for OptimizerMap {
    fn from_json(value: &Json) -> Result<Self> {
        if let Json::Object(map) = value {
            only_keys(map, &["module", "class_name", "config", "registered_name"])?;
        }
        match (value["class_name"].as_str(), &value["config"]) {
            (Some("OptimizerMap"), Json::Object(config)) => {
                Self::from_config(config).map_err(|e| e.under("config"))
            }
            _ => Err(mismatch("an object with the class_name \"OptimizerMap\"", value)),
        }
    }

    fn to_json(&self) -> Result<Json> {
        let config = self.to_config().map_err(|e| e.under("config"))?;
        Ok(json!({
            "module": "keras.optimizers", "class_name": "OptimizerMap", "config": config,
            "registered_name": null,
        }))
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({
            "type": "object",
            "required": ["class_name", "config"],
            "additionalProperties": false,
            "properties": {
                "module": {}, "class_name": {"const": "OptimizerMap"},
                "config": <Self as Config>::schema(definitions), "registered_name": {},
            },
        })
    }
}

/// An object of patterns.
mod patterns {
    use super::{ConfigValue, Definitions, Error, Json, Map, Optimizer, Result, json, mismatch};

    pub fn from_json(value: &Json) -> Result<Vec<(String, Optimizer)>> {
        let map = value.as_object().ok_or_else(|| mismatch("an object", value))?;
        let one = |(pattern, value): (&String, &Json)| {
            let optimizer = Optimizer::from_json(value).map_err(|e: Error| e.under(pattern))?;
            Ok((pattern.clone(), optimizer))
        };
        map.iter().map(one).collect()
    }

    pub fn to_json(map: &[(String, Optimizer)]) -> Result<Json> {
        let one = |(pattern, optimizer): &(String, Optimizer)| {
            Ok((pattern.clone(), optimizer.to_json().map_err(|e| e.under(pattern))?))
        };
        map.iter().map(one).collect::<Result<Map>>().map(Json::Object)
    }

    pub fn schema(definitions: &mut Definitions) -> Json {
        json!({"type": "object", "additionalProperties": Optimizer::schema(definitions)})
    }
}

impl UpdateRule for MultiOptimizer {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result<()> {
        self.optimizer_map.check().map_err(|e| e.under("optimizer_map.config"))
    }

    fn slots(&self, _: &WeightInfo<'_>) -> Vec<Slot> {
        Vec::new()
    }

    fn update(&self, _: &Step<'_>, _: &Target<'_>) -> Result<()> {
        Ok(())
    }

    fn loss_scale_factor(&self) -> Option<f64> {
        self.loss_scale_factor
    }

    fn inner(&self) -> Vec<&Optimizer> {
        self.optimizer_map.optimizers().collect()
    }

    fn inner_of(&self, path: &str) -> Result<usize> {
        self.optimizer_map.find(path)
    }

    fn write_inner(&self, config: &mut Json, mut inner: Vec<Json>) {
        let config = &mut config["optimizer_map"]["config"];
        if let Some(default) = inner.pop() {
            config["default_optimizer"] = default;
        }
        for ((pattern, _), json) in self.optimizer_map.optimizer_map.iter().zip(inner) {
            config["optimizer_map"][pattern] = json;
        }
    }
}
