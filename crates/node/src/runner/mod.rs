//! The bridge between threads that wait (API, links, chain nodes) and the one thread that owns the engine.
//!
//! Invariants: one bounded queue in front of the engine; the API's share of it is smaller than the whole, so callers
//! are shed (`overloaded`) before links or results are; every command gets exactly one answer.
//! Absent on purpose: decisions. They stand in `engine`.

mod turn;
pub mod watch;

pub use turn::{Outside, Runner, RunnerError, Seed};

use engine::{Caller, Class, Command, Event, JobId, JobOutput, Problem, Reply, Status, refuse};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::oneshot;

/// Inputs that wait for the engine at most.
pub const QUEUE_MAX: usize = 8192;
/// Commands that are asked and not yet answered at most.
pub const COMMANDS_MAX: usize = 2048;

/// Pause before a full queue is tried again.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(1);

/// The answer's way back.
pub type Answer = oneshot::Sender<Result<Reply, Problem>>;

/// What the runner's thread takes in.
#[derive(Debug)]
pub enum Input {
    /// For the engine.
    Event(Event),
    /// Result of a job of the engine's run `generation`.
    Computed {
        /// Counts engines of this process: a result for an engine that is gone is dropped.
        generation: u64,
        /// Which job.
        id: JobId,
        /// Its result.
        output: JobOutput,
    },
    /// From the API.
    Command {
        /// Who asks.
        caller: Caller,
        /// What.
        command: Box<Command>,
        /// Where the answer goes, with its place among [`COMMANDS_MAX`].
        answer: Answer,
        /// Given back when the command is answered.
        place: Place,
    },
    /// Write a row, so that readiness rests on a real write.
    ProbeStore(oneshot::Sender<Result<(), String>>),
    /// Drop the engine and leave.
    Stop,
}

/// One command's place; given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.commands.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug)]
struct Shared {
    depth: AtomicUsize,
    commands: AtomicUsize,
    status: RwLock<Option<Status>>,
}

/// The way in for everybody: cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    queue: SyncSender<Input>,
    shared: Arc<Shared>,
}

/// The runner's end of the queue.
#[derive(Debug)]
pub struct Inbox {
    queue: Receiver<Input>,
    shared: Arc<Shared>,
}

/// Makes both ends.
pub fn channel() -> (Handle, Inbox) {
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    let shared = Arc::new(Shared {
        depth: AtomicUsize::new(0),
        commands: AtomicUsize::new(0),
        status: RwLock::new(None),
    });
    (Handle { queue: sender, shared: Arc::clone(&shared) }, Inbox { queue: receiver, shared })
}

/// The refusal at the door.
pub fn overloaded() -> Problem {
    refuse(Class::Overloaded, "overloaded", "the node has too many requests waiting")
        .hint("try again after a second")
}

fn stopping() -> Problem {
    refuse(Class::Unavailable, "stopping", "the node is stopping")
}

