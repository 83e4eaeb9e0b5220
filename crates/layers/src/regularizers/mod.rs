//! tmp
use sconce_core::{Entry, Kind, Part};
/// table
pub struct Regularizers;
impl Kind for Regularizers {
    type Object = dyn sconce_core::Regularizer;
    const NAME: &'static str = "regularizer";
    const MODULE: &'static str = "keras.regularizers";
    fn entries() -> &'static [Entry<Self>] {
        &[]
    }
}
/// part
pub type Regularizer = Part<Regularizers>;
