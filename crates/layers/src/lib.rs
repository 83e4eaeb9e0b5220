//! Keras's layers, activations, initializers, regularizers and constraints.
//!
//! One layer is one short file: its configuration, which is Keras's, its shapes, its weights, its
//! maths, its tests, and one line in the table below.

pub mod activation_layers;
pub mod attention;
pub mod call;
mod constant_value;
pub mod constraints;
pub mod convolution;
pub mod core;
mod data_format;
pub mod entry;
mod fields;
pub mod following;
pub mod initializers;
pub mod json;
pub mod layer;
pub mod lora;
pub mod merging;
pub mod normalization;
pub mod operations;
pub mod pooling;
pub mod preprocessing;
pub mod recurrent;
#[cfg(test)]
mod registry_case;
pub mod regularization;
pub mod regularizers;
pub mod reshaping;
mod seed;
pub mod spatial;

pub use crate::activation_layers::{ELU, LeakyReLU, PReLU, ReLU, Softmax};
pub use crate::attention::{
    AdditiveAttention, Attention, GroupQueryAttention, MultiHeadAttention, ScoreMode,
};
pub use crate::convolution::{
    Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, DepthwiseConv1D,
    DepthwiseConv2D, SeparableConv1D, SeparableConv2D,
};
pub use crate::core::{
    Activation, Dense, EinsumDense, Embedding, Identity, InputLayer, Masking, ReversibleEmbedding,
};
pub use crate::merging::{
    Add, Average, Concatenate, CustomScaleLayer, Dot, Maximum, Minimum, Multiply, Subtract,
};
pub use crate::normalization::{
    BatchNormalization, GroupNormalization, LayerNormalization, LayerScale, RMSNormalization,
    SpectralNormalization, UnitNormalization,
};
pub use crate::pooling::{
    AdaptiveAveragePooling1D, AdaptiveAveragePooling2D, AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D, AveragePooling1D,
    AveragePooling2D, AveragePooling3D, GlobalAveragePooling1D, GlobalAveragePooling2D,
    GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
    MaxPooling1D, MaxPooling2D, MaxPooling3D,
};
pub use crate::preprocessing::{Normalization, Rescaling};
pub use crate::recurrent::{
    Bidirectional, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, GRU, GRUCell, LSTM, LSTMCell, MergeMode,
    RNN, SimpleRNN, SimpleRNNCell, StackedRNNCells, TimeDistributed,
};
pub use crate::regularization::{
    ActivityRegularization, AlphaDropout, Dropout, GaussianDropout, GaussianNoise,
    SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, StochasticDepth,
};
pub use crate::reshaping::{
    Cropping1D, Cropping2D, Cropping3D, Flatten, Interpolation, Permute, RepeatVector, Reshape,
    UpSampling1D, UpSampling2D, UpSampling3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D,
};
pub use crate::spatial::{Padding, Sizes};
pub use call::{Call, Scope};
pub use constant_value::ConstantValue;
pub use data_format::DataFormat;
pub use entry::{BuildOptions, LayerEntry, LayerExt, Named, Options};
pub use following::Following;
pub use layer::{Child, Configured, Layer, Layers};
pub use lora::{Filed, Lora};
pub use sconce_core::Axes;
pub use sconce_ops::activations;

use sconce_core::{Args, Context, FirstValues, Result, Spec, Tensor, Value};

/// Runs a layer by itself on tensors: builds its weights (drawn under seed 0) for their shapes unless
/// it has them.
pub fn run(layer: &LayerEntry, inputs: &[&Tensor], context: &mut Context) -> Result<Vec<Tensor>> {
    if layer.given_name().is_none() {
        layer.set_name(&sconce_core::names::snake_case(layer.class_name()));
    }
    let args = |tensor: &Tensor| {
        let mut dims = sconce_core::Dims::known(tensor.dims());
        if let Some(batch) = dims.0.first_mut() {
            *batch = None;
        }
        Spec { dims, dtype: tensor.dtype() }
    };
    let mut specs = Args::new();
    let mut values = Args::new();
    for tensor in inputs {
        specs = specs.tensor(args(tensor));
        values = values.tensor(Value::from((*tensor).clone()));
    }
    if let Some(first) = inputs.first() {
        let options = BuildOptions { device: first.device(), first: FirstValues::Seed(0) };
        layer.build(&specs, "", options)?;
    }
    let key = sconce_core::random::key_of(layer.name());
    let outputs = Scope::new(context, None).run(layer, values, key)?;
    Ok(outputs.into_iter().map(|value| value.tensor).collect())
}

