//! The cells of a bypass in the row of an image.

use safety::bypass::{Person, Subject};
use safety::{Bypass, CheckId};

use super::rows::{stamp, to_stamp};
use super::track::Cell;

pub(super) const BYPASS: [(Cell, &str); 8] = [
    (Cell::Count, "number"),
    (Cell::Count, "check"),
    (Cell::Count, "kind of subject"),
    (Cell::Count, "subject"),
    (Cell::Bits, "requested by"),
    (Cell::Bits, "approved by"),
    (Cell::Time, "from"),
    (Cell::Time, "until"),
];

pub(super) fn bypass(bypass: &Bypass) -> [u64; BYPASS.len()] {
    let Bypass { id, check, subject, requested_by, approved_by, from, until } = bypass;
    let (kind, number) = match subject {
        Subject::Loop => (0, 0),
        Subject::Tag(n) => (1, *n),
        Subject::Mv(n) => (2, *n),
    };
    let check = check.number().into();
    [u64::from(*id), check, kind, number.into(), requested_by.0, approved_by.0, stamp(*from), stamp(*until)]
}

/// A check that this program does not know cannot be bypassed.
pub(super) fn to_bypass(cells: [u64; BYPASS.len()]) -> Bypass {
    let [id, check, kind, number, requested_by, approved_by, from, until] = cells;
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    let check = u16::try_from(check).ok().and_then(CheckId::numbered);
    Bypass {
        id: u32::try_from(id).unwrap_or(u32::MAX),
        check: check.unwrap_or(CheckId::NotFinite),
        subject: match kind {
            0 => Subject::Loop,
            1 => Subject::Tag(number),
            _ => Subject::Mv(number),
        },
        requested_by: Person(requested_by),
        approved_by: Person(approved_by),
        from: to_stamp(from),
        until: to_stamp(until),
    }
}
