//! Layers that stand in several models of one document: Keras's `shared_object_id`.

use crate::architecture::Architecture;
use crate::graph::Graph;
use crate::graph_layer::GraphLayer;
use sconce_core::Json;
use sconce_core::json::SHARED_OBJECT_ID;
use sconce_layers::LayerEntry;
use serde_json::json;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The layers read so far that stand at several places, by their ids.
#[derive(Default)]
pub(crate) struct Shared(RefCell<HashMap<u64, LayerEntry>>);

impl Shared {
    /// The layer that was read before under the id of this one.
    pub(crate) fn find(&self, json: &Json) -> Option<LayerEntry> {
        let known = self.0.borrow().get(&id_of(json)?).cloned()?;
        let same_class = json.get("class_name").and_then(Json::as_str) == Some(known.class_name());
        same_class.then(|| {
            self.learn(&known, json);
            known
        })
    }

    pub(crate) fn remember(&self, entry: &LayerEntry, json: &Json) {
        if let Some(id) = id_of(json) {
            self.0.borrow_mut().entry(id).or_insert_with(|| entry.clone());
        }
    }

    /// The ids of the layers in a model that is known already: Keras writes them at its second place.
    fn learn(&self, known: &LayerEntry, json: &Json) {
        let Some(model) = known.downcast::<GraphLayer>() else { return };
        let listed = model.architecture().listed(model.graph().map(Arc::as_ref));
        for layer in json.pointer("/config/layers").and_then(Json::as_array).into_iter().flatten() {
            let name = layer.pointer("/config/name").and_then(Json::as_str);
            let Some(entry) = listed.iter().find(|e| e.given_name() == name) else { continue };
            self.remember(entry, layer);
            self.learn(entry, layer);
        }
    }
}

fn id_of(json: &Json) -> Option<u64> {
    json.get(SHARED_OBJECT_ID).and_then(Json::as_u64)
}

/// The ids of layers that stand at several places of a document.
pub(crate) struct SharedIds(HashMap<usize, usize>);

impl SharedIds {
    pub(crate) fn of(architecture: &Architecture, graph: Option<&Graph>) -> Self {
        let mut counts: Vec<(usize, usize)> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut open = vec![architecture.listed(graph)];
        while let Some(layers) = open.pop() {
            for entry in layers {
                let place = *places.entry(entry.id()).or_insert(counts.len());
                match counts.get_mut(place) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((entry.id(), 1)),
                }
                if let Some(model) = entry.downcast::<GraphLayer>() {
                    open.push(model.architecture().listed(model.graph().map(Arc::as_ref)));
                }
            }
        }
        let shared = counts.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id);
        Self(shared.zip(1..).collect())
    }

    pub(crate) fn mark(&self, entry: &LayerEntry, json: &mut Json) {
        if let (Some(id), Some(map)) = (self.0.get(&entry.id()), json.as_object_mut()) {
            map.insert(SHARED_OBJECT_ID.into(), json!(id));
        }
    }
}
