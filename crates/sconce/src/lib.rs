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
        Activation, Call, Child, Configured, Dense, Dropout, Flatten, Identity, InputLayer, Layer,
        LayerEntry, LayerExt, Rescaling, Reshape,
    };
    pub use crate::model::{Apply, Input, SymbolicTensor};
    pub use crate::train::callbacks::{CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint};
    pub use crate::train::losses::{
        BinaryCrossentropy, CategoricalCrossentropy, Huber, Loss, MeanAbsoluteError,
        MeanSquaredError, SparseCategoricalCrossentropy,
    };
    pub use crate::train::optimizers::{
        Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, LossScaleOptimizer,
        MultiOptimizer, Muon, Nadam, OptimizerExt, OptimizerMap, RMSprop, SGD, ScheduleFreeAdamW,
    };
    pub use crate::train::schedules::{
        CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay,
        PiecewiseConstantDecay, PolynomialDecay,
    };
    pub use crate::train::{
        Callback, CancelToken, Compile, Event, Fit, Flow, History, Model, Scores, Sequential,
        Verbose, batches, clip_grad_norm, value_and_grad,
    };
}
