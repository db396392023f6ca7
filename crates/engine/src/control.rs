//! Threads, progress and cancellation of one call.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
#[cfg(not(target_family = "wasm"))]
use std::{collections::HashMap, sync::Arc};

#[cfg(not(target_family = "wasm"))]
use rayon::ThreadPool;

use crate::error::{Error, Result};

/// Shared between the call and whoever watches it. Counters only inform, so relaxed order is enough.
#[derive(Debug)]
pub struct Control {
    threads: usize,
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
    instruction_times: Mutex<Vec<f64>>,
}

/// More threads than this are a mistake, not a machine.
const MAX_THREADS: usize = 1024;

impl Control {
    /// A control for a call on `threads` threads; 0 means all cores.
    pub fn new(threads: usize) -> Self {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given.min(MAX_THREADS),
        };
        Self {
            threads,
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            instruction_times: Mutex::default(),
        }
    }

    /// Threads that the call may use.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Work units finished.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Work units of the call; 0 before it starts.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Makes the call fail soon.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Nanoseconds of each instruction that a run has finished.
    pub fn instruction_nanoseconds(&self) -> Vec<f64> {
        self.instruction_times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn record_instruction(&self, time: Duration) {
        let mut times = self.instruction_times.lock().unwrap_or_else(PoisonError::into_inner);
        times.push(time.as_nanos() as f64);
    }

    pub(crate) fn start(&self, total: usize) {
        self.instruction_times.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total as u64, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, units: usize) {
        self.done.fetch_add(units as u64, Ordering::Relaxed);
    }

    pub(crate) fn check(&self, place: &'static str) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled { place });
        }
        Ok(())
    }

    /// Runs `work` on a pool of the call's size. Pools are kept: starting threads is slow and a
    /// server makes the same call again.
    pub(crate) fn install<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        #[cfg(not(target_family = "wasm"))]
        return pool(self.threads)?.install(work);
        // No threads there; rayon's own pool then works on the caller's.
        #[cfg(target_family = "wasm")]
        work()
    }
}

#[cfg(not(target_family = "wasm"))]
fn pool(threads: usize) -> Result<Arc<ThreadPool>> {
    static POOLS: Mutex<Option<HashMap<usize, Arc<ThreadPool>>>> = Mutex::new(None);
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let pools = pools.get_or_insert_default();
    if let Some(pool) = pools.get(&threads) {
        return Ok(Arc::clone(pool));
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("sotto-{index}"))
        .build()
        .map_err(|error| Error::argument("threads", format!("cannot start threads: {error}")))?;
    let pool = Arc::new(pool);
    pools.insert(threads, Arc::clone(&pool));
    Ok(pool)
}
