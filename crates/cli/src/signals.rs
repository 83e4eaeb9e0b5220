//! Ctrl-C and SIGTERM while a model trains: the first ends the run after the step at hand, so that the
//! model and the history are saved; a second one ends the process at once.

use sconce::train::CancelToken;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The signals that came while a run was watched.
pub struct Signals {
    received: Arc<AtomicUsize>,
}

impl Signals {
    /// Cancels a run when a signal comes. Until then signals end the process, as they always do.
    pub fn watch(token: &CancelToken) -> io::Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM] {
            // Actions run in this order, so the flag is not set yet when the first signal comes.
            flag::register_conditional_shutdown(signal, code(signal), token.flag())?;
            flag::register_usize(signal, received.clone(), signal as usize)?;
            flag::register(signal, token.flag())?;
        }
        Ok(Self { received })
    }

    /// The exit code of a process that a signal ended: 128 and its number.
    pub fn exit_code(&self) -> u8 {
        let signal = self.received.load(Ordering::Relaxed);
        u8::try_from(128 + signal).unwrap_or(u8::MAX)
    }
}

fn code(signal: i32) -> i32 {
    128 + signal
}
