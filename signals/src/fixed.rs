//! A vector of fixed capacity that is `Copy`, so that it may cross a newest-value slot without allocation.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// A `Copy` vector of at most `CAP` elements, read and written as a slice.
#[derive(Clone, Copy)]
pub struct Fixed<T, const CAP: usize> {
    items: [T; CAP],
    len: usize,
}

/// A [`Fixed`] of numbers: set-points, limits, measurements.
pub type Values<const CAP: usize> = Fixed<f64, CAP>;

impl<T: Copy + Default, const CAP: usize> Fixed<T, CAP> {
    /// An empty vector.
    #[must_use]
    pub fn new() -> Self {
        Self { items: [T::default(); CAP], len: 0 }
    }

    /// `len` copies of `value`; `len` is cut at the capacity, which configuration has checked long before.
    #[must_use]
    pub fn filled(value: T, len: usize) -> Self {
        debug_assert!(len <= CAP, "capacity {CAP}, asked for {len}");
        Self { items: [value; CAP], len: len.min(CAP) }
    }

    /// The first `CAP` items of an iterator; what exceeds the capacity is left behind.
    #[must_use]
    pub fn collect(items: impl IntoIterator<Item = T>) -> Self {
        let mut out = Self::new();
        for (slot, item) in out.items.iter_mut().zip(items) {
            *slot = item;
            out.len += 1;
        }
        out
    }

    /// Appends `item`, or gives it back when the vector is full.
    ///
    /// # Errors
    /// The item itself, unchanged, when `CAP` items are already held.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        let slot = self.items.get_mut(self.len).ok_or(item)?;
        *slot = item;
        self.len += 1;
        Ok(())
    }

    /// Forgets every item.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl<T: Copy + Default, const CAP: usize> Default for Fixed<T, CAP> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const CAP: usize> Deref for Fixed<T, CAP> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or_default()
    }
}

impl<T, const CAP: usize> DerefMut for Fixed<T, CAP> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.items.get_mut(..self.len).unwrap_or_default()
    }
}

impl<T: PartialEq, const CAP: usize> PartialEq for Fixed<T, CAP> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: fmt::Debug, const CAP: usize> fmt::Debug for Fixed<T, CAP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T, const CAP: usize> IntoIterator for &'a Fixed<T, CAP> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_vector_gives_the_item_back() {
        let mut v = Fixed::<u8, 2>::new();
        assert_eq!((v.push(1), v.push(2), v.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!(&v[..], &[1, 2]);
        v.clear();
        assert!(v.is_empty());
    }

    #[test]
    fn collecting_stops_at_the_capacity() {
        assert_eq!(&Fixed::<i32, 3>::collect(0..9)[..], &[0, 1, 2]);
    }
}
