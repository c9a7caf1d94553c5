//! Starting something with a niceness of its own.
//!
//! Linux has a niceness for each thread, and a new process has that of the thread that started it. A thread that has
//! stepped back cannot step forward again, so each start takes a thread of its own.

use std::io;

#[cfg(target_os = "linux")]
pub(super) async fn start_at<T: Send + 'static>(
    niceness: u8,
    start: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("start".to_owned()).stack_size(STACK);
    thread.spawn(move || {
        let _entered = runtime.enter();
        // If nobody waits for it any more, what was started is dropped here, which kills it.
        drop(sender.send(step_back(niceness).and_then(|()| start())));
    })?;
    receiver.await.map_err(|_| io::Error::other("the thread that was to start it has ended"))?
}

/// Enough for the few calls that start a process.
#[cfg(target_os = "linux")]
const STACK: usize = 256 << 10;

/// Changes this thread only.
#[cfg(target_os = "linux")]
fn step_back(niceness: u8) -> io::Result<()> {
    use rustix::process::{getpriority_process, setpriority_process};

    let niceness = i32::from(niceness);
    match setpriority_process(None, niceness) {
        // Whoever stands further back already is nice enough.
        Err(_) if getpriority_process(None).is_ok_and(|own| own >= niceness) => Ok(()),
        result => Ok(result?),
    }
}

/// Elsewhere the niceness is among the limits that a helper sets.
#[cfg(not(target_os = "linux"))]
pub(super) async fn start_at<T: Send + 'static>(
    _niceness: u8,
    start: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    start()
}
