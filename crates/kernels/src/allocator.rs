//! Settings of mimalloc, for programs whose global allocator it is.

use std::ffi::c_long;

/// `mi_option_purge_delay` of mimalloc 3, which the bindings have no name for; a test knows its default.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Lets freed memory go back to the system after so many milliseconds instead of one second, unless the environment
/// variable `MIMALLOC_PURGE_DELAY` says otherwise: pages that come back hold zeros that somebody must write, which
/// takes 3 to 5 % of the time of a small ResNet.
pub fn keep_freed_memory(milliseconds: u16) {
    let milliseconds = c_long::from(milliseconds);
    // SAFETY: the option exists, and has no effect but on when memory is given back.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, milliseconds) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_that_of_the_purge_delay() {
        // SAFETY: reading an option has no effect.
        let get = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(get(), 1000, "another option, or another default");
            keep_freed_memory(10_000);
            assert_eq!(get(), 10_000);
        }
    }
}
