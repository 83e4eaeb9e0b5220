//! What `compile` takes for each output of a model: one value for all, a list, or by output name.

use sconce_core::{Error, Result};

/// A value for each output of a model, as Keras's `compile` takes losses, loss weights and metrics.
#[derive(Clone, Debug, PartialEq)]
pub enum PerOutput<T> {
    /// One value, for every output.
    One(T),
    /// One for each output, in order; `None` for an output without.
    List(Vec<Option<T>>),
    /// By output name.
    Named(Vec<(String, Option<T>)>),
}

impl<T> PerOutput<T> {
    /// Every value that was given, with the end of its JSON path: nothing, `[1]` or `.name`.
    pub fn values(&self) -> Vec<(String, &T)> {
        match self {
            Self::One(value) => vec![(String::new(), value)],
            Self::List(list) => list
                .iter()
                .enumerate()
                .filter_map(|(i, value)| Some((format!("[{i}]"), value.as_ref()?)))
                .collect(),
            Self::Named(named) => named
                .iter()
                .filter_map(|(name, value)| Some((format!(".{name}"), value.as_ref()?)))
                .collect(),
        }
    }
}

impl<T: Clone> PerOutput<T> {
    /// The value of each of a model's outputs. `partial`: names may be missing.
    ///
    /// # Errors
    /// A list of another length, a name that is no output's, and, unless `partial`, an output without
    /// an entry: at `key`.
    pub fn resolve(&self, key: &str, outputs: &[String], partial: bool) -> Result<Vec<Option<T>>> {
        match self {
            Self::One(value) => Ok(vec![Some(value.clone()); outputs.len()]),
            Self::List(list) if list.len() == outputs.len() => Ok(list.clone()),
            Self::List(list) => Err(Error::config(
                key,
                format!(
                    "one {key} for each output is needed, found {}; the model has {} output{} ({})",
                    list.len(),
                    outputs.len(),
                    if outputs.len() == 1 { "" } else { "s" },
                    outputs.join(", ")
                ),
            )),
            Self::Named(named) => {
                // One output has no name in Keras's files but any: `{"y": "mse"}`.
                if let ([_], [(_, value)]) = (outputs, named.as_slice()) {
                    return Ok(vec![value.clone()]);
                }
                let known = || outputs.iter().map(String::as_str);
                if let Some((name, _)) = named.iter().find(|(name, _)| !outputs.contains(name)) {
                    let message = sconce_core::registry::unknown("output", name, known());
                    return Err(Error::config(format!("{key}.{name}"), message));
                }
                let value_of = |name: &String| {
                    let entry = named.iter().find(|(other, _)| other == name);
                    match entry {
                        Some((_, value)) => Ok(value.clone()),
                        None if partial => Ok(None),
                        None => Err(Error::config(
                            key,
                            format!(
                                "the output `{name}` is missing; name every output ({}), with null \
                                 for one without",
                                outputs.join(", ")
                            ),
                        )),
                    }
                };
                outputs.iter().map(value_of).collect()
            }
        }
    }
}

/// What can be given for each output: a value (`"mse"`), an array or vector of them, or an array of
/// names and values: `[("a", "mse"), ("b", "mae")]`. `M` tells the forms apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what `compile` takes for each output",
    label = "expected a name such as \"mse\", a configured loss, or a list of them",
    note = "a loss is \"mse\", `Huber::new()`, `custom_loss(\"name\", |y_true, y_pred| ..)`, or a type of your own \
            that implements `Loss`, given as `LossFn::custom(\"name\", Arc::new(loss))`",
    note = "for several outputs: an array of losses, or of (\"output\", loss)"
)]
pub trait IntoPerOutput<T, M> {
    /// The same as a [`PerOutput`].
    fn into_per_output(self) -> PerOutput<T>;
}

/// Marks one value for all outputs.
pub struct ForAll;
/// Marks a list.
pub struct InOrder;
/// Marks values by name.
pub struct ByName;
/// Marks a [`PerOutput`] itself.
pub struct AsIs;

impl<T> IntoPerOutput<T, AsIs> for PerOutput<T> {
    fn into_per_output(self) -> PerOutput<T> {
        self
    }
}

impl<T, L: Into<T>> IntoPerOutput<T, ForAll> for L {
    fn into_per_output(self) -> PerOutput<T> {
        PerOutput::One(self.into())
    }
}

impl<T, L: Into<T>, const N: usize> IntoPerOutput<T, InOrder> for [L; N] {
    fn into_per_output(self) -> PerOutput<T> {
        PerOutput::List(self.into_iter().map(|value| Some(value.into())).collect())
    }
}

impl<T, L: Into<T>> IntoPerOutput<T, InOrder> for Vec<L> {
    fn into_per_output(self) -> PerOutput<T> {
        PerOutput::List(self.into_iter().map(|value| Some(value.into())).collect())
    }
}

impl<T, L: Into<T>, const N: usize> IntoPerOutput<T, ByName> for [(&str, L); N] {
    fn into_per_output(self) -> PerOutput<T> {
        let entry = |(name, value): (&str, L)| (name.to_string(), Some(value.into()));
        PerOutput::Named(self.into_iter().map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given<M>(value: impl IntoPerOutput<f64, M>) -> PerOutput<f64> {
        value.into_per_output()
    }

    #[test]
    fn every_form_is_understood() {
        let outputs = ["a".to_string(), "b".to_string()];
        let resolved = |given: PerOutput<f64>| given.resolve("loss", &outputs, false);
        assert_eq!(resolved(given(2.0)).unwrap(), [Some(2.0), Some(2.0)]);
        assert_eq!(resolved(given([1.0, 2.0])).unwrap(), [Some(1.0), Some(2.0)]);
        assert_eq!(resolved(given([("b", 1.0), ("a", 2.0)])).unwrap(), [Some(2.0), Some(1.0)]);
        let error = resolved(given([1.0])).unwrap_err().to_string();
        assert!(error.contains("found 1; the model has 2 outputs (a, b)"), "{error}");
        let error = resolved(given([("c", 1.0), ("a", 2.0)])).unwrap_err().to_string();
        assert!(error.starts_with("at `loss.c`: unknown output `c`"), "{error}");
        let error = resolved(given([("a", 1.0)])).unwrap_err().to_string();
        assert!(error.contains("the output `b` is missing"), "{error}");
        assert_eq!(
            given([("a", 1.0)]).resolve("metrics", &outputs, true).unwrap(),
            [Some(1.0), None]
        );
        // A model with one output is given values under any name.
        let one = ["a".to_string()];
        assert_eq!(given([("y", 1.0)]).resolve("loss", &one, false).unwrap(), [Some(1.0)]);
    }

    #[test]
    fn values_are_listed_with_their_place() {
        let places = |given: PerOutput<f64>| {
            given.values().into_iter().map(|(at, value)| (at, *value)).collect::<Vec<_>>()
        };
        assert_eq!(places(given(2.0)), [(String::new(), 2.0)]);
        let list = PerOutput::List(vec![None, Some(1.0), Some(2.0)]);
        assert_eq!(places(list), [("[1]".to_string(), 1.0), ("[2]".to_string(), 2.0)]);
        assert_eq!(places(given([("b", 1.0)])), [(".b".to_string(), 1.0)]);
    }
}
