//! What may happen in a scan besides the usual: at most one of these. Which, the checker chooses; how many in a life, its
//! budget bounds.

use safety::Reach;
use signals::dcs::ModeRequest;

use super::setup::Setup;
use super::world::World;

/// One thing out of the ordinary. What is named "or" is a standing condition that is turned on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing: a scan passes.
    Nothing,
    /// The operator changes his request.
    Request(ModeRequest),
    /// The operator engages.
    Engage,
    /// The operator re-arms the DCS's watchdog.
    Rearm,
    /// The permissives are withdrawn, or given.
    PermitOffOrOn,
    /// The operator switches the MV off, or on.
    MvOffOrOn,
    /// Nothing passes the link any more in either direction, and nobody is told; or it does again.
    CutOrMend,
    /// No image passes the link any more; or they do again.
    ImagesCutOrMend,
    /// The connection is lost, and we are told; or it is back.
    DownOrUp,
    /// The DCS's image is lost.
    LoseImage,
    /// The image is held up on its way.
    DelayImage,
    /// The image arrives, and a copy of it is under way.
    CopyImage,
    /// What is under way to us arrives behind the newest image.
    LateImage,
    /// What we write is lost.
    LoseWrite,
    /// What we write is held up, and counts for us as failed.
    DelayWrite,
    /// What we write arrives, and a copy of it is under way.
    CopyWrite,
    /// What is under way to the DCS arrives behind what we write now.
    LateWrite,
    /// The writer does not come to write in this scan.
    WriterLate,
    /// The writer does not come to write, or does again.
    WriterStallsOrGoesOn,
    /// Our process is killed.
    Crash,
    /// Our process is started again.
    Restart,
    /// Our process hangs, or goes on.
    HangOrGoOn,
    /// The solver fails, or solves again.
    SolverFailsOrSolves,
    /// The controller proposes nothing.
    ProposeNothing,
    /// The controller proposes a NaN.
    ProposeNan,
    /// The measurement goes bad, or good.
    CvBadOrGood,
    /// The measurement is out of its range.
    CvOutOfRange,
    /// The DCS's echo stands still, or follows.
    EchoSticksOrFollows,
}

const ALL: [Oddity; 30] = [
    Oddity::Request(ModeRequest::Off),
    Oddity::Request(ModeRequest::Warm),
    Oddity::Request(ModeRequest::Advisory),
    Oddity::Request(ModeRequest::On),
    Oddity::Engage,
    Oddity::Rearm,
    Oddity::PermitOffOrOn,
    Oddity::MvOffOrOn,
    Oddity::CutOrMend,
    Oddity::ImagesCutOrMend,
    Oddity::DownOrUp,
    Oddity::LoseImage,
    Oddity::DelayImage,
    Oddity::CopyImage,
    Oddity::LateImage,
    Oddity::LoseWrite,
    Oddity::DelayWrite,
    Oddity::CopyWrite,
    Oddity::LateWrite,
    Oddity::WriterLate,
    Oddity::WriterStallsOrGoesOn,
    Oddity::Crash,
    Oddity::Restart,
    Oddity::HangOrGoOn,
    Oddity::SolverFailsOrSolves,
    Oddity::ProposeNothing,
    Oddity::ProposeNan,
    Oddity::CvBadOrGood,
    Oddity::CvOutOfRange,
    Oddity::EchoSticksOrFollows,
];

impl Oddity {
    /// Everything that may happen now and would make a difference.
    pub(super) fn possible(world: &World, setup: &Setup) -> impl Iterator<Item = Self> {
        let chances = Chances::of(world, setup);
        ALL.into_iter().filter(move |oddity| oddity.can_be(&chances))
    }

    fn can_be(self, chances: &Chances) -> bool {
        match self {
            Self::Request(mode) => mode != chances.request,
            Self::Engage | Self::MvOffOrOn => chances.closes,
            Self::Rearm => chances.wd_tripped,
            Self::LoseImage | Self::DelayImage | Self::CopyImage => chances.hears,
            Self::LateImage => chances.late_image && chances.hears,
            Self::LoseWrite | Self::DelayWrite | Self::CopyWrite | Self::WriterLate => chances.writes,
            Self::LateWrite => chances.late_write,
            Self::Crash | Self::HangOrGoOn | Self::WriterStallsOrGoesOn => chances.alive,
            Self::Restart => !chances.alive,
            Self::ProposeNothing | Self::ProposeNan => chances.writes && !chances.solver_fails,
            _ => true,
        }
    }
}

/// What decides on what may happen.
#[derive(Clone, Copy)]
struct Chances {
    request: ModeRequest,
    closes: bool,
    wd_tripped: bool,
    alive: bool,
    hears: bool,
    writes: bool,
    solver_fails: bool,
    late_image: bool,
    late_write: bool,
}

impl Chances {
    fn of(world: &World, setup: &Setup) -> Self {
        let (view, standing) = (world.dcs.view(), &world.standing);
        let alive = world.process.is_some();
        let open = !standing.cut && !standing.down;
        Self {
            request: view.mode_req.value,
            closes: setup.reach == Reach::ClosedLoop,
            wd_tripped: !view.wd_ok.value,
            alive,
            hears: alive && open && !standing.images_cut,
            writes: alive && open && !standing.hangs && !standing.stalls,
            solver_fails: standing.solver_fails,
            late_image: world.late_image.is_some(),
            late_write: world.late_write.is_some(),
        }
    }
}
