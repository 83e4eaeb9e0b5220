//! Lists that are short nearly always: the inputs and results of operations, the arguments of calls.

use smallvec::SmallVec;

/// A list that asks for no memory up to four elements.
pub type Few<T> = SmallVec<[T; 4]>;
