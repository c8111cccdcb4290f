//! The seeded bugs: mistakes that somebody could make around the real interlock and the real DCS, in the wiring, the writer,
//! the link, the configuration. Each is a negative control: the checker must find it.

use safety::Reach;
use serde::Serialize;

macro_rules! bugs {
    ($($(#[$meta:meta])* $name:ident: $what:literal,)*) => {
        /// A mistake made on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Bug { $(#[doc = $what] $(#[$meta])* $name),* }

        impl Bug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What the mistake is, in one line.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what),* }
            }
        }
    };
}

bugs! {
    AutoReset: "a latched loop is reset by a forged edge of MODE_REQ",
    PermitIgnored: "the interlock is shown PERMIT as true whatever the DCS says",
    VerdictIgnored: "the interlock is shown WD_OK as true whatever the DCS says",
    RcasAssumed: "the interlock is shown every MV in RCAS whatever the DCS says",
    QualityIgnored: "a bad measurement is passed on as good",
    NanReplaced: "a NaN that is proposed is replaced before the interlock sees it",
    FailureHidden: "a solver that fails is reported as solved",
    StaleImageFresh: "an image of before the link was cut is shown again and again as if it were new",
    EchoForged: "HB_ECHO is answered from a cache of what we wrote",
    OlderImageTaken: "an image that was overtaken by a newer one is taken all the same",
    LastLookSkipped: "the writer looks neither at the lease nor at the permissives before it writes",
    ApprovalKept: "an approval that waits to be written is not withdrawn by a shed",
    ApprovalSpentTwice: "the writer keeps an approval and writes it a second time",
    PlanWritten: "the writer takes the newest proposal in the place of what was approved",
    ConfirmedUnread: "a write that got lost is reported as confirmed",
    HeartbeatWithoutWork: "the writer beats by itself while the loop hangs",
    NewestCauseShown: "SHED_REASON is overwritten by every new cause",
    RestartEngaged: "a process that restarts takes up the interlock as it was when it was killed",
    LatchLost: "a process that restarts forgets what had been latched",
    RatePerMinute: "a rate per minute is taken for one per second, in the plant file and for ROC_MAX",
    ClampMisread: "limits and clamp are read too wide",
    WatchdogInMinutes: "the watchdog of the DCS is set in minutes in the place of seconds",
    OwnWatchdogOff: "our own watchdog is off: a process that stood still goes on",
    LateForEver: "a write may reach the DCS however late",
    AdvisoryWrites: "a recommendation is written as a set-point",
}

impl Bug {
    /// The reach of the loop in which the mistake can be made.
    #[must_use]
    pub fn reach(self) -> Reach {
        if self == Self::AdvisoryWrites { Reach::Advisory } else { Reach::ClosedLoop }
    }
}
