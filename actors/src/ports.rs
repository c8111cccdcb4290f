//! The ports: how the loop meets the world. An adapter implements the sinks and fills the inlet; the loop knows no
//! protocol.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use control::advice::News;
use safety::{ApprovedMove, BypassSet, ConfigHash, Event, WriteReport};
use signals::dcs::{ApcView, DcsView};
use signals::{Sample, Stamp};
use tokio::sync::Notify;

use crate::kernel::{Bounded, Latest};

/// The interlock's events on their way to the log. The interlock sends and never waits; a full log gives events back, which
/// are then lost and counted (`rejected`). Whoever logs them looks from time to time, so that the cycle wakes nobody.
pub type EventQueue = Bounded<Event, 1024>;

/// What is to be written down of the recommendations and their answers, on its way to the audit. The control thread never
/// waits: a full queue gives news back, which is then lost and counted (`rejected`).
pub type NewsQueue = Bounded<News, 256>;

/// What flows in. The adapter puts, and at each beat the loop latches it into its image. Clones share the slots.
#[derive(Clone, Debug)]
pub struct Inlet {
    /// The newest sample of each transmitter, in the order of [`signals::Spared`]: the own of each CV and DV by `TagId`, then
    /// the spares.
    pub samples: Vec<Latest<Sample>>,
    /// The newest image of the DCS.
    pub dcs: Latest<DcsView>,
    /// What became of the writes.
    pub writes: Latest<WriteReport>,
    /// The bypasses that two people have put in force; none where nobody puts any.
    pub bypasses: Latest<BypassSet>,
    /// What the calendar said at the beat, as plant time; the driver puts it. Empty under virtual time.
    pub calendar: Latest<Stamp>,
    /// The hash of the configuration as it lies on the disk, once it is another than the one that runs.
    pub changed_config: Latest<ConfigHash>,
    link_up: Arc<AtomicBool>,
}

impl Inlet {
    /// An inlet for so many transmitters, through which nothing has come yet.
    #[must_use]
    pub fn new(transmitters: usize) -> Self {
        Self {
            samples: (0..transmitters).map(|_| Latest::new()).collect(),
            dcs: Latest::new(),
            writes: Latest::new(),
            bypasses: Latest::new(),
            calendar: Latest::new(),
            changed_config: Latest::new(),
            link_up: Arc::default(),
        }
    }

    /// Says whether the DCS can be reached.
    pub fn set_link(&self, up: bool) {
        self.link_up.store(up, Ordering::Release);
    }

    /// Takes over what `from` holds now, as one scan's input image.
    pub(crate) fn latch(&self, from: &Self) {
        for (image, newest) in self.samples.iter().zip(&from.samples) {
            carry(newest, image);
        }
        carry(&from.dcs, &self.dcs);
        carry(&from.writes, &self.writes);
        carry(&from.bypasses, &self.bypasses);
        carry(&from.calendar, &self.calendar);
        carry(&from.changed_config, &self.changed_config);
        self.set_link(from.link_up());
    }

    /// Whether the DCS can be reached.
    #[must_use]
    pub fn link_up(&self) -> bool {
        self.link_up.load(Ordering::Acquire)
    }
}

fn carry<T: Copy>(from: &Latest<T>, to: &Latest<T>) {
    if let Some(value) = from.read() {
        to.put(value);
    }
}

/// What flows out beside moves: the status tags. The loop puts, the adapter is woken and writes what changed.
#[derive(Clone, Debug, Default)]
pub struct Outlet {
    view: Latest<ApcView>,
    changed: Arc<Notify>,
}

impl Outlet {
    /// Makes `view` the newest status.
    pub fn put(&self, view: ApcView) {
        self.view.put(view);
        self.changed.notify_one();
    }

    /// The newest status.
    #[must_use]
    pub fn read(&self) -> Option<ApcView> {
        self.view.read()
    }

    /// Returns once a status was put since the last time that this returned.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The only way of a move to the plant: it takes an [`ApprovedMove`], which only the interlock makes, by value.
///
/// `write` is called on the control thread and must neither block nor allocate; it hands over and returns. What became
/// of the move comes back through [`Inlet::writes`].
pub trait MoveSink: Send + fmt::Debug {
    /// Hands a move over.
    fn write(&mut self, approved: ApprovedMove);
}
