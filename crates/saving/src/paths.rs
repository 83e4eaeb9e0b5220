//! Where Keras puts each variable inside its files: the only place that knows.
//!
//! Keras walks a model's attributes. An object found as an attribute is called by the attribute, one
//! found in a list by its class, numbered within the list; its variables are `vars/0`, `vars/1`, ...
//!
//! Source: `_save_state`, `_save_container_state` and `_walk_saveable` in Keras's `saving_lib.py`.

use sconce_core::names::snake_case;
use std::collections::{HashMap, HashSet};

/// An object with variables, as the walk sees it: a model, a layer, a layer inside a layer, an
/// optimizer.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The same number wherever the same object appears. A layer that two models share is written
    /// once, where the walk meets it first.
    pub id: usize,
    /// "Dense". Layers are called by their class, not by their name.
    pub class_name: String,
    /// "dense_3", kept as the attribute `name` of the group.
    pub name: String,
    /// Its own variables in the order of their declaration, not those of its children.
    pub variables: Vec<Variable>,
    /// Objects in its attributes: "layers" of a model, "optimizer", "cell" of a recurrent layer,
    /// "forward_layer" of Bidirectional. Their order does not matter.
    pub children: Vec<(String, Child)>,
}

/// A variable of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// What the caller calls it; comes back in [`Placement::variables`].
    pub key: String,
    /// Whether it was declared trainable (freezing a layer does not count): trainable ones come first
    /// in the file.
    pub trainable: bool,
}

/// What an attribute holds.
#[derive(Clone, Debug)]
pub enum Child {
    /// One object.
    One(Saved),
    /// A list of objects.
    Many(Vec<Saved>),
}

/// Where everything goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Groups that exist even without a variable, with the attribute `name`.
    pub groups: Vec<(String, String)>,
    /// Paths of datasets, each with the key of its variable.
    pub variables: Vec<(String, String)>,
}

/// Where Keras writes, and looks for, the variables of a model.
///
/// ```
/// use sconce_saving::paths::{Child, Saved, Variable, place};
/// let dense = |id| Saved {
///     id,
///     class_name: "Dense".into(),
///     variables: vec![Variable { key: format!("kernel {id}"), trainable: true }],
///     ..Saved::default()
/// };
/// let model = Saved {
///     class_name: "Sequential".into(),
///     children: vec![("layers".into(), Child::Many(vec![dense(1), dense(2)]))],
///     ..Saved::default()
/// };
/// let expected = [
///     ("layers/dense/vars/0".into(), "kernel 1".into()),
///     ("layers/dense_1/vars/0".into(), "kernel 2".into()),
/// ];
/// assert_eq!(place(&model).variables, expected);
/// ```
pub fn place(model: &Saved) -> Placement {
    let mut walk = Walk { seen: HashSet::new(), placement: Placement::default() };
    walk.object(model, "");
    walk.placement
}

/// The group of the variables of the object at a path ("layers/dense", or "" for the model itself).
pub fn variables_of(object: &str) -> String {
    join(object, "vars")
}

struct Walk {
    seen: HashSet<usize>,
    placement: Placement,
}

impl Walk {
    fn object(&mut self, object: &Saved, path: &str) {
        if !self.seen.insert(object.id) {
            return;
        }
        let group = variables_of(path);
        let (trainable, rest): (Vec<_>, Vec<_>) =
            object.variables.iter().partition(|v| v.trainable);
        for (i, variable) in trainable.into_iter().chain(rest).enumerate() {
            self.placement.variables.push((join(&group, &i.to_string()), variable.key.clone()));
        }
        self.placement.groups.push((group, object.name.clone()));

        let mut children: Vec<_> = object.children.iter().collect();
        children.sort_by_key(|(attribute, _)| attribute_order(attribute));
        for (attribute, child) in children {
            let path = join(path, attribute);
            match child {
                Child::One(child) => self.object(child, &path),
                Child::Many(list) => self.list(listed(object, attribute, list), &path),
            }
        }
    }

    fn list(&mut self, list: &[Saved], path: &str) {
        let mut used: HashMap<String, usize> = HashMap::new();
        for object in list {
            let class = python_class(&object.class_name);
            // An object written elsewhere uses up its number here all the same.
            let count = used.entry(class.clone()).or_default();
            let name = if *count == 0 { class } else { format!("{class}_{count}") };
            *count += 1;
            self.object(object, &join(path, &name));
        }
    }
}

/// The class in snake case, as Python calls it: Keras exports one under another name.
fn python_class(class_name: &str) -> String {
    match class_name {
        "GroupQueryAttention" => "grouped_query_attention".to_string(),
        other => snake_case(other),
    }
}

/// A sequential model does not count the input layer it starts with among its layers; a functional
/// one does.
fn listed<'a>(object: &Saved, attribute: &str, list: &'a [Saved]) -> &'a [Saved] {
    match list {
        [first, rest @ ..]
            if attribute == "layers"
                && object.class_name == "Sequential"
                && first.class_name == "InputLayer" =>
        {
            rest
        }
        _ => list,
    }
}

/// A model's layers first, private attributes last, else by name.
fn attribute_order(attribute: &str) -> (bool, bool, String) {
    (attribute != "layers", attribute.starts_with('_'), attribute.to_string())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}/{name}") }
}
