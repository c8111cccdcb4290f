//! What played stages put out.

use std::sync::{Arc, Mutex, PoisonError};

use actors::kernel::{Act, Witness};
use actors::tape::{Entry, Tape};

use crate::journal::{Kind, Layout};

/// Keeps the rows of what is put out, until they are taken.
#[derive(Debug)]
pub(super) struct Capture {
    layout: Layout,
    rows: Mutex<Vec<(Kind, Vec<u64>)>>,
}

impl Capture {
    pub(super) fn new(layout: Layout) -> Arc<Self> {
        Arc::new(Self { layout, rows: Mutex::default() })
    }

    pub(super) fn take(&self) -> Vec<(Kind, Vec<u64>)> {
        std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Witness for Capture {
    fn act(&self, _act: Act) {}
}

impl Tape for Capture {
    fn note(&self, entry: Entry<'_>) {
        let mut row = Vec::new();
        let kind = match entry {
            // An input, of the reader's own making.
            Entry::Beat { .. } => return,
            Entry::Solved(solved) => {
                self.layout.solved(solved, &mut row);
                Kind::Solved
            }
            Entry::View(view) => {
                self.layout.view(view, &mut row);
                Kind::View
            }
            Entry::Move(approved) => {
                self.layout.approved(approved, &mut row);
                Kind::Move
            }
            Entry::Recommended(recommended) => {
                self.layout.recommended(recommended, &mut row);
                Kind::Recommended
            }
        };
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push((kind, row));
    }
}
