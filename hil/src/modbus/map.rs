//! Where each tag of the hand-shake lies in the registers.
//!
//! What the DCS says stands in the input registers (function code 4), what the application says in the holding registers (3, 6,
//! 16), each in the order of [`DcsTag::all`] from address 0 on, without gaps. A tag of the DCS is followed by one register with its
//! quality. Numbers are big-endian, the high word first; a `Double` travels as IEEE 754 single precision, as PLCs have it.
//!
//! | type of the tag | registers |
//! |---|---|
//! | Boolean, UInt16, an enumeration | 1 |
//! | UInt32 | 2 |
//! | Double | 2: single precision |
//! | String | 16: two bytes of UTF-8 each, filled up with 0 |
//!
//! Texts of the application (`CFG_REV`, `REC.REASON`) are not mapped: no decision hangs on them.

use std::fmt;

use signals::Quality;
use signals::dcs::{DcsTag, Direction, TEXT_MAX, Text, WireType, WireValue};

/// One of the two tables of registers that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Input registers: the DCS's words, read-only.
    Input,
    /// Holding registers: the application's words.
    Holding,
}

impl Table {
    fn of(tag: DcsTag) -> Self {
        match tag.direction() {
            Direction::DcsToApc => Self::Input,
            Direction::ApcToDcs => Self::Holding,
        }
    }
}

/// Where a tag lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The tag.
    pub tag: DcsTag,
    /// Its table.
    pub table: Table,
    /// The address of its first register.
    pub address: u16,
    /// How many registers its value takes; the quality of a tag of the DCS is the one behind them.
    pub words: u16,
}

impl Place {
    /// The address behind its last register.
    #[must_use]
    pub fn end(&self) -> u16 {
        self.address.saturating_add(self.words).saturating_add(u16::from(self.table == Table::Input))
    }
}

/// `30001 INPUT 0 2+1 UInt32 HB_ECHO`: reference, table, address, registers, type, tag.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, base, quality) = match self.table {
            Table::Input => ("input", 30_001, "+1"),
            Table::Holding => ("holding", 40_001, ""),
        };
        let words = format!("{}{quality}", self.words);
        let kind = match self.tag.wire_type() {
            WireType::Double => "Real32".to_owned(),
            other => format!("{other:?}"),
        };
        let reference = base + u32::from(self.address);
        write!(f, "{reference}  {name:<8} {:>4}  {words:<4} {kind:<8} {}", self.address, self.tag)
    }
}

/// The map of one loop.
#[derive(Clone, Debug)]
pub struct Map(Vec<Place>);

impl Map {
    /// The map of these tags, in their order.
    #[must_use]
    pub fn of(tags: &[DcsTag]) -> Self {
        let (mut input, mut holding) = (0, 0);
        let mapped = tags.iter().filter(|tag| !tag.is_beside());
        Self(
            mapped
                .map(|tag| {
                    let table = Table::of(*tag);
                    let next = if table == Table::Input { &mut input } else { &mut holding };
                    let place = Place { tag: *tag, table, address: *next, words: words(tag.wire_type()) };
                    *next = place.end();
                    place
                })
                .collect(),
        )
    }

    /// Every tag's place.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.0
    }

    /// How many registers `table` has.
    #[must_use]
    pub fn len(&self, table: Table) -> u16 {
        self.0.iter().rev().find(|place| place.table == table).map_or(0, Place::end)
    }

    /// The tags whose registers are exactly `count` from `address` on; `None` when a tag would be cut in two, or there are
    /// not so many registers.
    #[must_use]
    pub fn whole_tags(&self, table: Table, address: u16, count: u16) -> Option<&[Place]> {
        let end = address.checked_add(count)?;
        let from = self.0.iter().position(|place| place.table == table && place.address == address)?;
        let inside = |place: &&Place| place.table == table && place.end() <= end;
        // The places of one table need not lie next to each other in the list, so those in between are looked at too.
        let to = self.0.iter().rposition(|place| inside(&place) && place.address >= address)?;
        let span = self.0.get(from..=to)?;
        let last = span.iter().rev().find(|place| place.table == table)?;
        (last.end() == end).then_some(span)
    }
}

/// How many registers a value of this type takes.
fn words(kind: WireType) -> u16 {
    match kind {
        WireType::Boolean | WireType::UInt16 | WireType::Int32 => 1,
        WireType::UInt32 | WireType::Double => 2,
        WireType::String => (TEXT_MAX / 2) as u16,
    }
}

/// The quality as a register: 0 good, 1 uncertain, 2 bad.
#[must_use]
pub fn quality_word(quality: Quality) -> u16 {
    match quality {
        Quality::Good => 0,
        Quality::Uncertain => 1,
        Quality::Bad => 2,
    }
}

