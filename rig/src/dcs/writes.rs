//! What the DCS takes from the application: strict in type, range and quality; everything else is refused and counted.

use signals::dcs::{DcsTag, Direction, ModeActual, MvTag, WireType, WireValue};
use signals::{Quality, Stamp};

use super::Dcs;

/// A write that the DCS did not take; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WriteRefusal {
    /// The loop has no such tag.
    #[error("{tag}: no such tag")]
    NoSuchTag {
        /// The tag.
        tag: DcsTag,
    },
    /// The tag belongs to someone else.
    #[error("{tag}: not writable for this account")]
    NotWritable {
        /// The tag.
        tag: DcsTag,
    },
    /// The value has another type.
    #[error("{tag}: wants {expected:?}")]
    WrongType {
        /// The tag.
        tag: DcsTag,
        /// The tag's type.
        expected: WireType,
    },
    /// The number is no code of the tag's enumeration.
    #[error("{tag}: no code of its enumeration")]
    NoSuchCode {
        /// The tag.
        tag: DcsTag,
    },
    /// NaN or infinite.
    #[error("{tag}: not finite")]
    NotFinite {
        /// The tag.
        tag: DcsTag,
    },
    /// An answer to a recommendation that does not wait for one, or without a name.
    #[error("{tag}: no such recommendation waits for an answer, or nobody has signed")]
    Stale {
        /// The tag.
        tag: DcsTag,
    },
    /// A set-point outside the clamp.
    #[error("{tag}: {value} is outside the clamp {low} to {high}")]
    OutsideClamp {
        /// The tag.
        tag: DcsTag,
        /// What was asked for.
        value: f64,
        /// Lower end of the clamp.
        low: f64,
        /// Upper end of the clamp.
        high: f64,
    },
}

impl WriteRefusal {
    /// The name under which refusals of this kind are counted.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSuchTag { .. } => "no_such_tag",
            Self::NotWritable { .. } => "not_writable",
            Self::WrongType { .. } => "wrong_type",
            Self::NoSuchCode { .. } => "no_such_code",
            Self::NotFinite { .. } => "not_finite",
            Self::Stale { .. } => "stale",
            Self::OutsideClamp { .. } => "outside_clamp",
        }
    }
}

/// The type of a value.
pub(super) fn wire_type(value: WireValue) -> WireType {
    match value {
        WireValue::Boolean(_) => WireType::Boolean,
        WireValue::UInt16(_) => WireType::UInt16,
        WireValue::UInt32(_) => WireType::UInt32,
        WireValue::Int32(_) => WireType::Int32,
        WireValue::Double(_) => WireType::Double,
        WireValue::String(_) => WireType::String,
    }
}

impl Dcs {
    /// A write under the application's account.
    ///
    /// A value of another quality than good is stored with it and not used; a `SP_REQ` so written is counted as
    /// `bad_quality`. A set-point that asks for a move (it equals no `SP_ACT` of the last two periods within
    /// [`super::SP_TOLERANCE`]) is counted in `writes_while_not_on` when the application does not claim ON, or has held no
    /// lease for more than one control period: it reaches no slave in either case.
    ///
    /// # Errors
    /// [`WriteRefusal`], counted by its reason.
    pub fn write(&mut self, now: Stamp, tag: DcsTag, value: WireValue, quality: Quality) -> Result<(), WriteRefusal> {
        let checked = self.checked(now, tag, value, quality);
        self.counted(checked)
    }

    /// A text under the application's account: `CFG_REV` or `REC.REASON`.
    ///
    /// # Errors
    /// [`WriteRefusal`] for any other tag, counted.
    pub fn write_text(&mut self, tag: DcsTag, text: &str) -> Result<(), WriteRefusal> {
        let slot = match tag {
            DcsTag::CfgRev => &mut self.texts.cfg_rev,
            DcsTag::RecReason => &mut self.texts.rec_reason,
            _ if tag.direction() == Direction::DcsToApc => return self.counted(Err(WriteRefusal::NotWritable { tag })),
            _ => return self.counted(Err(WriteRefusal::WrongType { tag, expected: tag.wire_type() })),
        };
        text.clone_into(slot);
        Ok(())
    }

    /// Counts a refusal that was made before the write came here: a value that is no [`WireValue`] at all.
    pub fn count_refusal(&mut self, refusal: &WriteRefusal) {
        *self.tally.refused_writes.entry(refusal.reason()).or_default() += 1;
    }

    pub(super) fn counted(&mut self, outcome: Result<(), WriteRefusal>) -> Result<(), WriteRefusal> {
        if let Err(refusal) = &outcome {
            self.count_refusal(refusal);
        }
        outcome
    }

    fn checked(&mut self, now: Stamp, tag: DcsTag, value: WireValue, quality: Quality) -> Result<(), WriteRefusal> {
        if tag.direction() == Direction::DcsToApc {
            return Err(WriteRefusal::NotWritable { tag });
        }
        let mut image = self.apc;
        let Some(field) = image.field_mut(tag) else {
            let expected = WireType::String;
            let text = tag.wire_type() == expected;
            return Err(if text { WriteRefusal::WrongType { tag, expected } } else { WriteRefusal::NoSuchTag { tag } });
        };
        let expected = field.wire_type();
        if wire_type(value) != expected {
            return Err(WriteRefusal::WrongType { tag, expected });
        }
        if matches!(value, WireValue::Double(v) if !v.is_finite()) {
            return Err(WriteRefusal::NotFinite { tag });
        }
        if !field.set(Some(value), quality, now) {
            return Err(WriteRefusal::NoSuchCode { tag });
        }
        if let (DcsTag::Mv(n, MvTag::SpReq), WireValue::Double(sp)) = (tag, value) {
            self.judge_setpoint(now, usize::from(n), sp, quality)?;
            if self.mvs.get(usize::from(n)).is_some_and(|mv| !mv.takes_writes) {
                return Ok(());
            }
        }
        if tag == DcsTag::HbApc && quality.is_good() && self.hb_good != Some(image.hb_apc.value) {
            self.hb_good = Some(image.hb_apc.value);
            self.hb_changed_at = now;
        }
        if let (DcsTag::ModeAct, Some(mode)) = (tag, image.mode_act.good()) {
            self.tally.passed_through(mode);
        }
        self.apc = image;
        Ok(())
    }

    fn judge_setpoint(&mut self, now: Stamp, n: usize, sp: f64, quality: Quality) -> Result<(), WriteRefusal> {
        let Some(mv) = self.mvs.get(n) else { return Ok(()) };
        let clamp = mv.config.clamp;
        if !clamp.contains(sp) {
            let tag = DcsTag::Mv(u8::try_from(n).unwrap_or(u8::MAX), MvTag::SpReq);
            return Err(WriteRefusal::OutsideClamp { tag, value: sp, low: clamp.low, high: clamp.high });
        }
        if !quality.is_good() {
            *self.tally.refused_writes.entry("bad_quality").or_default() += 1;
            return Ok(());
        }
        let on = self.apc.mode_act.good() == Some(ModeActual::On);
        let leased = self.leased || now.since(self.lease_lost_at) <= self.period;
        if !mv.tracks(sp) {
            if !(on && leased) {
                self.tally.writes_while_not_on += 1;
            } else if !mv.is_rcas() {
                *self.tally.refused_writes.entry("not_rcas").or_default() += 1;
            }
        }
        Ok(())
    }
}
