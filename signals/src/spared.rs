//! Which measured tags of a loop have spare transmitters, and where the samples of each lie.

use crate::vote::TRANSMITTERS;
use crate::{MAX_TAGS, TagId};

/// The measured tags of a loop that have two spare transmitters beside their own. By default none has.
///
/// The transmitters of a loop stand in one fixed order wherever they are listed: each tag's own by [`TagId`], then the two
/// spares of every tag that has them, in the order of the tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spared(u32);

const _: () = assert!(MAX_TAGS <= u32::BITS as usize, "a bit for every tag");

impl Spared {
    /// Every tag.
    pub const ALL: Self = Self(u32::MAX);

    /// The tags, in the order of [`TagId`], for which `has` is true; no more than [`MAX_TAGS`].
    #[must_use]
    pub fn collect(has: impl IntoIterator<Item = bool>) -> Self {
        let bits = has.into_iter().take(MAX_TAGS).enumerate();
        Self(bits.fold(0, |bits, (tag, has)| bits | u32::from(has) << tag))
    }

    /// Whether a tag has spares.
    #[must_use]
    pub fn has(self, tag: TagId) -> bool {
        self.0.checked_shr(u32::from(tag.0)).is_some_and(|bits| bits & 1 != 0)
    }

    /// How many of the first `tags` tags have spares.
    fn count(self, tags: usize) -> usize {
        (0..).map(TagId).take(tags).filter(|tag| self.has(*tag)).count()
    }

    /// How many transmitters a loop of so many measured tags has.
    #[must_use]
    pub fn transmitters(self, tags: usize) -> usize {
        tags + (TRANSMITTERS - 1) * self.count(tags)
    }

    /// The place of a tag's own transmitter (0) or of one of its spares (1, 2) among those of a loop of so many measured
    /// tags; `None` for one that is not there.
    #[must_use]
    pub fn place(self, tags: usize, tag: TagId, transmitter: usize) -> Option<usize> {
        match transmitter {
            _ if tag.index() >= tags => None,
            0 => Some(tag.index()),
            1..TRANSMITTERS if self.has(tag) => {
                Some(self.transmitters(tag.index()) + tags - tag.index() + transmitter - 1)
            }
            _ => None,
        }
    }

    /// As a number: a bit for each tag, the first the lowest.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// From that number; `None` where it names a tag that a loop of so many measured tags does not have.
    #[must_use]
    pub fn from_bits(bits: u32, tags: usize) -> Option<Self> {
        let all = Self::collect(std::iter::repeat_n(true, tags));
        (bits & !all.0 == 0).then_some(Self(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transmitter_has_a_place_of_its_own_and_nothing_else_has_one() {
        for has in [[false; 4], [false, true, false, true], [true; 4]] {
            let spared = Spared::collect(has);
            let places = (0..6).map(TagId).flat_map(|tag| (0..5).filter_map(move |n| spared.place(4, tag, n)));
            let mut places: Vec<_> = places.collect();
            places.sort_unstable();
            assert_eq!(places, (0..spared.transmitters(4)).collect::<Vec<_>>(), "{has:?}");
        }
        let spared = Spared::collect([false, true, false, true]);
        let of = |tag, n| spared.place(4, TagId(tag), n);
        assert_eq!([of(0, 0), of(0, 1), of(1, 0), of(1, 1), of(1, 2), of(3, 1), of(3, 2)], {
            [Some(0), None, Some(1), Some(4), Some(5), Some(6), Some(7)]
        });
    }

    #[test]
    fn a_number_of_another_loop_is_refused() {
        let spared = Spared::collect([false, true]);
        assert_eq!(Spared::from_bits(spared.bits(), 2), Some(spared));
        assert_eq!(Spared::from_bits(4, 2), None);
        assert!(!Spared::ALL.has(TagId(u16::MAX)), "no such tag");
    }
}
