//! The two images of the interface: what the DCS says, and what we say.

use super::modes::{CvStatus, ModeActual, ModeRequest, MvMode, MvStatus, RecStatus, ShedOption, Windup};
use super::tags::{CvTag, DcsTag, DvTag, MvTag};
use super::wire::{Reading, Text, Wire, WireType, WireValue};
use crate::vote::TRANSMITTERS;
use crate::{Fixed, MAX_CVS, MAX_DVS, MAX_MVS, Quality, Spared, Stamp, TagId};

/// One field of an image, seen by an adapter that knows only tags.
pub trait WireField {
    /// The field's type on the wire.
    fn wire_type(&self) -> WireType;
    /// What the field holds.
    fn get(&self) -> Reading<WireValue>;
    /// Stores what came over the wire. A missing value, one of another type, or one outside its enumeration makes the
    /// field bad, and the answer `false`; the old value stays beside the bad quality.
    fn set(&mut self, value: Option<WireValue>, quality: Quality, source_time: Stamp) -> bool;
}

impl<T: Wire> WireField for Reading<T> {
    fn wire_type(&self) -> WireType {
        T::TYPE
    }

    fn get(&self) -> Reading<WireValue> {
        Reading { value: self.value.encode(), quality: self.quality, source_time: self.source_time }
    }

    fn set(&mut self, value: Option<WireValue>, quality: Quality, source_time: Stamp) -> bool {
        self.source_time = source_time;
        match value.and_then(T::decode) {
            Some(value) => {
                self.value = value;
                self.quality = quality;
                true
            }
            None => {
                self.quality = Quality::Bad;
                false
            }
        }
    }
}

impl DcsTag {
    /// Its type on the wire: that of its field, and a text where no image has one.
    #[must_use]
    pub fn wire_type(self) -> WireType {
        let size = usize::from(self.number()) + 1;
        let mut dcs = DcsView::sized(size, size, size).with_spares(Spared::ALL);
        let mut apc = ApcView::sized(size, size);
        let field = dcs.field_mut(self).or_else(|| apc.field_mut(self)).map(|f| f.wire_type());
        field.unwrap_or(WireType::String)
    }
}

/// What the DCS says of one MV.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct MvRead {
    pub sp_act: Reading<f64>,
    pub mode: Reading<MvMode>,
    pub opr_on: Reading<bool>,
    pub init_req: Reading<bool>,
    pub windup: Reading<Windup>,
    pub lo_opr: Reading<f64>,
    pub hi_opr: Reading<f64>,
    pub clamp_lo: Reading<f64>,
    pub clamp_hi: Reading<f64>,
    /// Largest rate of change, in engineering units per second of plant time.
    pub roc_max: Reading<f64>,
    pub shed_opt: Reading<ShedOption>,
}

/// What the two spare transmitters of a variable say.
pub type Spares = [Reading<f64>; TRANSMITTERS - 1];

/// What the DCS says of one CV.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct CvRead {
    pub pv: Reading<f64>,
    pub opr_on: Reading<bool>,
    pub sp_opr: Reading<f64>,
    pub lo_opr: Reading<f64>,
    pub hi_opr: Reading<f64>,
    /// `PV_B` and `PV_C`; `None` where there are none.
    pub spares: Option<Spares>,
}

/// What the DCS says of one DV.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct DvRead {
    pub pv: Reading<f64>,
    pub opr_on: Reading<bool>,
    /// `PV_B` and `PV_C`; `None` where there are none.
    pub spares: Option<Spares>,
}

/// The answer of a person to a recommendation. What stands in `accept` and `reject` is the number that it quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct RecRead {
    pub accept: Reading<u32>,
    pub reject: Reading<u32>,
    pub user: Reading<Text>,
}

/// Everything that the DCS owns and we read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct DcsView {
    pub hb_echo: Reading<u32>,
    pub hb_dcs: Reading<u32>,
    pub mode_req: Reading<ModeRequest>,
    pub lease: Reading<u32>,
    pub permit: Reading<bool>,
    pub wd_ok: Reading<bool>,
    pub rec: RecRead,
    pub mvs: Fixed<MvRead, MAX_MVS>,
    pub cvs: Fixed<CvRead, MAX_CVS>,
    pub dvs: Fixed<DvRead, MAX_DVS>,
}

