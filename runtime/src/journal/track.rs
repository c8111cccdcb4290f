//! A row of 64-bit cells, told by what changed.
//!
//! An image, an answer, a move: each is a row of cells, and each row of a kind is told as its difference to the row before
//! it. A cell that is as expected costs nothing. A number is expected to stay; a time is expected to stay, or, if it was
//! the present the last time, to be the present again, as the times of a status are.
//!
//! ```text
//! row   = { gap cell } 0
//! gap   = 1 + number of cells since the last one told that are as expected
//! cell  = Bits: value xor the value before    Count: value - the value before, zigzag    Time: value - now, zigzag
//! ```

use super::bytes::{Bytes, put, put_signed};

/// What a cell holds, and so how its change is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// The bits of a number of floating point.
    Bits,
    /// An integer, a code, a flag.
    Count,
    /// A time in nanoseconds, as the bits of an `i64`.
    Time,
}

/// The last row of one kind, as both ends know it.
#[derive(Clone, Debug)]
pub(super) struct Track {
    cells: Vec<Tracked>,
}

#[derive(Clone, Copy, Debug)]
struct Tracked {
    kind: Cell,
    last: u64,
    /// A time that was the present.
    was_now: bool,
}

impl Tracked {
    fn expected(&self, now: i64) -> u64 {
        if self.was_now { now.cast_unsigned() } else { self.last }
    }

    fn learn(&mut self, value: u64, now: i64) {
        self.last = value;
        self.was_now = self.kind == Cell::Time && value == now.cast_unsigned();
    }
}

impl Track {
    /// A row of these cells; before the first every cell is expected to be 0.
    pub(super) fn new(kinds: impl IntoIterator<Item = Cell>) -> Self {
        let cells = kinds.into_iter().map(|kind| Tracked { kind, last: 0, was_now: false }).collect();
        Self { cells }
    }

    /// Forgets every row.
    pub(super) fn reset(&mut self) {
        self.cells.iter_mut().for_each(|cell| (cell.last, cell.was_now) = (0, false));
    }

    /// Tells `row` at the present `now`. Cells that `row` has too many are not told, those that it lacks are 0.
    pub(super) fn encode(&mut self, row: &[u64], now: i64, out: &mut Vec<u8>) {
        let mut gap = 1;
        for (cell, value) in self.cells.iter_mut().zip(row.iter().copied().chain(std::iter::repeat(0))) {
            if value == cell.expected(now) {
                gap += 1;
            } else {
                put(out, gap);
                gap = 1;
                match cell.kind {
                    Cell::Bits => put(out, value ^ cell.last),
                    Cell::Count => put_signed(out, value.wrapping_sub(cell.last).cast_signed()),
                    Cell::Time => put_signed(out, value.cast_signed().wrapping_sub(now)),
                }
            }
            cell.learn(value, now);
        }
        put(out, 0);
    }

    /// Reads a row; `None` where the bytes are none.
    pub(super) fn decode(&mut self, now: i64, bytes: &mut Bytes<'_>) -> Option<Vec<u64>> {
        let mut cells = self.cells.iter_mut();
        let mut row = Vec::with_capacity(cells.len());
        let as_expected = |cell: &mut Tracked, row: &mut Vec<u64>| {
            let value = cell.expected(now);
            cell.learn(value, now);
            row.push(value);
        };
        loop {
            let gap = bytes.get()?;
            if gap == 0 {
                cells.for_each(|cell| as_expected(cell, &mut row));
                return Some(row);
            }
            for _ in 1..gap {
                as_expected(cells.next()?, &mut row);
            }
            let cell = cells.next()?;
            let value = match cell.kind {
                Cell::Bits => bytes.get()? ^ cell.last,
                Cell::Count => cell.last.wrapping_add(bytes.signed()?.cast_unsigned()),
                Cell::Time => now.wrapping_add(bytes.signed()?).cast_unsigned(),
            };
            cell.learn(value, now);
            row.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [Cell; 4] = [Cell::Bits, Cell::Time, Cell::Count, Cell::Time];

    proptest! {
        #[test]
        fn rows_come_back_bit_for_bit(rows in prop::collection::vec((any::<[u64; 4]>(), any::<i64>(), any::<bool>()), 1..20)) {
            let (mut ours, mut theirs, mut out) = (Track::new(KINDS), Track::new(KINDS), Vec::new());
            let rows: Vec<_> = rows.into_iter().map(|(mut row, now, at_now)| {
                if at_now {
                    row[1] = now.cast_unsigned();
                }
                (row, now)
            }).collect();
            for (row, now) in &rows {
                ours.encode(row, *now, &mut out);
            }
            let mut bytes = Bytes(&out);
            for (row, now) in &rows {
                prop_assert_eq!(theirs.decode(*now, &mut bytes), Some(row.to_vec()));
            }
            prop_assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_status_that_only_grows_older_costs_one_byte() {
        let (mut track, mut out) = (Track::new(KINDS), Vec::new());
        for now in [100_i64, 200, 300] {
            out.clear();
            track.encode(&[7, now.cast_unsigned(), 9, now.cast_unsigned()], now, &mut out);
        }
        assert_eq!(out, [0]);
    }
}
