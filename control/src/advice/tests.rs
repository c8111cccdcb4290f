//! The keeper of recommendations, driven by tables of what happens at its tags.

use std::time::Duration;

use signals::dcs::{DcsView, Reading, RecStatus, Text};
use signals::{Fixed, Proposer, Quality, Stamp, Values};

use super::*;

const EXPIRY_S: f64 = 100.0;
const HORIZON_S: f64 = 200.0;

/// An adviser of one MV and one CV beside a DCS, one image a second, a cycle every ten.
struct Bench {
    adviser: Adviser,
    dcs: DcsView,
    image: u64,
    advising: bool,
    /// Where the plan of each cycle leads.
    target: Option<f64>,
    violates: Option<Violates>,
    news: Vec<News>,
    advised: Advised,
}

fn good<T: Copy>(value: T) -> Reading<T> {
    Reading::of(value, Stamp::ZERO)
}

impl Bench {
    fn new() -> Self {
        Self::with_numbers(0, 0)
    }

    /// These numbers stand on the answer tags at the start.
    fn with_numbers(accept: u32, reject: u32) -> Self {
        let worth = Worth { offer: 1.0, supersede: 5.0 };
        let seconds = Duration::from_secs_f64;
        let config =
            AdviserConfig { expiry: seconds(EXPIRY_S), horizon: seconds(HORIZON_S), mvs: Fixed::filled(worth, 1) };
        let mut dcs = DcsView::sized(1, 1, 0);
        dcs.rec.accept = good(accept);
        dcs.rec.reject = good(reject);
        dcs.rec.user = good(Text::new("Meyer"));
        let cv = &mut dcs.cvs[0];
        (cv.pv, cv.opr_on, cv.sp_opr) = (good(0.5), good(true), good(0.6));
        (cv.lo_opr, cv.hi_opr) = (good(0.2), good(0.8));
        Self {
            adviser: Adviser::new(config),
            dcs,
            image: 0,
            advising: true,
            target: Some(60.0),
            violates: None,
            news: Vec::new(),
            advised: Advised::default(),
        }
    }

    fn step(&mut self) {
        self.image += 1;
        let (image, cycle) = (self.image, self.image / 10 + 1);
        let proposed = Proposed {
            cycle,
            proposer: Proposer::Mpc,
            target: self.target.map(|u| Values::filled(u, 1)),
            u_now: Values::filled(50.0, 1),
            concerns: Fixed::filled(true, 1),
            low: Values::filled(10.0, 1),
            high: Values::filled(90.0, 1),
            violates: Fixed::filled(self.violates, 1),
        };
        let proposed = (image % 10 == 3).then_some(proposed);
        let now = Stamp::from_secs_f64(image as f64);
        let input =
            AdviserInput { now, cycle, image, dcs: &self.dcs, advising: self.advising, proposed: proposed.as_ref() };
        let mut foretell = |u: &Values<MAX_MVS>| {
            Some(Foretold { hold: Values::filled(0.5, 1), pred: Values::filled(u[0] / 100.0, 1) })
        };
        let news = &mut self.news;
        self.advised = self.adviser.step(&input, &mut foretell, &mut |it| news.push(it));
    }

    fn steps(&mut self, n: usize) -> &mut Self {
        (0..n).for_each(|_| self.step());
        self
    }

    /// A recommendation is open; its number.
    fn offered() -> (Self, u32) {
        let mut bench = Self::new();
        bench.steps(3);
        assert_eq!(bench.advised.status, RecStatus::Open);
        let id = bench.id();
        (bench, id)
    }

    fn id(&self) -> u32 {
        self.advised.advice.map_or(0, |advice| advice.id)
    }

    /// A number is written to a tag, and the two steps pass that it takes to be judged.
    fn answer(&mut self, answer: Answer, id: u32) -> Option<Verdict> {
        let tag = if answer == Answer::Accept { &mut self.dcs.rec.accept } else { &mut self.dcs.rec.reject };
        tag.value = id;
        let told = self.news.len();
        self.steps(2);
        self.news[told..].iter().find_map(|news| match news {
            News::Answered { verdict, .. } => Some(*verdict),
            _ => None,
        })
    }
}