impl DcsView {
    /// An image of which nothing is known yet: every field bad. Nothing has spare transmitters.
    #[must_use]
    pub fn sized(mvs: usize, cvs: usize, dvs: usize) -> Self {
        Self {
            mvs: Fixed::filled(MvRead::default(), mvs),
            cvs: Fixed::filled(CvRead::default(), cvs),
            dvs: Fixed::filled(DvRead::default(), dvs),
            ..Self::default()
        }
    }

    /// The same image where these tags have spare transmitters, of which nothing is known yet.
    #[must_use]
    pub fn with_spares(mut self, spared: Spared) -> Self {
        let (cvs, dvs) = (self.cvs.iter_mut().map(|cv| &mut cv.spares), self.dvs.iter_mut().map(|dv| &mut dv.spares));
        for (tag, spares) in (0..).map(TagId).zip(cvs.chain(dvs)) {
            *spares = spared.has(tag).then(Spares::default);
        }
        self
    }

    /// What a variable's own transmitter (0) or one of its spares (1, 2) says; `None` where there is no such transmitter.
    #[must_use]
    pub fn measurement(&self, tag: TagId, transmitter: usize) -> Option<Reading<f64>> {
        let (pv, spares) = match tag.index().checked_sub(self.cvs.len()) {
            None => self.cvs.get(tag.index()).map(|cv| (cv.pv, cv.spares))?,
            Some(dv) => self.dvs.get(dv).map(|dv| (dv.pv, dv.spares))?,
        };
        match transmitter.checked_sub(1) {
            None => Some(pv),
            Some(spare) => spares?.get(spare).copied(),
        }
    }

    /// The field of a tag; `None` for a tag that the DCS does not own or that this loop does not have.
    pub fn field_mut(&mut self, tag: DcsTag) -> Option<&mut dyn WireField> {
        Some(match tag {
            DcsTag::HbEcho => &mut self.hb_echo,
            DcsTag::HbDcs => &mut self.hb_dcs,
            DcsTag::ModeReq => &mut self.mode_req,
            DcsTag::Lease => &mut self.lease,
            DcsTag::Permit => &mut self.permit,
            DcsTag::WdOk => &mut self.wd_ok,
            DcsTag::RecAccept => &mut self.rec.accept,
            DcsTag::RecReject => &mut self.rec.reject,
            DcsTag::RecUser => &mut self.rec.user,
            DcsTag::Mv(n, tag) => return self.mvs.get_mut(usize::from(n))?.field_mut(tag),
            DcsTag::Cv(n, tag) => return self.cvs.get_mut(usize::from(n))?.field_mut(tag),
            DcsTag::Dv(n, tag) => return self.dvs.get_mut(usize::from(n))?.field_mut(tag),
            _ => return None,
        })
    }
}

impl MvRead {
    fn field_mut(&mut self, tag: MvTag) -> Option<&mut dyn WireField> {
        Some(match tag {
            MvTag::SpAct => &mut self.sp_act,
            MvTag::Mode => &mut self.mode,
            MvTag::OprOn => &mut self.opr_on,
            MvTag::InitReq => &mut self.init_req,
            MvTag::Windup => &mut self.windup,
            MvTag::LoOpr => &mut self.lo_opr,
            MvTag::HiOpr => &mut self.hi_opr,
            MvTag::ClampLo => &mut self.clamp_lo,
            MvTag::ClampHi => &mut self.clamp_hi,
            MvTag::RocMax => &mut self.roc_max,
            MvTag::ShedOpt => &mut self.shed_opt,
            MvTag::SpReq | MvTag::InitAck | MvTag::Sts => return None,
        })
    }
}

impl CvRead {
    fn field_mut(&mut self, tag: CvTag) -> Option<&mut dyn WireField> {
        Some(match tag {
            CvTag::Pv => &mut self.pv,
            CvTag::OprOn => &mut self.opr_on,
            CvTag::SpOpr => &mut self.sp_opr,
            CvTag::LoOpr => &mut self.lo_opr,
            CvTag::HiOpr => &mut self.hi_opr,
            CvTag::PvB => spare(&mut self.spares, 0)?,
            CvTag::PvC => spare(&mut self.spares, 1)?,
            CvTag::SsTgt | CvTag::Pred | CvTag::Sts => return None,
        })
    }
}

