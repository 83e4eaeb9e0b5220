//! tmp
use sconce_core::{Entry, Kind, Part};
/// table
pub struct Constraints;
impl Kind for Constraints {
    type Object = dyn sconce_core::Constraint;
    const NAME: &'static str = "constraint";
    const MODULE: &'static str = "keras.constraints";
    fn entries() -> &'static [Entry<Self>] {
        &[]
    }
}
/// part
pub type Constraint = Part<Constraints>;
