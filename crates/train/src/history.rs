//! What a run leaves behind: logs in order, and the history of all epochs.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

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
/// `{"history": {"loss": [..]}, "epoch": [..]}`; a value that is not finite is `null` there, since JSON
/// has no word for it, and NaN when it is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// For each name, the value of each epoch that logged it.
    #[serde(deserialize_with = "series")]
    pub history: IndexMap<String, Vec<f64>>,
    /// The number of each epoch, from 0.
    pub epoch: Vec<usize>,
}

impl History {
    /// Adds the logs of an epoch.
    pub fn push(&mut self, epoch: usize, logs: &Logs) {
        self.epoch.push(epoch);
        for (name, value) in &logs.0 {
            self.history.entry(name.clone()).or_default().push(*value);
        }
    }

    /// The values of a name, an epoch each; empty if it was never logged.
    pub fn get(&self, name: &str) -> Vec<f64> {
        self.history.get(name).cloned().unwrap_or_default()
    }

    /// The last value of a name.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.history.get(name)?.last().copied()
    }
}

fn series<'de, D: Deserializer<'de>>(from: D) -> Result<IndexMap<String, Vec<f64>>, D::Error> {
    let read = IndexMap::<String, Vec<Option<f64>>>::deserialize(from)?;
    let values = |values: Vec<Option<f64>>| values.into_iter().map(|v| v.unwrap_or(f64::NAN));
    Ok(read.into_iter().map(|(name, series)| (name, values(series).collect())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_finite_are_kept_and_null_in_json() {
        let mut history = History::default();
        history.push(0, &Logs(vec![("loss".into(), 0.5), ("val_loss".into(), f64::INFINITY)]));
        history.push(1, &Logs(vec![("loss".into(), 0.25), ("val_loss".into(), 1.0)]));
        assert_eq!(history.get("val_loss"), [f64::INFINITY, 1.0]);
        let text = serde_json::to_string(&history).unwrap();
        let expected = r#"{"history":{"loss":[0.5,0.25],"val_loss":[null,1.0]},"epoch":[0,1]}"#;
        assert_eq!(text, expected);
        let read: History = serde_json::from_str(&text).unwrap();
        assert!(read.get("val_loss")[0].is_nan());
        assert_eq!((read.last("val_loss"), read.epoch), (Some(1.0), vec![0, 1]));
    }
}