impl DvRead {
    fn field_mut(&mut self, tag: DvTag) -> Option<&mut dyn WireField> {
        Some(match tag {
            DvTag::Pv => &mut self.pv,
            DvTag::OprOn => &mut self.opr_on,
            DvTag::PvB => spare(&mut self.spares, 0)?,
            DvTag::PvC => spare(&mut self.spares, 1)?,
        })
    }
}

fn spare(spares: &mut Option<Spares>, n: usize) -> Option<&mut Reading<f64>> {
    spares.as_mut()?.get_mut(n)
}

/// What we say of one MV.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct MvWrite {
    pub sp_req: Reading<f64>,
    pub init_ack: Reading<bool>,
    pub sts: Reading<MvStatus>,
}

/// What we say of one CV.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct CvWrite {
    pub ss_tgt: Reading<f64>,
    pub pred: Reading<f64>,
    pub sts: Reading<CvStatus>,
}

/// A recommendation to a person, void after its expiry. Its reason is a text and passes beside the image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct Recommendation {
    pub id: Reading<u32>,
    pub status: Reading<RecStatus>,
    /// The number that the last answer quoted that was refused as stale; 0 for none.
    pub stale_id: Reading<u32>,
    pub expiry_s: Reading<f64>,
    pub sp: Fixed<Reading<f64>, MAX_MVS>,
    /// Each CV at the end of the horizon, if the set-points are taken.
    pub pred: Fixed<Reading<f64>, MAX_CVS>,
    /// Each CV at the end of the horizon, if the set-points stay where they are.
    pub hold: Fixed<Reading<f64>, MAX_CVS>,
}

/// Everything that we write and the DCS reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each field is the tag of that name in docs/dcs-interface.md")]
pub struct ApcView {
    pub hb_apc: Reading<u32>,
    pub mode_act: Reading<ModeActual>,
    pub shed_reason: Reading<u16>,
    pub solve_sts: Reading<u16>,
    pub cycle_ms: Reading<u32>,
    pub overruns: Reading<u32>,
    pub rec: Recommendation,
    pub mvs: Fixed<MvWrite, MAX_MVS>,
    pub cvs: Fixed<CvWrite, MAX_CVS>,
}

impl ApcView {
    /// An image of which nothing was written yet: every field bad.
    #[must_use]
    pub fn sized(mvs: usize, cvs: usize) -> Self {
        Self {
            rec: Recommendation {
                sp: Fixed::filled(Reading::default(), mvs),
                pred: Fixed::filled(Reading::default(), cvs),
                hold: Fixed::filled(Reading::default(), cvs),
                ..Recommendation::default()
            },
            mvs: Fixed::filled(MvWrite::default(), mvs),
            cvs: Fixed::filled(CvWrite::default(), cvs),
            ..Self::default()
        }
    }