/// A value as registers. A number that single precision cannot hold becomes an infinity there, as in a PLC.
#[must_use]
pub fn encode(value: WireValue) -> Vec<u16> {
    let two = |bits: u32| vec![(bits >> 16) as u16, (bits & 0xffff) as u16];
    match value {
        WireValue::Boolean(on) => vec![u16::from(on)],
        WireValue::UInt16(n) => vec![n],
        // The enumerations of the hand-shake have codes from 0 to 6.
        WireValue::Int32(code) => vec![u16::try_from(code).unwrap_or(u16::MAX)],
        WireValue::UInt32(n) => two(n),
        WireValue::Double(x) => two((x as f32).to_bits()),
        WireValue::String(text) => {
            let mut bytes = text.as_str().bytes().chain(std::iter::repeat(0));
            (0..TEXT_MAX / 2)
                .map(|_| u16::from_be_bytes([bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)]))
                .collect()
        }
    }
}

/// Registers as a value of this type; `None` for a wrong number of them, or a Boolean that is neither 0 nor 1.
#[must_use]
pub fn decode(kind: WireType, registers: &[u16]) -> Option<WireValue> {
    let two = |high: u16, low: u16| (u32::from(high) << 16) | u32::from(low);
    Some(match (kind, registers) {
        (WireType::Boolean, [0]) => WireValue::Boolean(false),
        (WireType::Boolean, [1]) => WireValue::Boolean(true),
        (WireType::UInt16, [n]) => WireValue::UInt16(*n),
        (WireType::Int32, [code]) => WireValue::Int32(i32::from(*code)),
        (WireType::UInt32, [high, low]) => WireValue::UInt32(two(*high, *low)),
        (WireType::Double, [high, low]) => WireValue::Double(f64::from(f32::from_bits(two(*high, *low)))),
        (WireType::String, words) if words.len() == TEXT_MAX / 2 => {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).take_while(|b| *b != 0).collect();
            WireValue::String(Text::from_bytes(&bytes))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> Map {
        Map::of(&DcsTag::all(2, 3, 1))
    }

    #[test]
    fn no_two_tags_share_a_register_and_none_is_left_over() {
        for table in [Table::Input, Table::Holding] {
            let mut next = 0;
            for place in map().places().iter().filter(|place| place.table == table) {
                assert_eq!(place.address, next, "{place}");
                next = place.end();
            }
            assert_eq!(map().len(table), next);
        }
        let names: Vec<_> = map().places().iter().map(|place| place.tag.to_string()).collect();
        assert!(names.iter().any(|name| name == "MV2.SP_REQ") && !names.iter().any(|name| name == "CFG_REV"));
    }

    #[test]
    fn a_value_comes_back_as_it_went() {
        for value in [
            WireValue::Boolean(true),
            WireValue::UInt16(2401),
            WireValue::UInt32(70_000),
            WireValue::Int32(4),
            WireValue::Double(-4000.5),
            WireValue::String(Text::new("Özlem")),
        ] {
            let kind = match value {
                WireValue::Boolean(_) => WireType::Boolean,
                WireValue::UInt16(_) => WireType::UInt16,
                WireValue::UInt32(_) => WireType::UInt32,
                WireValue::Int32(_) => WireType::Int32,
                WireValue::Double(_) => WireType::Double,
                WireValue::String(_) => WireType::String,
            };
            let registers = encode(value);
            assert_eq!(registers.len(), usize::from(words(kind)));
            assert_eq!(decode(kind, &registers), Some(value));
        }
        assert_eq!(decode(WireType::Boolean, &[2]), None);
        assert_eq!(decode(WireType::Double, &[0]), None);
    }

    #[test]
    fn a_write_that_cuts_a_tag_in_two_names_no_tags() {
        let map = map();
        let of = |name: &str| *map.places().iter().find(|place| place.tag.to_string() == name).unwrap();
        let (sp, ack) = (of("MV1.SP_REQ"), of("MV1.INIT_ACK"));
        assert_eq!(map.whole_tags(Table::Holding, sp.address, 2).map(<[Place]>::len), Some(1));
        assert!(map.whole_tags(Table::Holding, sp.address, 1).is_none());
        assert!(map.whole_tags(Table::Holding, sp.address + 1, 1).is_none());
        let both = map.whole_tags(Table::Holding, sp.address, ack.end() - sp.address).unwrap();
        let ours: Vec<_> = both.iter().filter(|place| place.table == Table::Holding).map(|place| place.tag).collect();
        assert_eq!(ours, [sp.tag, ack.tag]);
        assert!(map.whole_tags(Table::Holding, map.len(Table::Holding), 1).is_none());
    }
}
