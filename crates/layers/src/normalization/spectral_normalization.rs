//! SpectralNormalization: a layer whose kernel has the spectral norm 1.

use crate::initializers::TruncatedNormal;
use crate::{Call, Child, Layer, LayerEntry};
use sconce_core::{Args, Config, Error, Result, Spec, Tensor, WeightSpec};
use sconce_ops::arithmetic::{Operator, arithmetic};
use sconce_ops::weighted_sum;
use std::sync::Arc;

/// In training, divides the kernel of a layer by an estimate of its largest singular value:
/// `y = layer(x)` with `kernel / sigma`, `sigma = v W u`, W the kernel as a matrix `[.., last axis]`.
///
/// The vectors come from power iterations, `v = W u / |W u|`, `u = W v / |W v|`, and u `[1, last axis]` goes on
/// from step to step; no gradient flows through them. The layer has a weight `kernel`, as dense layers and
/// convolutions, or `embeddings`. As in Keras on JAX, the weight itself stays what the optimizer makes it, and
/// is what `predict` uses. Miyato et al., 2018.
#[derive(Clone, Debug, Config)]
#[config(named)]
pub struct SpectralNormalization {
    /// The layer.
    pub layer: LayerEntry,
    /// Power iterations in each step.
    #[config(default = 1, range = "[1, inf)")]
    pub power_iterations: usize,
}

/// What is normalized: the first of these that the layer has.
const NAMES: [&str; 2] = ["kernel", "embeddings"];

/// A vector of length 1; zeros stay zeros.
fn unit(x: &Tensor) -> Result<Tensor> {
    let length = x.sqr()?.sum_all()?.sqrt()?.maximum(1e-7)?;
    Ok(x.broadcast_div(&length)?)
}

impl SpectralNormalization {
    /// The kernel over its spectral norm, and the next `u`. A kernel of zeros stays as it is, with its `u`.
    fn normalized(&self, kernel: &Tensor, u: &Tensor) -> Result<(Tensor, Tensor)> {
        let columns = u.dim(1)?;
        let weights = kernel.detach();
        let weights = weights.reshape((weights.elem_count() / columns.max(1), columns))?;
        let transposed = weights.t()?.contiguous()?;
        let (mut v, mut next) = (u.clone(), u.clone());
        for _ in 0..self.power_iterations {
            v = unit(&next.matmul(&transposed)?)?;
            next = unit(&v.matmul(&weights)?)?;
        }
        let is_zero = weights.abs()?.max_all()?.eq(0.0)?;
        let next = is_zero.broadcast_as(u.shape())?.where_cond(u, &next)?;
        // d sigma / d kernel, since v and u are constants.
        let slope = v.t()?.matmul(&next)?.reshape(kernel.shape())?;
        let sigma = weighted_sum(kernel, Some(&slope), 1.0)?;
        let sigma = arithmetic(Operator::Add, &sigma, &is_zero.to_dtype(kernel.dtype())?)?;
        Ok((arithmetic(Operator::Divide, kernel, &sigma)?, next))
    }

    fn no_kernel(&self) -> Error {
        let message = format!(
            "{} has no weight `kernel` or `embeddings` to normalize",
            self.layer.class_name()
        );
        Error::layer("", message)
    }
}

impl Layer for SpectralNormalization {
    fn outputs(&self, x: &Args<Spec>) -> Result<Vec<Spec>> {
        x.single("SpectralNormalization")?;
        self.layer.outputs(x)
    }

    fn weights(&self, x: &Args<Spec>) -> Result<Vec<WeightSpec>> {
        let specs = self.layer.layer().weights(x)?;
        let kernel = NAMES.iter().find_map(|name| specs.iter().find(|spec| spec.name == *name));
        let kernel = kernel.ok_or_else(|| self.no_kernel())?;
        let columns = kernel.dims.last().copied().unwrap_or_default();
        let initializer = Arc::new(TruncatedNormal::new(0.0, 0.02));
        Ok(vec![WeightSpec::new("vector_u", &[1, columns], initializer).non_trainable()])
    }

    fn children(&self) -> Vec<Child<'_>> {
        vec![Child::One("layer", &self.layer)]
    }

    fn with_children(&self, children: Vec<LayerEntry>) -> Result<Arc<dyn Layer>> {
        let layer = children.into_iter().next().unwrap_or_else(|| self.layer.clone());
        Ok(Arc::new(Self { layer, ..self.clone() }))
    }

    fn borrowed_weight(&self) -> Option<(&LayerEntry, &'static str)> {
        let has = |name: &&&'static str| self.layer.weights().iter().any(|w| w.name == **name);
        NAMES.iter().find(has).map(|name| (&self.layer, *name))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<Tensor>> {
        let x = call.args().single("SpectralNormalization")?.clone();
        let mut weights = Vec::new();
        if call.training() {
            let find = |name: &&'static str| Some((*name, call.find_weight_of(&self.layer, name)?));
            let (name, kernel) = NAMES.iter().find_map(find).ok_or_else(|| self.no_kernel())?;
            let (kernel, u) = self.normalized(&kernel, &call.state("vector_u")?)?;
            call.update("vector_u", u)?;
            weights.push((name, kernel));
        }
        let outputs = call.child_with_weights(&self.layer, Args::one(x), weights)?;
        let (outputs, masks) = outputs.into_iter().map(|value| (value.tensor, value.mask)).unzip();
        call.set_masks(masks);
        Ok(outputs)
    }

    fn makes_masks(&self) -> bool {
        self.layer.layer().makes_masks()
    }

    fn casts_integers(&self) -> bool {
        self.layer.layer().casts_integers()
    }

    fn outputs_probabilities(&self) -> Option<bool> {
        self.layer.layer().outputs_probabilities()
    }
}
