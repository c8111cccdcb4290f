//! Faults of the DCS's server, of our process, and of the machine under it.

/// What is wrong with server or host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HostFault {
    /// The DCS's controller starts anew: its server is away, and its slave loops come up in AUTO.
    DeviceRestart,
    /// The session is lost; the loop is told, and there is none until the fault goes.
    SessionLoss,
    /// A certificate is out of date: the connection ends, and none is made until it is renewed.
    CertificateExpiry,
    /// The calendar moves against the monotonic clock.
    ClockJump {
        /// By so much, in seconds; above 0 is ahead.
        by_s: f64,
    },
    /// The disk under journal and state is full.
    DiskFull,
    /// The folder of the state is gone and the journal's file does not take anything.
    IoError,
    /// Our process ends at once (SIGKILL); a new one starts where the fault goes.
    Kill,
    /// Others take the processor: the control thread stands still for a while, again and again.
    CpuHog {
        /// For so long, in seconds.
        stall_s: f64,
        /// How far apart.
        every_s: f64,
    },
    /// Somebody holds the DCS's watchdog re-armed.
    DcsWatchdogOff,
}