#[test]
fn a_recommendation_is_what_the_plan_leads_to_inside_the_bounds_with_its_expected_effect() {
    let (bench, id) = Bench::offered();
    let advice = bench.advised.advice.unwrap();
    assert_eq!((id, advice.u[0], advice.from[0], advice.proposer), (1, 60.0, 50.0, Proposer::Mpc));
    assert_eq!(advice.expires_at.since(advice.offered_at), Duration::from_secs_f64(EXPIRY_S));
    let effect = advice.effects[0];
    assert_eq!((effect.hold, effect.pred, effect.setpoint, effect.limits), (0.5, 0.6, Some(0.6), Some((0.2, 0.8))));
    assert_eq!(bench.news, [News::Offered(advice)]);
    let mut beyond = Bench::new();
    beyond.target = Some(1000.0);
    beyond.steps(3);
    assert_eq!(beyond.advised.advice.unwrap().u[0], 90.0);
    beyond.target = Some(f64::NAN);
    beyond.steps(10);
    assert_eq!(beyond.advised.advice.unwrap().u[0], 90.0, "NaN is not offered");
}

#[test]
fn an_answer_to_the_open_number_is_taken_and_any_other_is_stale() {
    type Meanwhile = fn(&mut Bench);
    let cases: [(&str, Meanwhile, u32, Verdict); 7] = [
        ("the open one", |_| {}, 0, Verdict::Taken),
        ("a number that never was", |_| {}, 7, Verdict::Stale),
        (
            "superseded",
            |b| {
                b.target = Some(70.0);
                b.steps(10);
            },
            0,
            Verdict::Stale,
        ),
        (
            "a plan that differs by less than the tolerance",
            |b| {
                b.target = Some(64.0);
                b.steps(10);
            },
            0,
            Verdict::Taken,
        ),
        (
            "expired",
            |b| {
                b.target = None;
                b.steps(25);
                b.target = Some(60.0);
                b.steps(90);
            },
            0,
            Verdict::Stale,
        ),
        (
            "withdrawn with ADVISORY",
            |b| {
                b.advising = false;
                b.steps(1);
            },
            0,
            Verdict::Stale,
        ),
        (
            "withdrawn for want of a plan",
            |b| {
                b.target = None;
                b.steps(40);
            },
            0,
            Verdict::Stale,
        ),
    ];
    for (what, meanwhile, off, verdict) in cases {
        for answer in [Answer::Accept, Answer::Reject] {
            let (mut bench, id) = Bench::offered();
            meanwhile(&mut bench);
            assert_eq!(bench.answer(answer, id + off), Some(verdict), "{what} {answer:?}");
            let (tally, stale) = (bench.advised.tally, verdict == Verdict::Stale);
            assert_eq!((tally.refused_stale, bench.advised.stale_id != 0), (u64::from(stale), stale), "{what}");
            assert_eq!(tally.accepted + tally.rejected, u64::from(!stale), "{what}");
            let status = if answer == Answer::Accept { RecStatus::Accepted } else { RecStatus::Rejected };
            assert_eq!(bench.advised.status == status, !stale, "{what}");
        }
    }
}

#[test]
fn what_is_answered_is_stale_afterwards() {
    let (mut bench, id) = Bench::offered();
    assert_eq!(bench.answer(Answer::Accept, id), Some(Verdict::Taken));
    assert_eq!(bench.answer(Answer::Reject, id), Some(Verdict::Stale));
    assert_eq!(bench.answer(Answer::Accept, 0), None, "0 is no number");
    assert_eq!(bench.answer(Answer::Accept, id), Some(Verdict::Stale));
    assert_eq!(bench.advised.status, RecStatus::Accepted, "and it stays what it was");
}

#[test]
fn an_answer_is_in_time_by_when_it_was_seen() {
    for (wait, verdict) in [(99, Verdict::Taken), (101, Verdict::Stale)] {
        let (mut bench, id) = Bench::offered();
        bench.steps(wait);
        assert_eq!(bench.answer(Answer::Accept, id), Some(verdict), "{wait} s");
    }
}

#[test]
fn what_stood_there_at_the_start_and_what_is_bad_is_no_answer() {
    let mut bench = Bench::with_numbers(1, 0);
    bench.steps(30);
    assert_eq!((bench.advised.status, bench.id()), (RecStatus::Open, 2), "numbers begin behind what stood there");
    bench.dcs.rec.accept = Reading { quality: Quality::Bad, ..good(2) };
    bench.steps(3);
    assert_eq!(bench.advised.status, RecStatus::Open);
    bench.dcs.rec.accept = good(1);
    bench.steps(3);
    assert_eq!(
        (bench.advised.status, bench.advised.tally.refused_stale),
        (RecStatus::Open, 0),
        "the old one came back"
    );
    assert_eq!(bench.answer(Answer::Accept, 2), Some(Verdict::Taken), "the negative control");
}