sconce_core::registry! { Layers(Layer):
    InputLayer [];
    Activation [];
    ActivityRegularization [];
    Add [];
    AdditiveAttention [];
    AlphaDropout [];
    Attention [];
    Average [];
    BatchNormalization [];
    Bidirectional [];
    Concatenate [];
    Cropping1D [];
    Cropping2D [];
    Cropping3D [];
    CustomScaleLayer [];
    Dense [];
    Dot [];
    Dropout [];
    EinsumDense [];
    ELU [];
    Embedding [];
    Flatten [];
    GaussianDropout [];
    GaussianNoise [];
    GroupNormalization [];
    GroupQueryAttention [];
    GRU [];
    GRUCell [];
    Identity [];
    LayerNormalization [];
    LayerScale [];
    LeakyReLU [];
    LSTM [];
    LSTMCell [];
    Masking [];
    Maximum [];
    Minimum [];
    MultiHeadAttention [];
    Multiply [];
    Normalization [];
    Permute [];
    PReLU [];
    ReLU [];
    RepeatVector [];
    Rescaling [];
    Reshape [];
    ReversibleEmbedding [];
    RNN [];
    Conv1D ["Convolution1D"];
    Conv2D ["Convolution2D"];
    Conv3D ["Convolution3D"];
    ConvLSTM1D [];
    ConvLSTM2D [];
    ConvLSTM3D [];
    Conv1DTranspose ["Convolution1DTranspose"];
    Conv2DTranspose ["Convolution2DTranspose"];
    Conv3DTranspose ["Convolution3DTranspose"];
    DepthwiseConv1D [];
    DepthwiseConv2D [];
    SeparableConv1D ["SeparableConvolution1D"];
    SeparableConv2D ["SeparableConvolution2D"];
    MaxPooling1D ["MaxPool1D"];
    MaxPooling2D ["MaxPool2D"];
    MaxPooling3D ["MaxPool3D"];
    AveragePooling1D ["AvgPool1D"];
    AveragePooling2D ["AvgPool2D"];
    AveragePooling3D ["AvgPool3D"];
    GlobalMaxPooling1D ["GlobalMaxPool1D"];
    GlobalMaxPooling2D ["GlobalMaxPool2D"];
    GlobalMaxPooling3D ["GlobalMaxPool3D"];
    GlobalAveragePooling1D ["GlobalAvgPool1D"];
    GlobalAveragePooling2D ["GlobalAvgPool2D"];
    GlobalAveragePooling3D ["GlobalAvgPool3D"];
    AdaptiveMaxPooling1D [];
    AdaptiveMaxPooling2D [];
    AdaptiveMaxPooling3D [];
    AdaptiveAveragePooling1D [];
    AdaptiveAveragePooling2D [];
    AdaptiveAveragePooling3D [];
    RMSNormalization [];
    SimpleRNN [];
    SimpleRNNCell [];
    Softmax [];
    SpatialDropout1D [];
    SpatialDropout2D [];
    SpatialDropout3D [];
    SpectralNormalization [];
    StackedRNNCells [];
    StochasticDepth [];
    Subtract [];
    TimeDistributed [];
    UnitNormalization [];
    UpSampling1D [];
    UpSampling2D [];
    UpSampling3D [];
    ZeroPadding1D [];
    ZeroPadding2D [];
    ZeroPadding3D [];
}
