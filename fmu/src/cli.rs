//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser};

/// Plays an FMI 2.0 or 3.0 co-simulation unit as a plant for `outrigger-hil plant --exec`, on standard input and output.
///
/// The unit is a program of somebody else's: it runs in this process with this process's rights.
#[derive(Debug, Parser)]
#[command(name = "outrigger-fmu", version)]
pub(crate) struct Cli {
    /// The unit.
    pub(crate) file: PathBuf,
    /// Print the unit's variables, and end.
    #[arg(long)]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) play: PlayArgs,
}

/// What of the unit is the plant's.
#[derive(Debug, Default, Args)]
pub(crate) struct PlayArgs {
    /// An input (MV) of the plant, under the unit's name for it or as TAG; may be given again, the order counts.
    #[arg(long, value_name = "NAME[=TAG]")]
    pub(crate) input: Vec<String>,
    /// A disturbance: an input of the unit, or a parameter that it lets be changed while it runs.
    #[arg(long, value_name = "NAME[=TAG]")]
    pub(crate) disturbance: Vec<String>,
    /// An output (CV or DV) of the plant: any number of the unit.
    #[arg(long, value_name = "NAME[=TAG]")]
    pub(crate) output: Vec<String>,
    /// The symbol of a variable's unit of measure, where the file has none or one that the rig does not know. Nothing
    /// is converted.
    #[arg(long, value_name = "NAME=SYMBOL")]
    pub(crate) unit: Vec<String>,
    /// The range in which a variable is meant to work, in place of the file's min and max.
    #[arg(long, value_name = "NAME=LOW:HIGH")]
    pub(crate) range: Vec<String>,
    /// A typical value, in place of the file's start value or the middle of the range.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) nominal: Vec<String>,
    /// A value that the unit is given before it starts: a parameter, an input that is not the plant's, a state.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) start: Vec<String>,
    /// Seconds that the unit is run at each start, under the inputs of the start, so that it is at rest.
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(crate) settle: f64,
    /// The step of that run; the last one is shorter where need be.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub(crate) settle_step: f64,
}
