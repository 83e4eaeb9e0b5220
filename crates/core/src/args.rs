//! What a layer is called with: positional and named arguments, each a tensor, a list or a dict of
//! tensors, or a plain value such as `training=False`. The same form holds shapes before there are
//! values ([`Spec`]), edges of a graph, symbolic tensors and values.

use crate::{Dims, Error, Json, Result};
use candle_core::{DType, Tensor};
use std::fmt;

/// What flows along an edge of a graph, before there are values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The shape, with the batch axis.
    pub dims: Dims,
    /// The type.
    pub dtype: DType,
}

impl Spec {
    /// Of f32.
    pub fn float(dims: Dims) -> Self {
        Self { dims, dtype: DType::F32 }
    }

    /// Of the same type in another shape.
    pub fn with_dims(&self, dims: Dims) -> Self {
        Self { dims, dtype: self.dtype }
    }
}

impl From<Dims> for Spec {
    fn from(dims: Dims) -> Self {
        Self::float(dims)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dims, self.dtype.as_str())
    }
}

/// A tensor that flows along an edge, with its mask.
#[derive(Clone, Debug)]
pub struct Value {
    /// The tensor.
    pub tensor: Tensor,
    /// Which steps count, `[batch, time]`; `None`: all.
    pub mask: Option<Tensor>,
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self { tensor, mask: None }
    }
}

/// One argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg<T> {
    /// A tensor.
    One(T),
    /// A list, as merging layers take.
    List(Vec<Arg<T>>),
    /// A dict, in the order it was given.
    Dict(Vec<(String, Arg<T>)>),
    /// A plain value.
    Json(Json),
}

impl<T> Arg<T> {
    /// Calls `visit` with every tensor, in order.
    pub fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a T)) {
        match self {
            Self::One(one) => visit(one),
            Self::List(list) => list.iter().for_each(|arg| arg.each(visit)),
            Self::Dict(dict) => dict.iter().for_each(|(_, arg)| arg.each(visit)),
            Self::Json(_) => {}
        }
    }

    /// The same form with other contents.
    pub fn try_map<U>(&self, f: &mut dyn FnMut(&T) -> Result<U>) -> Result<Arg<U>> {
        Ok(match self {
            Self::One(one) => Arg::One(f(one)?),
            Self::List(list) => {
                Arg::List(list.iter().map(|arg| arg.try_map(f)).collect::<Result<_>>()?)
            }
            Self::Dict(dict) => Arg::Dict(
                dict.iter()
                    .map(|(key, arg)| Ok((key.clone(), arg.try_map(f)?)))
                    .collect::<Result<_>>()?,
            ),
            Self::Json(value) => Arg::Json(value.clone()),
        })
    }

    /// The tensor, if it is one.
    pub fn one(&self) -> Option<&T> {
        match self {
            Self::One(one) => Some(one),
            _ => None,
        }
    }

    /// The plain value, if it is one.
    pub fn json(&self) -> Option<&Json> {
        match self {
            Self::Json(value) => Some(value),
            _ => None,
        }
    }
}

/// The arguments of one call of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Args<T> {
    /// In order.
    pub positional: Vec<Arg<T>>,
    /// By name, in the order they were given.
    pub named: Vec<(String, Arg<T>)>,
}

impl<T> Default for Args<T> {
    fn default() -> Self {
        Self { positional: Vec::new(), named: Vec::new() }
    }
}

impl<T> Args<T> {
    /// No arguments.
    pub fn new() -> Self {
        Self::default()
    }

    /// One tensor.
    pub fn one(tensor: T) -> Self {
        Self::new().tensor(tensor)
    }

    /// One list of tensors, as merging layers take.
    pub fn list(tensors: impl IntoIterator<Item = T>) -> Self {
        Self::new().arg(Arg::List(tensors.into_iter().map(Arg::One).collect()))
    }

    /// With one more positional argument.
    pub fn arg(mut self, arg: Arg<T>) -> Self {
        self.positional.push(arg);
        self
    }

    /// With one more positional tensor.
    pub fn tensor(self, tensor: T) -> Self {
        self.arg(Arg::One(tensor))
    }

    /// With a named tensor: `key=k`.
    pub fn named(mut self, name: &str, tensor: T) -> Self {
        self.named.push((name.to_string(), Arg::One(tensor)));
        self
    }

    /// With a named plain value: `training=False`.
    pub fn value(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.named.push((name.to_string(), Arg::Json(value.into())));
        self
    }

    /// Every tensor, in order: positional ones first.
    pub fn flat(&self) -> Vec<&T> {
        let mut out = Vec::new();
        self.each(&mut |tensor| out.push(tensor));
        out
    }

    /// Calls `visit` with every tensor, in order.
    pub fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a T)) {
        self.positional.iter().for_each(|arg| arg.each(visit));
        self.named.iter().for_each(|(_, arg)| arg.each(visit));
    }

    /// The same arguments with other contents.
    pub fn try_map<U>(&self, mut f: impl FnMut(&T) -> Result<U>) -> Result<Args<U>> {
        let f: &mut dyn FnMut(&T) -> Result<U> = &mut f;
        Ok(Args {
            positional: self.positional.iter().map(|arg| arg.try_map(f)).collect::<Result<_>>()?,
            named: self
                .named
                .iter()
                .map(|(name, arg)| Ok((name.clone(), arg.try_map(f)?)))
                .collect::<Result<_>>()?,
        })
    }

    /// The argument at a position or, as Python takes it, under its name.
    pub fn at(&self, position: usize, name: &str) -> Option<&Arg<T>> {
        self.positional.get(position).or_else(|| self.by_name(name))
    }

    /// The argument under a name.
    pub fn by_name(&self, name: &str) -> Option<&Arg<T>> {
        self.named.iter().find(|(other, _)| other == name).map(|(_, arg)| arg)
    }

    /// A plain value by name; `None` if it was left out or is null.
    pub fn flag(&self, name: &str) -> Option<&Json> {
        self.by_name(name).and_then(Arg::json).filter(|value| !value.is_null())
    }

    /// The only tensor of a layer that takes exactly one.
    ///
    /// # Errors
    /// Says how many came.
    pub fn single(&self, class_name: &str) -> Result<&T> {
        if let ([Arg::One(one)], []) = (self.positional.as_slice(), self.named.as_slice()) {
            return Ok(one);
        }
        match self.flat().as_slice() {
            [one] => Ok(one),
            tensors => Err(Error::layer(
                "",
                format!("{class_name} takes one input, got {}", tensors.len()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_in_order_and_by_name() {
        let args = Args::new()
            .tensor(1)
            .arg(Arg::List(vec![Arg::One(2), Arg::List(vec![Arg::One(3)])]))
            .named("key", 4)
            .value("training", false);
        assert_eq!(args.flat(), [&1, &2, &3, &4]);
        assert_eq!(args.at(0, "query"), Some(&Arg::One(1)));
        assert_eq!(args.at(2, "key"), Some(&Arg::One(4)));
        assert_eq!(args.at(2, "value"), None);
        assert_eq!(args.flag("training"), Some(&Json::Bool(false)));
        let doubled = args.try_map(|x| Ok(2 * x)).unwrap();
        assert_eq!(doubled.flat(), [&2, &4, &6, &8]);
        assert_eq!(doubled.flag("training"), Some(&Json::Bool(false)));
        let error = args.single("Dense").unwrap_err().to_string();
        assert!(error.contains("Dense takes one input, got 4"), "{error}");
    }
}
