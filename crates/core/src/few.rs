//! Lists that are short nearly always: the inputs and results of operations, the arguments of calls.

use smallvec::SmallVec;

/// A list that asks for no memory up to four elements.
pub type Few<T> = SmallVec<[T; 4]>;

/// What `collect::<Few<T>>` gives, in fewer instructions for a short list.
#[inline]
pub fn few<T>(items: impl IntoIterator<Item = T>) -> Few<T> {
    let mut list = Few::new();
    for item in items {
        list.push(item);
    }
    list
}

/// As [`few`], up to the first error.
#[inline]
pub fn try_few<T, E>(items: impl IntoIterator<Item = Result<T, E>>) -> Result<Few<T>, E> {
    let mut list = Few::new();
    for item in items {
        list.push(item?);
    }
    Ok(list)
}
