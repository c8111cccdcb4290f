//! What can be wrong with a unit, or with what was asked of it.

/// A unit that cannot be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FmuError {
    /// The file is not there, or cannot be unpacked.
    #[error("cannot read `{file}`: {source}")]
    Read { file: String, source: std::io::Error },
    /// It is no archive.
    #[error("`{file}` is no FMU: {why}; expected a ZIP archive with `modelDescription.xml` in it")]
    Archive { file: String, why: String },
    /// Its description cannot be used.
    #[error("`{file}`: modelDescription.xml: {why}")]
    Description { file: String, why: String },
    /// It brings no library for this machine.
    #[error("`{file}` has no `{expected}`, expected one for this machine; it has {found}")]
    Binary { file: String, expected: String, found: String },
    /// Its library cannot be loaded, or will not start.
    #[error("`{file}`: the unit cannot be started: {why}")]
    Start { file: String, why: String },
    /// The command line does not fit the unit; each fault on its own line.
    #[error("{}", .0.join("\n"))]
    Choice(Vec<String>),
    /// Nobody is there to speak to, or says what cannot be read.
    #[error("standard input or output: {0}")]
    Pipe(#[from] std::io::Error),
}
