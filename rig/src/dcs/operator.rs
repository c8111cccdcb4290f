//! What the operator may do: his tags over the wire, and his hand at the faceplates.

use signals::Stamp;
use signals::dcs::{CvTag, DcsTag, DvTag, ModeRequest, MvMode, MvTag, Wire, WireValue};

use super::writes::wire_type;
use super::{CvPoint, Dcs, WriteRefusal};
use crate::command::{Answer, CommandError, SlaveAction};
use crate::fault::ActuatorFault;
use crate::report::AlarmCause;

/// Whether the operator's account may write a tag.
#[must_use]
pub fn is_operator_tag(tag: DcsTag) -> bool {
    matches!(
        tag,
        DcsTag::ModeReq
            | DcsTag::Permit
            | DcsTag::RecAccept
            | DcsTag::RecReject
            | DcsTag::RecUser
            | DcsTag::Mv(_, MvTag::OprOn | MvTag::LoOpr | MvTag::HiOpr)
            | DcsTag::Cv(_, CvTag::OprOn | CvTag::SpOpr | CvTag::LoOpr | CvTag::HiOpr)
            | DcsTag::Dv(_, DvTag::OprOn)
    )
}

/// A value of the right type and, if it is a number, finite.
fn decoded<T: Wire>(tag: DcsTag, value: WireValue) -> Result<T, WriteRefusal> {
    if wire_type(value) != T::TYPE {
        return Err(WriteRefusal::WrongType { tag, expected: T::TYPE });
    }
    if matches!(value, WireValue::Double(v) if !v.is_finite()) {
        return Err(WriteRefusal::NotFinite { tag });
    }
    T::decode(value).ok_or(WriteRefusal::NoSuchCode { tag })
}

impl Dcs {
    /// A write under the operator's account. Limits may be crossed: the application has to cope with that.
    ///
    /// # Errors
    /// [`WriteRefusal`], counted; nothing has changed.
    pub fn operate(&mut self, now: Stamp, tag: DcsTag, value: WireValue) -> Result<(), WriteRefusal> {
        let outcome = self.operated(now, tag, value);
        self.counted(outcome)
    }

    fn operated(&mut self, now: Stamp, tag: DcsTag, value: WireValue) -> Result<(), WriteRefusal> {
        if !is_operator_tag(tag) {
            return Err(WriteRefusal::NotWritable { tag });
        }
        let no_such = WriteRefusal::NoSuchTag { tag };
        match tag {
            DcsTag::ModeReq => self.request_mode(now, decoded(tag, value)?),
            DcsTag::Permit => self.set_permit(now, decoded(tag, value)?),
            DcsTag::RecUser => self.answers.sign(decoded(tag, value)?),
            DcsTag::RecAccept | DcsTag::RecReject => {
                let answer = if tag == DcsTag::RecAccept { Answer::Accept } else { Answer::Reject };
                let (id, user) = (decoded(tag, value)?, self.answers.signed_by());
                self.answer(now, answer, id, user.as_str()).map_err(|_| WriteRefusal::Stale { tag })?;
            }
            DcsTag::Mv(n, MvTag::OprOn) => {
                let on = decoded(tag, value)?;
                self.switch_mv(usize::from(n), on).map_err(|_| no_such)?;
            }
            DcsTag::Mv(n, end) => {
                let limits = self.mvs.get_mut(usize::from(n)).map(|mv| &mut mv.limits).ok_or(no_such)?;
                let slot = if end == MvTag::LoOpr { &mut limits.0 } else { &mut limits.1 };
                *slot = decoded(tag, value)?;
            }
            DcsTag::Cv(n, cv_tag) => {
                let cv = self.cvs.get_mut(usize::from(n)).ok_or(no_such)?;
                match cv_tag {
                    CvTag::OprOn => cv.opr_on = decoded(tag, value)?,
                    CvTag::LoOpr => cv.limits.0 = decoded(tag, value)?,
                    CvTag::HiOpr => cv.limits.1 = decoded(tag, value)?,
                    _ => *cv.setpoint.as_mut().ok_or(WriteRefusal::NotWritable { tag })? = decoded(tag, value)?,
                }
            }
            DcsTag::Dv(n, _) => *self.dvs_on.get_mut(usize::from(n)).ok_or(no_such)? = decoded(tag, value)?,
            _ => return Err(WriteRefusal::NotWritable { tag }),
        }
        Ok(())
    }

    /// The request. Lowered below ON, it takes every MV back to AUTO where it is.
    pub fn request_mode(&mut self, now: Stamp, mode: ModeRequest) {
        self.mode_req = mode;
        if mode < ModeRequest::On {
            self.release_all(now);
        }
    }

    /// The permissives. Withdrawn, they shed every MV by its option.
    pub fn set_permit(&mut self, now: Stamp, permit: bool) {
        let withdrawn = self.permit && !permit;
        self.permit = permit;
        if withdrawn {
            self.shed_all(now, AlarmCause::PermitWithdrawn);
        }
    }

