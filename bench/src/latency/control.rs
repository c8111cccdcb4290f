//! A thread as the loop's control thread is: a single-threaded runtime, and real time where it is asked for.

use actors::kernel::rt::{Granted, RealTime, promote};
use anyhow::{Context, Result, anyhow};
use tokio::runtime::{Builder, Runtime};

/// Runs `body` on a control thread of its own and gives what it gives.
pub(super) fn on_control_thread<R: Send>(
    rt: Option<RealTime>,
    body: impl FnOnce(&Runtime) -> Result<R> + Send,
) -> Result<R> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("bench-control".to_owned()).spawn_scoped(scope, || {
            let runtime = Builder::new_current_thread().enable_all().build().context("the control runtime")?;
            // Held till the end: it keeps the CPUs from deep sleep.
            let _granted: Option<Granted> = rt.as_ref().map(promote).transpose()?;
            body(&runtime)
        });
        thread.context("the control thread")?.join().map_err(|_| anyhow!("the control thread panicked"))?
    })
}

/// What real time gives: the words for it, and the same wish with the CPU that was given, so that peers get the same.
pub(super) fn granted(rt: Option<RealTime>) -> Result<(String, Option<RealTime>)> {
    let Some(rt) = rt else { return Ok(("ordinary threads (SCHED_OTHER), not pinned".to_owned(), None)) };
    let granted = on_control_thread(None, |_| Ok(promote(&rt)?))?;
    Ok((granted.to_string(), Some(RealTime { cpu: Some(granted.cpu), ..rt })))
}
