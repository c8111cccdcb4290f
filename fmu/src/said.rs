//! What a unit says through its logger: shown on standard error, and the last of it kept to go with a refusal.

use std::io::Write;
use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};

/// The longest message that is kept, in characters.
const KEPT_MAX: usize = 400;

struct Said {
    last: Mutex<String>,
}

static SAID: Said = Said { last: Mutex::new(String::new()) };

impl Log for Said {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    /// The crate `fmi` gives what a unit says the module `logger` (FMI 2) or `fmu` (FMI 3); the rest is its own.
    fn log(&self, record: &Record<'_>) {
        if !matches!(record.module_path(), Some("logger" | "fmu")) {
            return;
        }
        let message = record.args().to_string();
        let _ = writeln!(std::io::stderr(), "unit: {}", message.trim_end());
        if let Ok(mut last) = self.last.lock() {
            *last = message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(KEPT_MAX).collect();
        }
    }

    fn flush(&self) {}
}

/// Listens to the units of this process from now on.
pub(crate) fn listen() {
    if log::set_logger(&SAID).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

/// The last message since this was last asked; empty if there was none.
pub(crate) fn take() -> String {
    SAID.last.lock().map(|mut last| std::mem::take(&mut *last)).unwrap_or_default()
}
