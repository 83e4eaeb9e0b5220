//! Paths inside archives, compared with those of Keras (tests/golden/saving/paths.json).
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use sconce_core::names::snake_case;
use sconce_model::layer_order::{Call, functional_order};
use sconce_saving::paths::{Child, Saved, Variable, place};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap, HashSet};

fn golden() -> Json {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/saving/paths.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text(value: &Json) -> String {
    value.as_str().unwrap().to_string()
}

fn saved(tree: &Json) -> Saved {
    let variables = tree["weights"].as_array().unwrap().iter().map(|weight| Variable {
        key: weight["number"].to_string(),
        trainable: weight["trainable"].as_bool().unwrap(),
    });
    // Declared in another order than the file's, and children in another than Keras's.
    let mut variables: Vec<Variable> = variables.collect();
    if let Some(first_state) = variables.iter().position(|v| !v.trainable) {
        variables.rotate_left(first_state);
    }
    let children = tree["children"].as_object().unwrap().iter().rev().map(|(attribute, child)| {
        let child = match child {
            Json::Array(list) => Child::Many(list.iter().map(saved).collect()),
            one => Child::One(saved(one)),
        };
        (attribute.clone(), child)
    });
    Saved {
        id: tree["id"].as_u64().unwrap() as usize,
        class_name: text(&tree["class_name"]),
        name: text(&tree["name"]),
        variables,
        children: children.collect(),
    }
}

#[test]
fn class_names_become_container_names_as_in_keras() {
    let golden = golden();
    let names = golden["snake_case"].as_object().unwrap();
    assert!(names.len() > 100);
    for (class, expected) in names {
        assert_eq!(snake_case(class), text(expected), "{class}");
    }
}

#[test]
fn trees_of_models_are_placed_as_keras_places_them() {
    for case in golden()["trees"].as_array().unwrap() {
        let placement = place(&saved(&case["tree"]));
        let groups: BTreeMap<String, String> = placement.groups.into_iter().collect();
        let expected = case["groups"].as_object().unwrap();
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(path, name)| (path.clone(), text(name))).collect();
        assert_eq!(groups, expected, "groups of the model with seed {}", case["seed"]);

        let variables: BTreeMap<String, String> = placement.variables.into_iter().collect();
        let expected = case["variables"].as_object().unwrap();
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(path, number)| (path.clone(), number.to_string())).collect();
        assert_eq!(variables, expected, "variables of the model with seed {}", case["seed"]);
    }
}

#[test]
fn layers_of_functional_models_are_ordered_as_keras_orders_them() {
    for case in golden()["orders"].as_array().unwrap() {
        let layers = case["layers"].as_array().unwrap();
        let mut index = HashMap::new();
        for value in layers {
            let count = value["calls"].as_array().unwrap().len().max(1);
            for call in 0..count {
                index.insert((text(&value["name"]), call as u64), index.len());
            }
        }
        let find = |end: &Json| index[&(text(&end[0]), end[1].as_u64().unwrap())];
        let mut calls = Vec::new();
        for (layer, value) in layers.iter().enumerate() {
            let stated = value["calls"].as_array().unwrap();
            for call in stated {
                let inputs = call.as_array().unwrap().iter().map(find).collect();
                calls.push(Call { layer, inputs });
            }
            if stated.is_empty() {
                calls.push(Call { layer, inputs: vec![] });
            }
        }
        let ends =
            |key: &str| -> Vec<usize> { case[key].as_array().unwrap().iter().map(find).collect() };
        let order = functional_order(&calls, &ends("inputs"), &ends("outputs")).unwrap();
        let order: Vec<&Json> = order.into_iter().map(|layer| &layers[layer]["name"]).collect();
        let expected: Vec<&Json> = case["order"].as_array().unwrap().iter().collect();
        assert_eq!(order, expected, "the model with seed {}", case["seed"]);
    }
}

