//! Where the channels of images and sequences are.

use sconce_core::ConfigValue;

/// Keras's `data_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigValue)]
pub enum DataFormat {
    /// The last axis: `[batch, height, width, channels]`.
    #[default]
    ChannelsLast,
    /// The axis after the batch axis: `[batch, channels, height, width]`.
    ChannelsFirst,
}
