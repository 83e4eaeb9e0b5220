//! Whether a metric improves by falling or by rising.

/// The direction in which a value improves, for callbacks whose `mode` is `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Lower is better.
    Min,
    /// Higher is better.
    Max,
}
