//! The CPU pool: runs the engine's jobs beside the engine's thread and brings the results back.
//!
//! Signing rounds go first; making pair state (slow, rare) uses what is left and never every thread at once, so that
//! a new peer does not stall signatures. Jobs are bounded by the engine's own limits on sessions and ceremonies.
//!
//! # Security
//! A job owns nonces: it is moved into its thread, used once and dropped there.

use crate::entropy::OsEntropy;
use crate::runner::{Handle, Input};
use engine::{Job, JobId, JobOutput};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A job with its name and the engine's run it belongs to.
type Task = (u64, JobId, Job);

#[derive(Default)]
struct Queues {
    first: VecDeque<Task>,
    background: VecDeque<Task>,
    background_running: usize,
    closed: bool,
}

struct Pool {
    queues: Mutex<Queues>,
    wake: Condvar,
    background_max: usize,
}

/// The pool's handle.
pub struct Compute {
    pool: Arc<Pool>,
    threads: Vec<JoinHandle<()>>,
}

impl core::fmt::Debug for Compute {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Compute({} threads)", self.threads.len())
    }
}

impl Compute {
    /// Starts `threads` threads (at least one); results go to `handle`.
    pub fn start(threads: usize, handle: &Handle) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let pool = Arc::new(Pool {
            queues: Mutex::default(),
            wake: Condvar::new(),
            background_max: threads.saturating_sub(1).max(1),
        });
        let threads = (0..threads)
            .map(|number| {
                let (pool, handle) = (Arc::clone(&pool), handle.clone());
                let name = format!("compute-{number}");
                std::thread::Builder::new().name(name).spawn(move || work(&pool, &handle))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { pool, threads })
    }

    /// Hands a job over.
    pub fn run(&self, generation: u64, id: JobId, job: Job) {
        let mut queues = self.pool.lock();
        let queue = if job.is_background() { &mut queues.background } else { &mut queues.first };
        queue.push_back((generation, id, job));
        drop(queues);
        self.pool.wake.notify_one();
    }

    /// Jobs that wait for a thread.
    pub fn depth(&self) -> usize {
        let queues = self.pool.lock();
        queues.first.len().saturating_add(queues.background.len())
    }

    /// Forgets jobs that nobody waits for any more: their engine is gone.
    pub fn forget(&self) {
        let mut queues = self.pool.lock();
        queues.first.clear();
        queues.background.clear();
    }
}

impl Drop for Compute {
    fn drop(&mut self) {
        self.pool.lock().closed = true;
        self.pool.wake.notify_all();
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job and whether it is a background job; none when the pool closes.
    fn next(&self) -> Option<(Task, bool)> {
        let mut queues = self.lock();
        loop {
            if queues.closed {
                queues.first.clear();
                queues.background.clear();
                return None;
            }
            if let Some(task) = queues.first.pop_front() {
                return Some((task, false));
            }
            if queues.background_running < self.background_max
                && let Some(task) = queues.background.pop_front()
            {
                queues.background_running = queues.background_running.saturating_add(1);
                return Some((task, true));
            }
            queues = self.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn background_done(&self) {
        let mut queues = self.lock();
        queues.background_running = queues.background_running.saturating_sub(1);
        drop(queues);
        self.wake.notify_one();
    }
}

fn work(pool: &Pool, handle: &Handle) {
    while let Some(((generation, id, job), background)) = pool.next() {
        // A panic never costs the thread. The engine hears of it and stops every pair that the job used.
        let output = catch_unwind(AssertUnwindSafe(|| job.run(&mut OsEntropy)));
        let output = output.unwrap_or_else(|_| {
            tracing::error!(job = id.0, code = "job_panicked", "a job panicked");
            JobOutput::Lost
        });
        handle.bring(Input::Computed { generation, id, output });
        if background {
            pool.background_done();
        }
    }
}