#[test]
fn nothing_is_offered_to_a_dcs_that_cannot_answer() {
    let mut bench = Bench::new();
    bench.dcs.rec.reject.quality = Quality::Bad;
    assert_eq!(bench.steps(30).advised.advice, None);
    bench.dcs.rec.reject.quality = Quality::Good;
    assert!(bench.steps(10).advised.advice.is_some());
}

#[test]
fn an_answer_needs_a_name_and_the_name_may_come_an_image_later() {
    for nameless in
        [good(Text::default()), good(Text::new("  ")), Reading { quality: Quality::Bad, ..good(Text::new("M")) }]
    {
        let (mut bench, id) = Bench::offered();
        bench.dcs.rec.user = nameless;
        assert_eq!(bench.answer(Answer::Accept, id), Some(Verdict::Unsigned));
        assert_eq!((bench.advised.status, bench.advised.tally.refused_unsigned), (RecStatus::Open, 1));
        bench.dcs.rec.accept.value = 0;
        bench.steps(1);
        bench.dcs.rec.accept.value = id;
        bench.steps(1);
        bench.dcs.rec.user = good(Text::new("Schmidt"));
        bench.steps(1);
        assert_eq!(bench.advised.status, RecStatus::Accepted);
        assert!(matches!(bench.news.last(), Some(News::Answered { user, .. }) if user.as_str() == "Schmidt"));
    }
}

#[test]
fn of_two_answers_at_once_the_rejection_counts() {
    let (mut bench, id) = Bench::offered();
    (bench.dcs.rec.accept.value, bench.dcs.rec.reject.value) = (id, id);
    bench.steps(2);
    let tally = bench.advised.tally;
    assert_eq!((bench.advised.status, tally.rejected, tally.accepted), (RecStatus::Rejected, 1, 0));
    assert_eq!(tally.refused_stale, 1);
}

#[test]
fn an_answer_that_waits_to_be_judged_is_not_overtaken_by_a_new_plan() {
    let (mut bench, id) = Bench::offered();
    bench.steps(8);
    // Seen in image 12; image 13 brings a plan that would supersede.
    bench.dcs.rec.accept.value = id;
    bench.target = Some(80.0);
    bench.steps(1);
    assert_eq!(bench.image, 12);
    bench.steps(1);
    assert_eq!((bench.advised.tally.accepted, bench.advised.tally.refused_stale), (1, 0));
}

#[test]
fn the_same_is_not_offered_again_for_a_while_after_an_answer_and_another_is() {
    for answer in [Answer::Accept, Answer::Reject] {
        let (mut bench, id) = Bench::offered();
        bench.answer(answer, id);
        bench.steps(80);
        assert_eq!(bench.id(), id, "{answer:?}: not renewed");
        bench.steps(30);
        assert_eq!(bench.id(), id + 1, "{answer:?}: after its time it is news again");
        let (mut bench, id) = Bench::offered();
        bench.answer(answer, id);
        bench.target = Some(70.0);
        bench.steps(10);
        assert_eq!(bench.id(), id + 1, "{answer:?}: another one is");
    }
}

#[test]
fn what_expires_unanswered_is_offered_anew_under_another_number() {
    let (mut bench, id) = Bench::offered();
    bench.steps(111);
    assert_eq!((bench.id(), bench.advised.status, bench.advised.tally.expired), (id + 1, RecStatus::Open, 1));
}

#[test]
fn a_change_that_is_not_worth_an_offer_is_not_offered() {
    let mut bench = Bench::new();
    bench.target = Some(50.9);
    assert_eq!(bench.steps(30).advised.advice, None);
    bench.target = Some(51.1);
    assert!(bench.steps(10).advised.advice.is_some(), "the negative control");
    bench.target = Some(45.0);
    assert_eq!(bench.steps(10).advised.tally.superseded, 1);
    bench.target = Some(50.0);
    let advised = bench.steps(10).advised;
    assert_eq!(
        (advised.status, advised.tally.superseded),
        (RecStatus::Open, 1),
        "within the tolerance of the open one"
    );
}

