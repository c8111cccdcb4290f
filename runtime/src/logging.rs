//! What the program logs, and where to.
//!
//! The framework has a span around each actor, which every step enters and leaves; with this subscriber that allocates
//! nothing.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::LogFormat;

/// What is logged unless the environment says otherwise.
pub const USUAL: &str = "info,opcua_client=error,opcua_core=error,opcua_crypto=error";

/// Sets up the log of this process: `filter` is in the words of `RUST_LOG`, `ansi` is for text on a terminal. Gives whether
/// it could; a process has one log.
pub fn start<W>(format: LogFormat, filter: &str, (writer, ansi): (W, bool)) -> bool
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(writer);
    match format {
        LogFormat::Text => builder.with_ansi(ansi).try_init().is_ok(),
        LogFormat::Json => builder.json().try_init().is_ok(),
    }
}
