//! Child processes: started by us, known by their id, and stopped whatever happens to us.
//!
//! Three nets: [`stop_all`] at the end and on panic, a thread that waits for SIGINT, SIGTERM and SIGHUP, and (Linux) the
//! kernel, which ends a child whose parent died. Children are in process groups of their own, so that a Ctrl-C reaches
//! this process alone and the nodes are shut down in order. No process is ever found by its name.

use crate::error::CommandError;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

static CHILDREN: Mutex<Vec<Child>> = Mutex::new(Vec::new());
/// True once an interruption is the expected end, not an abortion.
static MAY_STOP: AtomicBool = AtomicBool::new(false);
/// A node writes its last record and wipes its secrets within this time.
const GRACE: Duration = Duration::from_secs(8);

fn children() -> MutexGuard<'static, Vec<Child>> {
    CHILDREN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Starts a child that ends with this process. Call it from the main thread: the kernel's net hangs on the thread.
#[expect(unsafe_code, reason = "prctl between fork and exec has no safe door")]
pub(crate) fn spawn(command: &mut Command) -> Result<u32, CommandError> {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    // SAFETY: prctl is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    let child = command.spawn().map_err(|e| {
        CommandError::unavailable("spawn", format!("cannot start a process of a node: {e}"))
    })?;
    let id = child.id();
    children().push(child);
    Ok(id)
}

/// How a child ended, if it did.
pub(crate) fn ended(id: u32) -> Option<ExitStatus> {
    let mut children = children();
    let child = children.iter_mut().find(|child| child.id() == id)?;
    child.try_wait().ok().flatten()
}

/// Asks every child to end, waits, and kills those that do not.
#[expect(unsafe_code, reason = "kill(2) has no safe door in the standard library")]
pub(crate) fn stop_all() {
    let mut children = children();
    for child in children.iter_mut() {
        if let (Ok(None), Ok(pid)) = (child.try_wait(), libc::pid_t::try_from(child.id())) {
            // SAFETY: the child was not reaped, so the number still names it.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }
    let end = Instant::now().checked_add(GRACE);
    let runs = |child: &mut Child| matches!(child.try_wait(), Ok(None));
    while children.iter_mut().any(runs) && end.is_some_and(|end| Instant::now() < end) {
        std::thread::sleep(Duration::from_millis(20));
    }
    for child in children.iter_mut() {
        let _ = child.kill();
        let _ = child.wait();
    }
    children.clear();
}

/// From now on an interruption ends this process with success.
pub(crate) fn may_stop() {
    MAY_STOP.store(true, Ordering::SeqCst);
}

/// Watches for interruptions in a thread; on one, the children are stopped and this process exits.
pub(crate) fn watch() -> Result<(), CommandError> {
    let (ready, armed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        let number = runtime.block_on(wait(&ready));
        if number == 0 {
            return;
        }
        stop_all();
        let code = if MAY_STOP.load(Ordering::SeqCst) { 0 } else { 128_i32.saturating_add(number) };
        std::process::exit(code);
    });
    armed.recv().map_err(|_| CommandError::bug("the watch for interruptions does not start"))
}

async fn wait(ready: &std::sync::mpsc::Sender<()>) -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut int), Ok(mut term), Ok(mut hup)] = kinds.map(signal) else { return 0 };
    let _ = ready.send(());
    tokio::select! {
        _ = int.recv() => libc::SIGINT,
        _ = term.recv() => libc::SIGTERM,
        _ = hup.recv() => libc::SIGHUP,
    }
}
