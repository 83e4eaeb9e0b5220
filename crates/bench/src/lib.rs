//! What the benchmarks' programs share.

use std::process::ExitCode;

/// Runs a program with freed memory kept as by the `sconce` command; a message on stderr if it fails.
pub fn run(program: impl FnOnce() -> sconce::core::Result<()>) -> ExitCode {
    sconce_kernels::allocator::keep_freed_memory(10_000);
    match program() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
