//! The control plane: how a stage is told what is not in its slots (retune, mode, reset), from outside the cycle.

use slots::{Bounded, Full};

use super::doorbell::Doorbell;

/// The address of a stage's commands: a queue of at most `N`, and the stage's bell. Neither belongs to an incarnation, so
/// the address is stable and what was accepted is met by the next one. Clones share both.
///
/// The stage is given the queue, and receives in its step until there is nothing left. What stands behind a command that
/// crashes its stage is met at the next ring.
#[derive(Debug)]
pub struct Handle<T, const N: usize> {
    queue: Bounded<T, N>,
    bell: Doorbell,
}

impl<T, const N: usize> Handle<T, N> {
    /// A handle on the stage behind `bell`, which is to receive from `queue`.
    #[must_use]
    pub fn new(queue: Bounded<T, N>, bell: Doorbell) -> Self {
        Self { queue, bell }
    }

    /// Sends a command and rings. `wall_ns` as in [`Doorbell::ring`].
    ///
    /// # Errors
    /// [`Full`], with the command, which is counted in [`Bounded::rejected`]; nobody is rung.
    pub fn try_send(&self, command: T, wall_ns: i64) -> Result<(), Full<T>> {
        self.queue.try_send(command)?;
        self.bell.ring(wall_ns);
        Ok(())
    }

    /// How many commands were given back.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.queue.rejected()
    }
}

impl<T, const N: usize> Clone for Handle<T, N> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: self.bell.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::super::supervision::{Backoff, ChildSpec, Escalation, RestartPolicy, Supervised, Surroundings};
    use super::super::{Clock, Stage, Telemetry, Unobserved, Unwitnessed};
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Command {
        Retune(u32),
        Crash,
    }

    /// Notes what it is told, and crashes when told to.
    #[derive(Debug)]
    struct Told {
        commands: Bounded<Command, 4>,
        seen: Arc<Mutex<Vec<u32>>>,
    }

    impl Stage for Told {
        fn step(&mut self, _now: signals::Stamp) {
            while let Some(command) = self.commands.receive() {
                let Command::Retune(to) = command else { panic!("injected") };
                self.seen.lock().unwrap().push(to);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_outlives_the_incarnation_it_was_sent_to() {
        let (commands, seen, bell) = (Bounded::new(), Arc::new(Mutex::new(Vec::new())), Doorbell::new());
        let handle = Handle::new(commands.clone(), bell.clone());
        let told = seen.clone();
        let make: Box<dyn FnMut() -> Box<dyn Stage> + Send> =
            Box::new(move || Box::new(Told { commands: commands.clone(), seen: told.clone() }));
        let children = vec![ChildSpec { name: "told", bell, backoff: Backoff::Periods, make }];
        let policy = RestartPolicy { period: Duration::from_secs(1), intensity: 3, window_periods: 60 };
        let telemetry = Telemetry::new(Box::new(Unobserved));
        let around = Surroundings {
            clock: Clock::of_tokio(),
            telemetry: telemetry.clone(),
            escalation: Escalation::default(),
            witness: Arc::new(Unwitnessed),
        };
        let tree = Supervised::start(children, policy, around).await.unwrap();
        for command in [Command::Retune(1), Command::Crash, Command::Retune(2), Command::Retune(3)] {
            handle.try_send(command, 0).unwrap();
        }
        assert_eq!(handle.try_send(Command::Retune(4), 0).unwrap_err().message, Command::Retune(4));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!((seen.lock().unwrap().clone(), telemetry.restarts()), (vec![1], 1));
        // The incarnation that crashed had answered for those behind; the next ring brings them in.
        handle.try_send(Command::Retune(5), 0).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!((seen.lock().unwrap().clone(), handle.rejected()), (vec![1, 2, 3, 5], 1));
        tree.stop().await;
    }
}