impl Handle {
    /// Asks the engine and waits for its answer; the caller bounds the time.
    pub async fn ask(&self, caller: Caller, command: Command) -> Result<Reply, Problem> {
        let place = self.place().ok_or_else(overloaded)?;
        let (answer, answered) = oneshot::channel();
        let command = Box::new(command);
        self.offer(Input::Command { caller, command, answer, place })?;
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Brings what must not be lost; waits while the queue is full. Not for async threads.
    pub fn bring(&self, input: Input) {
        self.shared.depth.fetch_add(1, Ordering::Relaxed);
        if self.queue.send(input).is_err() {
            self.shared.depth.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// As [`Handle::bring`], for async threads. False when the engine is gone.
    pub async fn bring_async(&self, input: Input) -> bool {
        self.shared.depth.fetch_add(1, Ordering::Relaxed);
        let mut input = input;
        loop {
            input = match self.queue.try_send(input) {
                Ok(()) => return true,
                Err(TrySendError::Full(input)) => input,
                Err(TrySendError::Disconnected(_)) => {
                    self.shared.depth.fetch_sub(1, Ordering::Relaxed);
                    return false;
                }
            };
            tokio::time::sleep(FULL_QUEUE_WAIT).await;
        }
    }

    /// Brings what may be lost under load (a peer's frame: its session then times out). False when it was.
    pub fn offer_event(&self, event: Event) -> bool {
        self.offer(Input::Event(event)).is_ok()
    }

    /// Asks for a real write; `Err` names what the store said.
    pub async fn probe_store(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.offer(Input::ProbeStore(answer)).map_err(|problem| problem.message)?;
        answered.await.unwrap_or_else(|_| Err("the node is stopping".into()))
    }

    /// Inputs waiting now.
    pub fn depth(&self) -> usize {
        self.shared.depth.load(Ordering::Relaxed)
    }

    /// Commands asked and not answered now.
    pub fn commands(&self) -> usize {
        self.shared.commands.load(Ordering::Relaxed)
    }

    /// The engine's numbers as of the last tick; none before it runs.
    pub fn status(&self) -> Option<Status> {
        self.shared.status.read().ok().and_then(|status| status.clone())
    }

    fn place(&self) -> Option<Place> {
        let taken = self.shared.commands.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(&self.shared));
        (taken < COMMANDS_MAX).then_some(place)
    }

    fn offer(&self, input: Input) -> Result<(), Problem> {
        self.shared.depth.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(input).map_err(|error| {
            self.shared.depth.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => overloaded(),
                TrySendError::Disconnected(_) => stopping(),
            }
        })
    }
}

/// Why nothing came out of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// The time is over.
    Waited,
    /// Nobody can send any more.
    Closed,
}

impl Inbox {
    /// The next input, waiting at most `time`.
    pub fn next(&self, time: Duration) -> Result<Input, Empty> {
        let input = self.queue.recv_timeout(time).map_err(|error| match error {
            std::sync::mpsc::RecvTimeoutError::Timeout => Empty::Waited,
            std::sync::mpsc::RecvTimeoutError::Disconnected => Empty::Closed,
        })?;
        self.shared.depth.fetch_sub(1, Ordering::Relaxed);
        Ok(input)
    }

    /// The next input that is there already.
    pub fn ready(&self) -> Option<Input> {
        let input = self.queue.try_recv().ok()?;
        self.shared.depth.fetch_sub(1, Ordering::Relaxed);
        Some(input)
    }

    /// Shows the engine's numbers to everybody.
    pub fn publish(&self, status: Option<Status>) {
        if let Ok(mut shown) = self.shared.status.write() {
            *shown = status;
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod queue_tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn commands_are_shed_before_the_queue_is_full_and_their_places_come_back() {
        let (handle, inbox) = channel();
        runtime().block_on(async {
            let asks: Vec<_> = (0..COMMANDS_MAX)
                .map(|_| {
                    let handle = handle.clone();
                    tokio::spawn(async move { handle.ask(Caller::Operator, Command::Node).await })
                })
                .collect();
            while handle.commands() < COMMANDS_MAX {
                tokio::task::yield_now().await;
            }
            let shed = handle.ask(Caller::Operator, Command::Node).await;
            assert_eq!(shed.map_err(|p| (p.class, p.code)), Err((Class::Overloaded, "overloaded")));
            while let Some(input) = inbox.ready() {
                if let Input::Command { answer, .. } = input {
                    answer.send(Ok(Reply::Done)).unwrap();
                }
            }
            for ask in asks {
                assert_eq!(ask.await.unwrap(), Ok(Reply::Done));
            }
            assert_eq!((handle.commands(), handle.depth()), (0, 0));
            assert!(handle.offer_event(Event::Tick), "links still get through");
        });
    }

    #[test]
    fn a_runner_that_is_gone_answers_stopping() {
        let (handle, inbox) = channel();
        drop(inbox);
        let answer = runtime().block_on(handle.ask(Caller::Operator, Command::Node));
        assert_eq!(answer.map_err(|p| p.code), Err("stopping"));
    }
}
