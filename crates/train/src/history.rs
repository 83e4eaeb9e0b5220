//! What a run leaves behind: logs in order, and the history of all epochs.

use serde::{Deserialize, Serialize};
use serde_json::Map;

/// Named values in the order they were reported: loss, metrics, then `val_` ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logs(pub Vec<(String, f64)>);

impl Logs {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| *value)
    }

    /// Sets or adds a value.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_string(), value)),
        }
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// What `evaluate` returns: the loss and the metrics, by name.
pub type Scores = Logs;

impl std::fmt::Display for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> =
            self.0.iter().map(|(n, v)| format!("{n}: {}", short(*v))).collect();
        write!(f, "{}", parts.join(" - "))
    }
}

/// A value as Keras's progress bar prints it: four decimals, or scientific when tiny.
pub fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:.4e}") } else { format!("{value:.4}") }
}

/// The values of every epoch, as Keras's `History`. Written to JSON as
/// `{"history": {"loss": [..]}, "epoch": [..]}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// For each name, a value an epoch.
    pub history: Map<String, serde_json::Value>,
    /// The number of each epoch, from 0.
    pub epoch: Vec<usize>,
}

impl History {
    /// Adds the logs of an epoch.
    pub fn push(&mut self, epoch: usize, logs: &Logs) {
        self.epoch.push(epoch);
        for (name, value) in &logs.0 {
            let series =
                self.history.entry(name.clone()).or_insert_with(|| Vec::<f64>::new().into());
            if let Some(series) = series.as_array_mut() {
                series.push(serde_json::json!(value));
            }
        }
    }

    /// The values of a name, an epoch each; empty if it was never logged.
    pub fn get(&self, name: &str) -> Vec<f64> {
        let series = self.history.get(name).and_then(serde_json::Value::as_array);
        series
            .map(|s| s.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect())
            .unwrap_or_default()
    }

    /// The last value of a name.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.get(name).last().copied()
    }
}