    /// The operator's switch of MV `n`. Off, the MV goes back to AUTO where it is; on, it waits to be engaged.
    ///
    /// # Errors
    /// There is no such MV.
    pub fn switch_mv(&mut self, n: usize, on: bool) -> Result<(), CommandError> {
        let mv = self.mvs.get_mut(n).ok_or_else(|| no_such("MV", n))?;
        mv.opr_on = on;
        if !on {
            mv.release();
        }
        Ok(())
    }

    /// Whether set-points of MV `n` that are confirmed are also taken.
    ///
    /// # Errors
    /// There is no such MV.
    pub fn take_writes(&mut self, n: usize, taken: bool) -> Result<(), CommandError> {
        self.mvs.get_mut(n).ok_or_else(|| no_such("MV", n))?.takes_writes = taken;
        Ok(())
    }

    /// Gives the actuator of MV `n` a fault, or mends it.
    ///
    /// # Errors
    /// There is no such MV.
    pub fn inject(&mut self, n: usize, fault: Option<ActuatorFault>) -> Result<(), CommandError> {
        self.mvs.get_mut(n).map(|mv| mv.slave.set_fault(fault)).ok_or_else(|| no_such("MV", n))
    }

    /// The operator's switch of CV `n`.
    ///
    /// # Errors
    /// There is no such CV.
    pub fn switch_cv(&mut self, n: usize, on: bool) -> Result<(), CommandError> {
        self.cv_mut(n).map(|cv| cv.opr_on = on)
    }

    /// The operator's switch of DV `n`.
    ///
    /// # Errors
    /// There is no such DV.
    pub fn switch_dv(&mut self, n: usize, on: bool) -> Result<(), CommandError> {
        self.dvs_on.get_mut(n).map(|slot| *slot = on).ok_or_else(|| no_such("DV", n))
    }

    /// The operator's set-point of CV `n`, in its unit.
    ///
    /// # Errors
    /// There is no such CV, it has limits only, or the value leaves the measurement's range.
    pub fn set_setpoint(&mut self, n: usize, value: f64) -> Result<(), CommandError> {
        let cv = self.cv_mut(n)?;
        let range = cv.config.range;
        if !range.contains(value) {
            return Err(CommandError::OutOfRange { value, low: range.low, high: range.high });
        }
        *cv.setpoint.as_mut().ok_or(CommandError::NoSetpoint { number: n + 1 })? = value;
        Ok(())
    }

    /// The operator's limits of CV `n`; they may be crossed.
    ///
    /// # Errors
    /// There is no such CV.
    pub fn set_cv_limits(&mut self, n: usize, low: f64, high: f64) -> Result<(), CommandError> {
        self.cv_mut(n).map(|cv| cv.limits = (low, high))
    }

    /// The operator's limits of MV `n`; they may be crossed.
    ///
    /// # Errors
    /// There is no such MV.
    pub fn set_mv_limits(&mut self, n: usize, low: f64, high: f64) -> Result<(), CommandError> {
        self.mvs.get_mut(n).map(|mv| mv.limits = (low, high)).ok_or_else(|| no_such("MV", n))
    }

    /// The operator's hand at the slave loop of MV `n`.
    ///
    /// # Errors
    /// There is no such MV, its mode does not take the action, or the value leaves the clamp.
    pub fn at_slave(&mut self, n: usize, action: SlaveAction) -> Result<(), CommandError> {
        let mv = self.mvs.get_mut(n).ok_or_else(|| no_such("MV", n))?;
        let (mode, clamp) = (mv.slave.mode(), mv.config.clamp);
        let wrong_mode = Err(CommandError::WrongMode { number: n + 1, mode });
        match action {
            SlaveAction::Mode(MvMode::Rcas) => return wrong_mode,
            SlaveAction::Mode(wanted) => mv.change_mode(wanted),
            SlaveAction::Setpoint(_) if mode != MvMode::Auto => return wrong_mode,
            SlaveAction::Setpoint(value) if !clamp.contains(value) => {
                return Err(CommandError::OutOfRange { value, low: clamp.low, high: clamp.high });
            }
            SlaveAction::Setpoint(value) => mv.slave.set_target(value),
            SlaveAction::Output(_) if mode != MvMode::Man => return wrong_mode,
            SlaveAction::Output(value) => mv.slave.set_output(value),
        }
        Ok(())
    }

    fn cv_mut(&mut self, n: usize) -> Result<&mut CvPoint, CommandError> {
        self.cvs.get_mut(n).ok_or_else(|| no_such("CV", n))
    }
}

fn no_such(kind: &str, n: usize) -> CommandError {
    CommandError::NoSuchVariable { what: format!("{kind}{}", n + 1) }
}