    /// The field of a tag; `None` for a text, a tag that we do not own, or one that this loop does not have.
    pub fn field_mut(&mut self, tag: DcsTag) -> Option<&mut dyn WireField> {
        Some(match tag {
            DcsTag::HbApc => &mut self.hb_apc,
            DcsTag::ModeAct => &mut self.mode_act,
            DcsTag::ShedReason => &mut self.shed_reason,
            DcsTag::SolveSts => &mut self.solve_sts,
            DcsTag::CycleMs => &mut self.cycle_ms,
            DcsTag::Overruns => &mut self.overruns,
            DcsTag::RecId => &mut self.rec.id,
            DcsTag::RecStatus => &mut self.rec.status,
            DcsTag::RecStaleId => &mut self.rec.stale_id,
            DcsTag::RecExpiryS => &mut self.rec.expiry_s,
            DcsTag::RecPred(n) => self.rec.pred.get_mut(usize::from(n))?,
            DcsTag::RecHold(n) => self.rec.hold.get_mut(usize::from(n))?,
            DcsTag::RecSp(n) => self.rec.sp.get_mut(usize::from(n))?,
            DcsTag::Mv(n, MvTag::SpReq) => &mut self.mvs.get_mut(usize::from(n))?.sp_req,
            DcsTag::Mv(n, MvTag::InitAck) => &mut self.mvs.get_mut(usize::from(n))?.init_ack,
            DcsTag::Mv(n, MvTag::Sts) => &mut self.mvs.get_mut(usize::from(n))?.sts,
            DcsTag::Cv(n, CvTag::SsTgt) => &mut self.cvs.get_mut(usize::from(n))?.ss_tgt,
            DcsTag::Cv(n, CvTag::Pred) => &mut self.cvs.get_mut(usize::from(n))?.pred,
            DcsTag::Cv(n, CvTag::Sts) => &mut self.cvs.get_mut(usize::from(n))?.sts,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tags::Direction;
    use super::*;

    #[test]
    fn a_value_of_the_wrong_type_makes_the_field_bad() {
        let mut view = DcsView::sized(1, 1, 0);
        let pv = view.field_mut(DcsTag::Cv(0, CvTag::Pv)).unwrap();
        assert!(pv.set(Some(WireValue::Double(0.6)), Quality::Good, Stamp::ZERO));
        assert!(!pv.set(Some(WireValue::Int32(1)), Quality::Good, Stamp::ZERO));
        assert_eq!(view.cvs[0].pv.good(), None);
        assert!(!view.field_mut(DcsTag::ModeReq).unwrap().set(Some(WireValue::Int32(9)), Quality::Good, Stamp::ZERO));
        assert_eq!(view.mode_req.good(), None);
    }

    #[test]
    fn nothing_is_known_of_a_new_image() {
        let mut view = DcsView::sized(2, 2, 1);
        assert!(view.field_mut(DcsTag::Mv(2, MvTag::Mode)).is_none());
        for tag in DcsTag::all(2, 2, 1) {
            assert!(view.field_mut(tag).is_none_or(|f| f.get().quality == Quality::Bad), "{tag}");
        }
    }

    #[test]
    fn every_tag_lives_in_the_image_of_its_owner_and_in_no_other() {
        let spared = Spared::collect([false, true, false, true]);
        let (mut dcs, mut apc) = (DcsView::sized(2, 3, 1).with_spares(spared), ApcView::sized(2, 3));
        for tag in DcsTag::all(2, 3, 1).into_iter().chain(DcsTag::spares(3, 1, spared)) {
            let text = tag.is_beside();
            assert!(!text || tag.wire_type() == WireType::String, "{tag}");
            assert_eq!(dcs.field_mut(tag).is_some(), !text && tag.direction() == Direction::DcsToApc, "{tag}");
            assert_eq!(apc.field_mut(tag).is_some(), !text && tag.direction() == Direction::ApcToDcs, "{tag}");
        }
    }

    #[test]
    fn a_spare_is_in_the_image_only_where_there_is_one() {
        let spared = Spared::collect([false, true, true]);
        let mut view = DcsView::sized(1, 2, 1).with_spares(spared);
        assert!(view.field_mut(DcsTag::Cv(0, CvTag::PvB)).is_none());
        let tags: Vec<_> = DcsTag::spares(2, 1, spared).collect();
        assert_eq!(tags.first().map(|tag| tag.wire_type()), Some(WireType::Double));
        for (tag, value) in tags.iter().zip([3.0, 4.0, 5.0, 6.0]) {
            let field = view.field_mut(*tag).unwrap();
            assert!(field.set(Some(WireValue::Double(value)), Quality::Uncertain, Stamp::ZERO));
        }
        let says = |tag, n| view.measurement(TagId(tag), n).map(|pv| pv.value);
        assert_eq!([says(1, 0), says(1, 1), says(1, 2)], [Some(0.0), Some(3.0), Some(4.0)]);
        assert_eq!([says(2, 0), says(2, 1), says(2, 2)], [Some(0.0), Some(5.0), Some(6.0)]);
        assert_eq!([says(0, 0), says(0, 1), says(1, 3), says(3, 0)], [Some(0.0), None, None, None]);
        assert_eq!(view.measurement(TagId(1), 1).map(|pv| pv.quality), Some(Quality::Uncertain));
    }
}
