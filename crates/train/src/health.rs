//! What a look at the targets before a run can tell: classes that nothing is learned or said about.

use crate::model::Model;
use sconce_core::{DType, Result, Tensor};
use sconce_data::Batch;
use std::collections::BTreeSet;

/// Classes that a message lists.
const LISTED: usize = 8;

/// Adds a notice for each output whose training targets lack some of its classes, and for validation
/// targets that lack some of those trained on. Each is said once.
pub(crate) fn tell_of_unseen_classes(
    model: &mut Model,
    train: &Batch,
    validation: Option<&Batch>,
) -> Result<()> {
    let parts = model.parts()?;
    let outputs = parts.network.graph().output_dims();
    let mut notices = Vec::new();
    for (index, head) in parts.compiled.heads().iter().enumerate() {
        let sparse = head.loss().is_some_and(|l| l.class_name() == "SparseCategoricalCrossentropy");
        let classes = outputs.get(index).and_then(|dims| dims.0.last().copied().flatten());
        let (true, Some(classes)) = (sparse, classes) else { continue };
        let target = |batch: &Batch| -> Result<Option<BTreeSet<i64>>> {
            let place = parts.compiled.target_of(index, batch.y.len());
            place.and_then(|place| batch.y.get(place)).map(labels).transpose()
        };
        let Some(seen) = target(train)? else { continue };
        let of = if outputs.len() > 1 { format!(" of `{}`", head.name()) } else { String::new() };
        let missing: Vec<i64> = (0..classes as i64).filter(|c| !seen.contains(c)).collect();
        if !missing.is_empty() {
            notices.push(format!(
                "the training targets{of} hold none of {}, of {classes} classes; the model cannot learn \
                 {them}. Give it samples of {them}, or fewer units",
                listed(&missing),
                them = if missing.len() == 1 { "it" } else { "them" },
            ));
        }
        let Some(validated) = validation.map(target).transpose()?.flatten() else { continue };
        let missing: Vec<i64> = seen.difference(&validated).copied().collect();
        if !missing.is_empty() {
            notices.push(format!(
                "the validation targets{of} hold none of {}, which the training targets hold, so that no \
                 score speaks of {}. `validation_split` takes the last rows as they lie: shuffle them \
                 first",
                listed(&missing),
                if missing.len() == 1 { "it" } else { "them" },
            ));
        }
    }
    for notice in notices {
        if !parts.compiled.notices().contains(&notice) {
            parts.compiled.add_notice(notice);
        }
    }
    Ok(())
}

fn labels(y: &Tensor) -> Result<BTreeSet<i64>> {
    let labels = y.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
    Ok(labels.into_iter().collect())
}

/// "the class 3", "the classes 1, 2 and 7 more".
fn listed(classes: &[i64]) -> String {
    let names: Vec<String> = classes.iter().take(LISTED).map(i64::to_string).collect();
    let more = match classes.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let word = if classes.len() == 1 { "class" } else { "classes" };
    format!("the {word} {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::{Fit, Sequential, Verbose};
    use sconce_core::{Device, Tensor};
    use sconce_layers::Dense;

    #[test]
    fn classes_that_are_never_seen_are_told_of_once() {
        let mut model = Sequential::new().add(Dense::new(5).activation("softmax"));
        model.compile("sgd", "sparse_categorical_crossentropy").unwrap();
        let x = Tensor::zeros((8, 2), sconce_core::DType::F32, &Device::Cpu).unwrap();
        let y = Tensor::new(&[0i64, 1, 2, 1, 0, 2, 1, 1], &Device::Cpu).unwrap();
        for _ in 0..2 {
            let fit = Fit::new(1, 4).validation_split(0.25).verbose(Verbose::Silent);
            model.fit_with(&x, &y, fit).unwrap();
        }
        let [training, validation] = model.compiled().unwrap().notices() else {
            panic!("{:?}", model.compiled().unwrap().notices())
        };
        assert!(training.contains("hold none of the classes 3, 4, of 5 classes"), "{training}");
        assert!(validation.contains("hold none of the classes 0, 2, which the training"));
    }
}
