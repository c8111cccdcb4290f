//! The one switch between the standard library's primitives and loom's models of them.

#[cfg(not(all(test, loom)))]
pub(crate) use std::{
    hint::spin_loop,
    sync::{
        Arc, RwLock, RwLockWriteGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread::yield_now,
};

#[cfg(all(test, loom))]
pub(crate) use {
    loom::{
        hint::spin_loop,
        sync::{
            Arc,
            atomic::{AtomicI64, AtomicU64, Ordering},
        },
        thread::yield_now,
    },
    modelled::{RwLock, RwLockWriteGuard, model},
};

use std::sync::{TryLockError, TryLockResult};

/// The guard, if the lock was free. Nothing that could leave a value half done can panic under a lock of this crate, so a
/// poisoned one is sound.
pub(crate) fn held<G>(tried: TryLockResult<G>) -> Option<G> {
    match tried {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(all(test, loom))]
mod modelled {
    //! A lock for loom. Loom's own does not let another thread run between its acquisition and its release, and orders more
    //! than the standard library promises, so it would hide what happens while a cell is held. This one is, like the
    //! standard library's, an atomic word with acquire and release.

    use std::ops::{Deref, DerefMut};
    use std::sync::{TryLockError, TryLockResult};

    use loom::sync::atomic::{AtomicI64, Ordering};

    /// Runs a model under loom with three preemptions; a fault of a lock-free structure almost always needs but two. What
    /// a model's first thread does itself loom interleaves with nothing: it must only spawn and join.
    pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(body);
    }

    #[derive(Debug)]
    pub(crate) struct RwLock<T> {
        /// Readers; -1 for a writer.
        state: AtomicI64,
        data: std::sync::RwLock<T>,
    }

    pub(crate) struct RwLockReadGuard<'a, T> {
        state: &'a AtomicI64,
        data: Option<std::sync::RwLockReadGuard<'a, T>>,
    }

    pub(crate) struct RwLockWriteGuard<'a, T> {
        state: &'a AtomicI64,
        data: Option<std::sync::RwLockWriteGuard<'a, T>>,
    }

    impl<T> RwLock<T> {
        pub(crate) fn new(data: T) -> Self {
            Self { state: AtomicI64::new(0), data: std::sync::RwLock::new(data) }
        }

        pub(crate) fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
            let enter = |readers| (readers >= 0).then_some(readers + 1);
            if self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_err() {
                return Err(TryLockError::WouldBlock);
            }
            Ok(RwLockReadGuard { state: &self.state, data: Some(self.data.try_read().unwrap()) })
        }

        pub(crate) fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
            if self.state.compare_exchange(0, -1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                return Err(TryLockError::WouldBlock);
            }
            Ok(RwLockWriteGuard { state: &self.state, data: Some(self.data.try_write().unwrap()) })
        }
    }

    impl<T> Deref for RwLockReadGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.data.as_ref().unwrap()
        }
    }

    impl<T> Deref for RwLockWriteGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.data.as_ref().unwrap()
        }
    }

    impl<T> DerefMut for RwLockWriteGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.data.as_mut().unwrap()
        }
    }

    impl<T> Drop for RwLockReadGuard<'_, T> {
        fn drop(&mut self) {
            self.data = None;
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    impl<T> Drop for RwLockWriteGuard<'_, T> {
        fn drop(&mut self) {
            self.data = None;
            self.state.store(0, Ordering::Release);
        }
    }
}