#[test]
fn every_proposal_that_would_have_violated_a_bound_is_counted_by_its_bound() {
    let mut bench = Bench::new();
    bench.steps(10);
    for violates in [Violates::Operator, Violates::Rate, Violates::Rate, Violates::Windup, Violates::Hard] {
        bench.violates = Some(violates);
        bench.steps(10);
    }
    let tally = bench.advised.tally;
    assert_eq!((tally.proposals, tally.would_have_violated), (6, 5));
    assert_eq!(tally.would_have_violated_by, [1, 2, 1, 1]);
}

#[test]
fn a_limit_that_is_left_within_the_horizon_after_a_recommendation_not_taken_is_counted_once() {
    type Story = fn(&mut Bench, u32);
    let cases: [(&str, Story, (u64, u64)); 5] = [
        (
            "rejected, and left",
            |b, id| {
                b.answer(Answer::Reject, id);
                b.dcs.cvs[0].pv.value = 0.9;
                b.steps(5);
            },
            (1, 1),
        ),
        (
            "rejected, and kept",
            |b, id| {
                b.answer(Answer::Reject, id);
                b.steps(50);
            },
            (1, 0),
        ),
        (
            "accepted, and left",
            |b, id| {
                b.answer(Answer::Accept, id);
                b.dcs.cvs[0].pv.value = 0.9;
                b.steps(5);
            },
            (0, 0),
        ),
        (
            "rejected, and left after the horizon",
            |b, id| {
                b.answer(Answer::Reject, id);
                b.target = None;
                b.steps(200);
                b.dcs.cvs[0].pv.value = 0.9;
                b.steps(5);
            },
            (1, 0),
        ),
        (
            "expired, and left",
            |b, _| {
                b.steps(101);
                b.dcs.cvs[0].pv.value = 0.1;
                b.steps(5);
            },
            (1, 1),
        ),
    ];
    for (what, story, counts) in cases {
        let (mut bench, id) = Bench::offered();
        story(&mut bench, id);
        let tally = bench.advised.tally;
        assert_eq!((tally.untaken, tally.untaken_violated), counts, "{what}");
        assert_eq!(bench.news.iter().any(|news| matches!(news, News::Violated { .. })), counts.1 > 0, "{what}");
    }
    let mut outside = Bench::new();
    outside.dcs.cvs[0].pv.value = 0.9;
    outside.steps(3);
    let id = outside.id();
    outside.answer(Answer::Reject, id);
    assert_eq!(outside.steps(20).advised.tally.untaken_violated, 0, "it had left them before");
}

#[test]
fn every_offer_comes_to_one_end_and_the_rates_are_of_these() {
    let mut bench = Bench::new();
    for k in 0..40_u32 {
        bench.target = Some(if k.is_multiple_of(2) { 60.0 } else { 75.0 });
        bench.steps(30);
        let id = bench.id();
        match k % 4 {
            0 => assert_eq!(bench.answer(Answer::Accept, id), Some(Verdict::Taken)),
            1 => assert_eq!(bench.answer(Answer::Reject, id), Some(Verdict::Taken)),
            2 => {
                bench.steps(120);
            }
            _ => {
                bench.advising = false;
                bench.steps(2);
                bench.advising = true;
            }
        }
    }
    let tally = bench.advised.tally;
    let ends = tally.accepted + tally.rejected + tally.expired + tally.superseded + tally.withdrawn;
    assert_eq!(tally.offered, ends + u64::from(bench.advised.status == RecStatus::Open), "{tally:?}");
    for count in [tally.accepted, tally.rejected, tally.expired, tally.superseded, tally.withdrawn] {
        assert!(count > 3, "{tally:?}");
    }
    let answered = (tally.accepted + tally.rejected) as f64;
    let wanted = tally.accepted as f64 / (answered + tally.expired as f64);
    assert!((tally.acceptance().unwrap() - wanted).abs() < 1e-12 && tally.mean_answer_s().unwrap() < EXPIRY_S);
    let mv = tally.mvs[0];
    assert_eq!((mv.offered, mv.accepted, mv.rejected), (tally.offered, tally.accepted, tally.rejected));
    assert_eq!((Tally::default().acceptance(), Tally::default().mean_answer_s()), (None, None));
}
