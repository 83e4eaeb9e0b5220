//! A pool of threads in which nobody waits for a thread that has not begun.
//!
//! Why not candle's barrier pool: its caller spins until every thread of it has come and gone. On a
//! busy machine, or in a container with fewer processors than the machine, that is a time slice a
//! call: a training step took ten times as long. Here the caller takes part, and waits only for parts
//! that others are at work on, asleep after a moment. Calls may be nested, and come from several
//! threads: the pool helps with the newest.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a thread without work looks for some before it sleeps: waking it costs about as much, and
/// the pauses between the parallel loops of a training step are shorter.
const PATIENCE: Duration = Duration::from_micros(100);

/// One call of [`Pool::run`].
struct Job {
    /// The caller's closure, which lives until the caller returns.
    part: *const (dyn Fn(usize) + Sync),
    parts: usize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
    done: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: all fields but `part` are `Send` and `Sync`; `part` points to a closure that is `Sync`, and is
// followed only in `Job::work`, which says why the closure is alive then.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Does parts until all are taken.
    fn work(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.parts {
                return;
            }
            // SAFETY: this part is taken and not done, and the caller stays in `Pool::run`, to which
            // the closure was lent, until all parts are done.
            let part = unsafe { &*self.part };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| part(index))) {
                lock(&self.panic).get_or_insert(panic);
            }
            if self.done.fetch_add(1, Ordering::AcqRel) + 1 == self.parts {
                self.caller.unpark();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.parts
    }
}

/// Where threads look for work.
#[derive(Default)]
struct Newest {
    job: Option<Arc<Job>>,
    /// Jobs so far.
    count: usize,
    sleeping: usize,
}

/// Threads that wait for parallel loops.
pub(crate) struct Pool {
    newest: Mutex<Newest>,
    /// `newest.count`, to look at without the lock.
    count: AtomicUsize,
    wake: Condvar,
    workers: usize,
}

impl Pool {
    /// The pool of this process: one thread less than there are processors for it, which start with
    /// the first loop and sleep when there is nothing to do.
    pub(crate) fn global() -> &'static Self {
        static POOL: OnceLock<&Pool> = OnceLock::new();
        POOL.get_or_init(|| Self::start(processors().saturating_sub(1)))
    }

    fn start(workers: usize) -> &'static Self {
        let pool: &Self = Box::leak(Box::new(Self {
            newest: Mutex::default(),
            count: AtomicUsize::new(0),
            wake: Condvar::new(),
            workers,
        }));
        for _ in 0..workers {
            // Without a thread the others do its work.
            let _ = thread::Builder::new().name("sconce".into()).spawn(|| pool.worker());
        }
        pool
    }

    /// Calls `part(0) .. part(parts - 1)`, on this thread and those of the pool that have time.
    pub(crate) fn run(&self, parts: usize, part: &(dyn Fn(usize) + Sync)) {
        if parts < 2 || self.workers == 0 {
            return (0..parts).for_each(part);
        }
        // SAFETY: only the lifetime is forgotten. `Job::work` uses the closure for parts that are
        // not done, and this function does not return before all are.
        let part = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync)>(
                part,
            )
        };
        let job = Arc::new(Job {
            part,
            parts,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            caller: thread::current(),
            panic: Mutex::new(None),
        });
        let mut newest = lock(&self.newest);
        newest.job = Some(job.clone());
        newest.count = newest.count.wrapping_add(1);
        self.count.store(newest.count, Ordering::Release);
        let wake = newest.sleeping.min(parts - 1);
        drop(newest);
        (0..wake).for_each(|_| self.wake.notify_one());
        job.work();
        if !wait(|| job.is_done()) {
            while !job.is_done() {
                thread::park();
            }
        }
        if let Some(panic) = lock(&job.panic).take() {
            resume_unwind(panic);
        }
    }

    fn worker(&self) {
        let mut seen = 0;
        loop {
            wait(|| self.count.load(Ordering::Acquire) != seen);
            let mut newest = lock(&self.newest);
            while newest.count == seen {
                newest.sleeping += 1;
                newest = self.wake.wait(newest).unwrap_or_else(PoisonError::into_inner);
                newest.sleeping -= 1;
            }
            seen = newest.count;
            let job = newest.job.clone();
            drop(newest);
            if let Some(job) = job {
                job.work();
            }
        }
    }
}

/// Looks for a moment whether something has come.
fn wait(come: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..32 {
            if come() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > PATIENCE {
            return false;
        }
    }
}

/// How many threads to compute on: `CANDLE_NUM_THREADS` or `RAYON_NUM_THREADS`, as for candle's own
/// loops, else the cores there are for this process (a container may have fewer than the machine).
fn processors() -> usize {
    let stated = std::env::var("CANDLE_NUM_THREADS").ok().and_then(|n| n.parse().ok());
    if let Some(stated) = stated.filter(|n| *n > 0) {
        return stated;
    }
    let cores = candle_core::utils::get_num_threads();
    match std::env::var("RAYON_NUM_THREADS") {
        Ok(_) => cores,
        Err(_) => thread::available_parallelism().map_or(cores, |n| n.get().min(cores)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool of its own, so that there are threads on any machine.
    fn pool() -> &'static Pool {
        static POOL: OnceLock<&Pool> = OnceLock::new();
        POOL.get_or_init(|| Pool::start(3))
    }

    fn counts(parts: usize) -> Vec<AtomicUsize> {
        (0..parts).map(|_| AtomicUsize::new(0)).collect()
    }

    fn all_once(counts: &[AtomicUsize]) -> bool {
        counts.iter().all(|c| c.load(Ordering::Relaxed) == 1)
    }

    #[test]
    fn every_part_is_done_once() {
        for parts in [0, 1, 2, 3, 100] {
            for _ in 0..20 {
                let done = counts(parts);
                pool().run(parts, &|part| {
                    done[part].fetch_add(1, Ordering::Relaxed);
                });
                assert!(all_once(&done), "{parts}");
            }
        }
    }

    #[test]
    fn loops_nest_and_come_from_several_threads() {
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let done = counts(4 * 5);
                    pool().run(4, &|outer| {
                        pool().run(5, &|inner| {
                            done[outer * 5 + inner].fetch_add(1, Ordering::Relaxed);
                        });
                    });
                    assert!(all_once(&done));
                });
            }
        });
    }

    #[test]
    fn a_sleeping_pool_wakes() {
        for _ in 0..3 {
            thread::sleep(3 * PATIENCE);
            let done = counts(8);
            pool().run(8, &|part| {
                thread::sleep(PATIENCE);
                done[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(all_once(&done));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_after_all_parts() {
        let done = counts(9);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool().run(9, &|part| {
                done[part].fetch_add(1, Ordering::Relaxed);
                assert_ne!(part, 4, "part four");
            });
        }));
        assert!(caught.is_err() && all_once(&done));
    }
}
