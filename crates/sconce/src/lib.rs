#![doc = include_str!("../../../README.md")]

pub use sconce_core as core;
pub use sconce_data as data;
pub use sconce_layers as layers;
pub use sconce_model as model;
pub use sconce_ops as ops;
pub use sconce_saving as saving;
pub use sconce_train as train;

/// Everything a program that trains needs.
pub mod prelude {
    pub use crate::core::{
        Arg, Args, Config, Context, CustomObjects, DType, Device, Dims, Error, Gradients, Result,
        Spec, Tensor, Value, WeightSpec,
    };
    pub use crate::layers::{
        Activation, ActivityRegularization, Add, AlphaDropout, Average, BatchNormalization, Call,
        Child, Concatenate, Configured, Cropping1D, Cropping2D, Cropping3D, Dense, Dot, Dropout,
        ELU, EinsumDense, Flatten, GaussianDropout, GaussianNoise, GroupNormalization, Identity,
        InputLayer, Layer, LayerEntry, LayerExt, LayerNormalization, LayerScale, LeakyReLU,
        Masking, Maximum, Minimum, Multiply, Normalization, PReLU, Permute, RMSNormalization, ReLU,
        RepeatVector, Rescaling, Reshape, Softmax, SpatialDropout1D, SpatialDropout2D,
        SpatialDropout3D, StochasticDepth, Subtract, UnitNormalization, UpSampling1D, UpSampling2D,
        UpSampling3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D,
    };
    pub use crate::model::{Apply, Input, SymbolicTensor};
    pub use crate::train::callbacks::{CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint};
    pub use crate::train::losses::{
        BinaryCrossentropy, CategoricalCrossentropy, Huber, Loss, MeanAbsoluteError,
        MeanSquaredError, SparseCategoricalCrossentropy,
    };
    pub use crate::train::optimizers::{Adam, AdamW, OptimizerExt, RMSprop, SGD};
    pub use crate::train::schedules::{CosineDecay, ExponentialDecay};
    pub use crate::train::{
        Callback, CancelToken, Compile, Event, Fit, Flow, History, Model, Scores, Sequential,
        Verbose, batches, clip_grad_norm, value_and_grad,
    };
}
