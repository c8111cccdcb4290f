//! Faults of the controller. They act on what the solver has answered and on what was selected, between two steps of the
//! loop ([`crate::bed`]); the interlock behind it trusts no controller, and does not know.

/// What is wrong with the controller.
#[derive(Clone, Debug, PartialEq)]
pub enum ControllerFault {
    /// The programme has no solution.
    Infeasible,
    /// Answers come late.
    TimeOut {
        /// By so much, in seconds of plant time; beyond the run, never.
        late_s: f64,
    },
    /// The controller believes in another plant: the gain of one input is another. Of a whole run: a controller does not
    /// change its model.
    WrongModel {
        /// The input, counted from 0.
        input: usize,
        /// The factor on its gain; -1 flips the sign.
        gain: f64,
    },
    /// A policy off its ground: it asks for one end of the range and then for the other.
    OutOfDistribution,
    /// A stage panics in its step.
    Panic {
        /// The stage.
        stage: String,
        /// How often.
        times: u32,
    },
    /// The weights are NaN, and so is what is proposed.
    NanWeights,
    /// What a stage keeps for its next incarnation makes that one crash too, until it is no longer believed.
    CorruptCheckpoint {
        /// The stage.
        stage: String,
    },
    /// The controller hands out the same answer for ever.
    FrozenOutput,
}

impl ControllerFault {
    /// How often a stage crashes on a memory that is not believed after the second time.
    pub const POISONED: u32 = 3;

    /// Whether it acts on what is proposed.
    #[must_use]
    pub fn is_of_the_proposal(&self) -> bool {
        matches!(self, Self::OutOfDistribution | Self::NanWeights | Self::FrozenOutput)
    }

    /// Whether it acts on what the solver answers.
    #[must_use]
    pub fn is_of_the_answer(&self) -> bool {
        matches!(self, Self::Infeasible | Self::TimeOut { .. })
    }
}
