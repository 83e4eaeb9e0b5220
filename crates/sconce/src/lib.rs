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
    pub use crate::data::{ToArray, ToTensor};
    pub use crate::layers::operations::{self, Index};
    pub use crate::layers::{
        Activation, ActivityRegularization, Add, AdditiveAttention, AlphaDropout, Attention,
        Average, BatchNormalization, Call, Child, Concatenate, Configured, Cropping1D, Cropping2D,
        Cropping3D, CustomScaleLayer, Dense, Dot, Dropout, ELU, EinsumDense, Flatten,
        GaussianDropout, GaussianNoise, GroupNormalization, GroupQueryAttention, Identity,
        InputLayer, Layer, LayerEntry, LayerExt, LayerNormalization, LayerScale, LeakyReLU,
        Masking, Maximum, Minimum, MultiHeadAttention, Multiply, Normalization, PReLU, Permute,
        RMSNormalization, ReLU, RepeatVector, Rescaling, Reshape, Softmax, SpatialDropout1D,
        SpatialDropout2D, SpatialDropout3D, SpectralNormalization, StochasticDepth, Subtract,
        UnitNormalization, UpSampling1D, UpSampling2D, UpSampling3D, ZeroPadding1D, ZeroPadding2D,
        ZeroPadding3D,
    };
    pub use crate::layers::{
        AdaptiveAveragePooling1D, AdaptiveAveragePooling2D, AdaptiveAveragePooling3D,
        AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D, AveragePooling1D,
        AveragePooling2D, AveragePooling3D, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose,
        Conv3D, Conv3DTranspose, DataFormat, DepthwiseConv1D, DepthwiseConv2D,
        GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D,
        GlobalMaxPooling2D, GlobalMaxPooling3D, MaxPooling1D, MaxPooling2D, MaxPooling3D, Padding,
        SeparableConv1D, SeparableConv2D,
    };
    pub use crate::layers::{
        Bidirectional, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, Embedding, GRU, GRUCell, LSTM, LSTMCell,
        MergeMode, RNN, ReversibleEmbedding, SimpleRNN, SimpleRNNCell, StackedRNNCells,
        TimeDistributed,
    };
    pub use crate::model::{Apply, Input, SymbolicTensor};
    pub use crate::train::callbacks::{CSVLogger, EarlyStopping, LambdaCallback, ModelCheckpoint};
    pub use crate::train::checkpoint::Checkpoint;
    pub use crate::train::losses::{
        BinaryCrossentropy, CategoricalCrossentropy, Huber, Loss, LossFn, MeanAbsoluteError,
        MeanSquaredError, SparseCategoricalCrossentropy, custom_loss,
    };
    pub use crate::train::metrics::{Metric, MetricFn, custom_metric, loss_metric};
    pub use crate::train::optimizers::{
        Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, LossScaleOptimizer,
        MultiOptimizer, Muon, Nadam, OptimizerExt, OptimizerMap, RMSprop, SGD, ScheduleFreeAdamW,
    };
    pub use crate::train::schedules::{
        CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay,
        PiecewiseConstantDecay, PolynomialDecay,
    };
    pub use crate::train::{
        Callback, CancelToken, Compile, Event, Fit, Flow, History, LoadOptions, Model, Scores,
        Sequential, Verbose, batches, clip_grad_norm, value_and_grad,
    };
}

/// The code of the guide in `docs/`, as tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../../../docs/from-keras.md")]
    struct FromKeras;
    #[doc = include_str!("../../../docs/checkpoints.md")]
    struct Checkpoints;
    #[doc = include_str!("../../../docs/reports.md")]
    struct Reports;
    #[doc = include_str!("../../../docs/long-runs.md")]
    struct LongRuns;
    #[doc = include_str!("../../../docs/own-objects.md")]
    struct OwnObjects;
    #[doc = include_str!("../../../docs/serving.md")]
    struct Serving;
    #[doc = include_str!("../../../docs/old-models.md")]
    struct OldModels;
    #[doc = include_str!("../../../docs/files.md")]
    struct Files;
    #[doc = include_str!("../../../docs/speed.md")]
    struct Speed;
    #[doc = include_str!("../../../docs/errors.md")]
    struct Errors;
}
