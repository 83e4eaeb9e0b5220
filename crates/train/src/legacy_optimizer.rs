//! The variables of optimizers as older versions of Keras kept them, in the order of Keras 3.
//!
//! Since Keras 2.11 slots have today's order; before, all first moments stood before all second ones. The
//! learning rate was no variable; the first of all is the number of iterations.

use crate::compiled::Compiled;
use sconce_core::{DType, Device, Error, Result, Store, Tensor};
use sconce_saving::ModelFile;

/// Gives the optimizer of a compiled model the variables of a file.
///
/// # Errors
/// If they cannot be told apart or do not fit; nothing is changed then.
pub(crate) fn restore(compiled: &mut Compiled, store: &Store, file: &ModelFile) -> Result<()> {
    let arrays = file.optimizer.iter().map(|(_, array)| array.to_tensor(&Device::Cpu));
    let values: Vec<Tensor> = arrays.collect::<Result<_>>()?;
    let state = compiled.optimizer()?;
    if file.keras_major() > 2 {
        return state.set_variables(&values);
    }
    let ours = state.variables()?;
    let weights: Vec<String> =
        store.trainable().map(|parameter| parameter.path.replace('/', "_")).collect();
    let shared = |updates| state.shared_after(updates);
    let values = reordered(&ours, &weights, values, has_todays_order(file), &shared)?;
    state.set_variables(&values)
}

/// Whether the slots have today's order: those of archives have, and in HDF5 files those of optimizers that call
/// their first variable "iteration:0" ("Adam/iter:0" and "Adam/iterations:0" are older). Older ones have one kind
/// after the other, but for Ftrl, of whose first two slots "Ftrl/hidden/kernel/linear:0" is the second.
fn has_todays_order(file: &ModelFile) -> bool {
    let name = |index: usize| file.optimizer.get(index).and_then(|(name, _)| name.as_deref());
    let weight =
        |index: usize| name(index).and_then(|name| name.rsplit_once('/')).map(|(of, _)| of);
    name(0).is_none_or(|name| name.split(':').next() == Some("iteration"))
        || weight(1).is_some() && weight(1) == weight(2)
}

fn reordered(
    ours: &[(String, Tensor)],
    weights: &[String],
    theirs: Vec<Tensor>,
    in_todays_order: bool,
    shared_after: &dyn Fn(u64) -> Vec<f64>,
) -> Result<Vec<Tensor>> {
    let unclear =
        |why: &str| Error::data(format!("the optimizer's variables are of another form: {why}"));
    let mut theirs = theirs.into_iter();
    let iterations = theirs.next().filter(|first| !first.dtype().is_float() && first.rank() == 0);
    let iterations = iterations.ok_or_else(|| unclear("the first is no number of iterations"))?;
    let theirs: Vec<Tensor> = theirs.filter(|value| value.rank() > 0).collect();
    let counts = ours.iter().take_while(|(name, _)| {
        ["iteration", "learning_rate"].iter().any(|count| name.ends_with(&format!("/{count}")))
    });
    let counts = counts.count();
    let (counted, ours) = ours.split_at(counts);
    // Files leave out the numbers that all weights share.
    let is_shared = |(_, value): &&(String, Tensor)| value.rank() == 0;
    let updates = iterations.to_dtype(DType::I64)?.to_scalar::<i64>()?;
    let mut shared = shared_after(u64::try_from(updates).unwrap_or_default()).into_iter();
    let of_weights: Vec<_> = ours.iter().filter(|variable| !is_shared(variable)).cloned().collect();
    let slots =
        slots_of(&of_weights, weights).ok_or_else(|| unclear("this optimizer keeps others"))?;
    let kinds = of_weights.len() / weights.len().max(1);
    let (needed, rest) = theirs.split_at_checked(kinds * weights.len()).ok_or_else(|| {
        unclear(&format!("there are {} of them, not {}", theirs.len(), kinds * weights.len()))
    })?;
    // SGD kept momenta that it did not use, Adam a placeholder for each weight.
    if !rest.is_empty() && kinds > 0 && rest.iter().any(|value| value.dims() != [1]) {
        return Err(unclear("there are more of them than it has"));
    }
    let mut out = vec![iterations];
    out.extend(counted.iter().skip(1).map(|(_, value)| value.clone()));
    let mut slots = slots.into_iter().enumerate();
    for variable in ours {
        let (name, now) = variable;
        if is_shared(&variable) {
            let number = shared.next().ok_or_else(|| unclear("this optimizer keeps others"))?;
            out.push(Tensor::new(number, &Device::Cpu)?.to_dtype(now.dtype())?);
            continue;
        }
        let (index, (weight, kind)) = slots.next().ok_or_else(|| unclear("one is missing"))?;
        let at = if in_todays_order { index } else { kind * weights.len() + weight };
        let value = needed.get(at).ok_or_else(|| unclear("one is missing"))?;
        if now.dims() != value.dims() {
            return Err(unclear(&format!(
                "{name} has shape {:?}, not {:?}",
                now.dims(),
                value.dims()
            )));
        }
        out.push(value.clone());
    }
    Ok(out)
}

/// Of each variable, which weight it belongs to and which of the slots of a weight it is; `None` if there are
/// others.
fn slots_of(ours: &[(String, Tensor)], weights: &[String]) -> Option<Vec<(usize, usize)>> {
    let mut kinds: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for (name, _) in ours {
        let (_, path) = name.split_once('/')?;
        let of = |(index, weight): (usize, &String)| {
            let kind = path.strip_prefix(weight.as_str())?.strip_prefix('_')?;
            Some((weight.len(), index, kind))
        };
        let (_, weight, kind) = weights.iter().enumerate().filter_map(of).max()?;
        let kind = kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
            kinds.push(kind);
            kinds.len() - 1
        });
        out.push((weight, kind));
    }
    (kinds.len() * weights.len() == ours.len()).then_some(out)
}