#[test]
fn graphs_that_are_none_are_errors() {
    let cycle = [Call { layer: 0, inputs: vec![1] }, Call { layer: 1, inputs: vec![0] }];
    let error = functional_order(&cycle, &[], &[0]).unwrap_err().to_string();
    assert!(error.contains("cycle"), "{error}");
    let dangling = [Call { layer: 0, inputs: vec![7] }];
    let error = functional_order(&dangling, &[], &[0]).unwrap_err().to_string();
    assert!(error.contains("call 7"), "{error}");
}

#[test]
fn a_long_chain_does_not_exhaust_the_stack() {
    let call = |i: usize| Call { layer: i, inputs: i.checked_sub(1).into_iter().collect() };
    let chain: Vec<Call> = (0..200_000).map(call).collect();
    let order = functional_order(&chain, &[0], &[199_999]).unwrap();
    assert!(order.into_iter().eq(0..200_000));
}

fn any_tree() -> impl Strategy<Value = Saved> {
    let classes = vec!["Dense", "Dropout", "ReLU", "Conv2D", "Sequential", "InputLayer"];
    let leaf = (prop::sample::select(classes), 0..4usize).prop_map(|(class, count)| {
        let variable = |i: usize| Variable { key: i.to_string(), trainable: i.is_multiple_of(2) };
        Saved {
            class_name: class.to_string(),
            name: "n".to_string(),
            variables: (0..count).map(variable).collect(),
            ..Saved::default()
        }
    });
    leaf.prop_recursive(3, 30, 6, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..6);
        (list, inner, prop::bool::ANY).prop_map(|(list, one, sequential)| {
            let children = [("layers", Child::Many(list)), ("optimizer", Child::One(one))];
            Saved {
                class_name: if sequential { "Sequential" } else { "Functional" }.to_string(),
                children: children.map(|(attribute, child)| (attribute.to_string(), child)).into(),
                ..Saved::default()
            }
        })
    })
}

/// Gives every object an identity of its own.
fn number(tree: &mut Saved, next: &mut usize) {
    tree.id = *next;
    *next += 1;
    for (_, child) in &mut tree.children {
        match child {
            Child::One(one) => number(one, next),
            Child::Many(list) => list.iter_mut().for_each(|one| number(one, next)),
        }
    }
}

proptest! {
    #[test]
    fn no_two_variables_share_a_path(mut tree in any_tree()) {
        number(&mut tree, &mut 0);
        let placement = place(&tree);
        let paths: HashSet<&String> = placement.variables.iter().map(|(path, _)| path).collect();
        prop_assert_eq!(paths.len(), placement.variables.len());
        let groups: HashSet<&String> = placement.groups.iter().map(|(path, _)| path).collect();
        prop_assert_eq!(groups.len(), placement.groups.len());
        for path in paths {
            let (group, number) = path.rsplit_once('/').unwrap();
            prop_assert!(groups.contains(&group.to_string()));
            prop_assert!(number.parse::<usize>().is_ok());
        }
    }

    #[test]
    fn appending_a_layer_moves_no_other(mut tree in any_tree()) {
        number(&mut tree, &mut 0);
        let before = place(&tree);
        for (name, child) in &mut tree.children {
            if let (true, Child::Many(list)) = (name == "layers", child) {
                list.push(Saved { id: usize::MAX, class_name: "Dense".into(), ..Saved::default() });
            }
        }
        let after: HashSet<_> = place(&tree).variables.into_iter().collect();
        for variable in before.variables {
            prop_assert!(after.contains(&variable), "{:?}", variable);
        }
    }

    #[test]
    fn container_names_are_lower_case_words(class in "[A-Za-z0-9_]{0,20}") {
        let name = snake_case(&class);
        prop_assert!(!name.chars().any(|c| c.is_ascii_uppercase()));
        prop_assert_eq!(name.replace('_', ""), class.to_lowercase().replace('_', ""));
    }
}
