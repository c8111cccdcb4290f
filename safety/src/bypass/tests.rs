//! The book, rule by rule. What the interlock makes of a set is in `tests/bypass.rs`.

use std::time::Duration;

use signals::Stamp;

use super::book::CLOCK_SLACK;
use super::*;

const HOUR: Duration = Duration::from_hours(1);
const START: Calendar = Calendar(1_800_000_000_000);

fn who(name: &str) -> Account {
    Account { name: name.to_owned(), os_user: "console".to_owned() }
}

fn names() -> Names {
    Names { tags: vec!["AI101".into(), "TI102".into()], mvs: vec!["FC101".into()] }
}

fn request(id: u32, check: CheckId, target: Target) -> Act {
    Act::Request { id, check, target, reason: "transmitter is calibrated".to_owned(), life_s: 7200 }
}

fn revoke(id: u32) -> Act {
    Act::Revoke { id, reason: "done".to_owned() }
}

fn tag(name: &str) -> Target {
    Target::Tag(name.to_owned())
}

fn age() -> Act {
    request(1, CheckId::Age, tag("TI102"))
}

/// A book in which each act was accepted, a minute after the one before.
fn book(acts: &[(&str, Act)]) -> BypassBook {
    let mut book = BypassBook::default();
    for (n, (name, act)) in (0..).zip(acts) {
        let at = START.after(Duration::from_secs(60 * n));
        assert_eq!(book.write(who(name), act.clone(), at).1, Ok(()), "{act:?}");
    }
    book
}

/// Requested at the start, approved a minute later: two hours from then.
fn approved() -> BypassBook {
    book(&[("Abel", age()), ("Baker", Act::Approve { id: 1 })])
}

const APPROVED: Calendar = Calendar(START.0 + 60_000);

/// The set at a moment of the calendar, after the mark, with `now` 1,000 s.
fn at(book: &BypassBook, calendar: Calendar, mark: Calendar) -> BypassSet {
    book.in_force(&names(), (Some(calendar), mark), Stamp::from_secs_f64(1000.0), &BypassSet::new())
}

#[test]
fn every_check_is_found_by_its_number_and_no_other_number_is_one() {
    for check in CheckId::ALL {
        assert_eq!(CheckId::numbered(check.number()), Some(check));
    }
    assert_eq!((CheckId::numbered(0), CheckId::numbered(25)), (None, None));
}

/// The vectors of 64-bit FNV-1a that its authors publish.
#[test]
fn a_person_is_the_fnv_1a_of_the_name() {
    assert_eq!(Person::named(""), Person(0xcbf2_9ce4_8422_2325));
    assert_eq!(Person::named("a"), Person(0xaf63_dc4c_8601_ec8c));
    assert_eq!(Person::named("foobar"), Person(0x8594_4171_f739_67e8));
}

#[test]
fn targets_and_standings_are_told_in_words() {
    let targets = [Target::Loop, tag("TI102"), Target::Mv("FC101".to_owned())];
    assert_eq!(targets.map(|target| target.to_string()), ["the loop", "TI102", "FC101"]);
    let standings = [
        (Standing::Waiting, "waiting for an approval"),
        (Standing::Lapsed, "lapsed without an approval"),
        (Standing::InForce(START), "in force"),
        (Standing::Expired, "expired"),
        (Standing::Revoked, "revoked"),
    ];
    for (standing, words) in standings {
        assert_eq!(standing.to_string(), words);
    }
}

#[test]
fn two_people_put_a_bypass_in_force_from_the_approval_to_its_end() {
    let book = approved();
    let now = Stamp::from_secs_f64(1000.0);
    let set = at(&book, APPROVED.after(HOUR), START);
    let expected = Bypass {
        id: 1,
        check: CheckId::Age,
        subject: Subject::Tag(1),
        requested_by: Person::named("abel "),
        approved_by: Person::named("BAKER"),
        from: Stamp::from_secs_f64(1000.0 - 3600.0),
        until: now + HOUR,
    };
    assert_eq!(&set[..], &[expected]);
    assert_eq!(at(&book, APPROVED.after(2 * HOUR - Duration::from_millis(1)), START).len(), 1);
    assert!(at(&book, APPROVED.after(2 * HOUR), START).is_empty(), "expired");
}

#[test]
fn a_request_alone_bypasses_nothing() {
    let book = book(&[("Abel", age())]);
    assert!(at(&book, START.after(HOUR), START).is_empty());
    assert_eq!(book.all()[0].standing(START), Standing::Waiting);
    assert_eq!(book.all()[0].standing(START.after(MAX_LIFE)), Standing::Lapsed);
}

/// Acts upon the approved book of [`approved`], ten minutes later, and what is said of them.
#[test]
fn every_rule_of_the_book_refuses_and_without_its_breach_the_act_holds() {
    let named = |name: &str, act: Act| (who(name), act);
    let of_loop = |check| named("Abel", request(2, check, Target::Loop));
    let on_tag = |check| named("Abel", request(2, check, tag("AI101")));
    let lives = |life_s| match request(2, CheckId::Age, tag("AI101")) {
        Act::Request { id, check, target, reason, .. } => {
            named("Abel", Act::Request { id, check, target, reason, life_s })
        }
        other => named("Abel", other),
    };
    let silent = Act::Request { id: 2, check: CheckId::Age, target: tag("AI101"), reason: " ".into(), life_s: 60 };
    let table = [
        (on_tag(CheckId::NotFinite), Err(Refused::AlwaysOn(CheckId::NotFinite))),
        (
            named("Abel", request(2, CheckId::CommandRange, Target::Mv("FC101".into()))),
            Err(Refused::AlwaysOn(CheckId::CommandRange)),
        ),
        (
            named("Abel", request(2, CheckId::CommandRate, Target::Mv("FC101".into()))),
            Err(Refused::AlwaysOn(CheckId::CommandRate)),
        ),
        (of_loop(CheckId::DcsHeartbeat), Err(Refused::AlwaysOn(CheckId::DcsHeartbeat))),
        (of_loop(CheckId::ConfigHash), Err(Refused::AlwaysOn(CheckId::ConfigHash))),
        (of_loop(CheckId::Age), Err(Refused::OtherSubject(CheckId::Age))),
        (on_tag(CheckId::SolverStatus), Err(Refused::OtherSubject(CheckId::SolverStatus))),
        (of_loop(CheckId::SolverStatus), Ok(())),
        (on_tag(CheckId::Age), Ok(())),
        (named(" ", request(2, CheckId::Age, tag("AI101"))), Err(Refused::NoName)),
        (named("Abel", silent), Err(Refused::NoReason)),
        (lives(0), Err(Refused::Life(0))),
        (lives(8 * 3600 + 1), Err(Refused::Life(8 * 3600 + 1))),
        (lives(8 * 3600), Ok(())),
        (named("Abel", request(1, CheckId::Age, tag("AI101"))), Err(Refused::Number(1))),
        (named("Abel", request(2, CheckId::Age, tag("TI102"))), Err(Refused::Twice(CheckId::Age, tag("TI102"), 1))),
        (
            named("Baker", Act::Approve { id: 1 }),
            Err(Refused::Standing(1, Standing::InForce(APPROVED.after(2 * HOUR)))),
        ),
        (named("Baker", Act::Approve { id: 7 }), Err(Refused::Unknown(7))),
        (named("Carol", revoke(7)), Err(Refused::Unknown(7))),
        (named("Carol", Act::Revoke { id: 1, reason: " ".to_owned() }), Err(Refused::NoReason)),
        (named("Carol", revoke(1)), Ok(())),
    ];
    for ((by, act), expected) in table {
        let (entry, judged) = approved().write(by, act.clone(), START.after(HOUR / 6));
        assert_eq!(judged, expected, "{act:?}");
        assert_eq!(entry.outcome == Outcome::Accepted, expected.is_ok(), "the trail says what came of it");
    }
}

#[test]
fn whoever_asked_does_not_approve_whatever_way_the_name_is_written() {
    for (name, expected) in [("Abel", false), (" aBEL ", false), ("Baker", true)] {
        let mut book = book(&[("Abel", age())]);
        assert_eq!(book.write(who(name), Act::Approve { id: 1 }, APPROVED).1.is_ok(), expected, "{name}");
        assert_eq!(at(&book, APPROVED, START).len(), usize::from(expected), "{name}");
    }
}

#[test]
fn a_request_that_nobody_approved_in_time_cannot_be_approved() {
    for (late, expected) in [(MAX_LIFE, false), (MAX_LIFE - Duration::from_secs(1), true)] {
        let mut book = book(&[("Abel", age())]);
        assert_eq!(book.write(who("Baker"), Act::Approve { id: 1 }, START.after(late)).1.is_ok(), expected);
    }
}

#[test]
fn only_a_leap_of_the_calendar_moves_an_end_that_was_told() {
    let (book, now) = (approved(), Stamp::from_secs_f64(1000.0));
    let look = |calendar, before: &BypassSet| book.in_force(&names(), (Some(calendar), START), now, before);
    let first = look(APPROVED, &BypassSet::new());
    for (ahead_ms, until) in [(1000, first[0].until), (1001, now + (2 * HOUR - Duration::from_millis(1001)))] {
        let later = look(APPROVED.after(Duration::from_millis(ahead_ms)), &first);
        assert_eq!((later[0].until, later[0].from), (until, first[0].from), "{ahead_ms} ms");
    }
}

#[test]
fn a_revoked_bypass_is_in_force_no_more() {
    let mut book = approved();
    assert_eq!(book.write(who("Abel"), revoke(1), APPROVED.after(HOUR)).1, Ok(()));
    assert!(at(&book, APPROVED.after(HOUR), START).is_empty());
    assert!(book.write(who("Abel"), revoke(1), APPROVED.after(HOUR)).1.is_err());
}

#[test]
fn there_are_never_more_than_fit() {
    let mut book = BypassBook::default();
    let names = Names { tags: (0..10).map(|n| format!("T{n}")).collect(), mvs: Vec::new() };
    for n in 0..10_u32 {
        let asked = book.write(who("Abel"), request(book.next_id(), CheckId::Age, tag(&format!("T{n}"))), START).1;
        let fits = usize::try_from(n).unwrap() < MAX_BYPASSES;
        assert_eq!(asked, if fits { Ok(()) } else { Err(Refused::Full) });
        if fits {
            assert_eq!(book.write(who("Baker"), Act::Approve { id: n + 1 }, START).1, Ok(()));
        }
    }
    let set = book.in_force(&names, (Some(START), START), Stamp::ZERO, &BypassSet::new());
    assert_eq!(set.len(), MAX_BYPASSES);
}

#[test]
fn a_book_that_is_read_again_is_the_same_and_believes_no_line_against_the_rules() {
    let mut book = BypassBook::default();
    let acts = [
        ("Abel", age()),
        ("Abel", Act::Approve { id: 1 }),
        ("Baker", Act::Approve { id: 1 }),
        ("Abel", request(2, CheckId::Range, tag("AI101"))),
    ];
    let lines: Vec<Entry> = acts.map(|(name, act)| book.write(who(name), act, START).0).to_vec();
    let read = |lines: &[Entry]| {
        let mut book = BypassBook::default();
        lines.iter().try_for_each(|entry| book.take(entry)).map(|()| book)
    };
    assert_eq!(read(&lines).unwrap().all(), book.all());
    let text = serde_json::to_string(&lines[1]).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), lines[1]);
    // The refused approval of the one who asked, passed off as accepted.
    let mut forged = lines;
    forged[1].outcome = Outcome::Accepted;
    assert_eq!(read(&forged).unwrap_err(), BookError(Refused::OnePerson("Abel".into(), 1)));
}

#[test]
fn a_restart_never_lengthens_a_bypass() {
    let book = approved();
    let end = |calendar, mark| at(&book, calendar, mark).first().map(|b| b.until);
    let now = Stamp::from_secs_f64(1000.0);
    // An hour on the earlier run had spent the life up to here.
    let mark = APPROVED.after(HOUR);
    assert_eq!(end(mark, mark), Some(now + HOUR));
    assert_eq!(end(mark.after(HOUR / 2), mark), Some(now + HOUR / 2), "what was down is spent");
    let back = |span: Duration| Calendar(mark.0 - i64::try_from(span.as_millis()).unwrap());
    assert_eq!(end(back(CLOCK_SLACK), mark), Some(now + HOUR), "a clock that lags gains nothing");
    assert_eq!(end(back(CLOCK_SLACK + Duration::from_millis(1)), mark), None, "one that lags by more is not believed");
    assert_eq!(end(back(CLOCK_SLACK), START), Some(now + HOUR + CLOCK_SLACK), "the negative control: without a mark");
}

#[test]
fn a_calendar_that_cannot_be_read_or_believed_leaves_nothing() {
    let book = approved();
    let set = |calendar| book.in_force(&names(), (calendar, START), Stamp::ZERO, &BypassSet::new()).len();
    assert_eq!(set(Some(APPROVED)), 1);
    for calendar in [None, Some(Calendar(0)), Some(Calendar(i64::MIN)), Some(Calendar(i64::MAX))] {
        assert_eq!(set(calendar), 0, "{calendar:?}");
    }
    let (mut book, before) = (approved(), Calendar(APPROVED.0 - 1));
    assert_eq!(book.write(who("Abel"), revoke(1), before).1, Err(Refused::ClockBack));
}

#[test]
fn a_later_look_brings_an_end_nearer_and_never_puts_it_off() {
    let book = approved();
    let look = |calendar: Calendar, now_s: f64, before: &BypassSet| {
        book.in_force(&names(), (Some(calendar), START), Stamp::from_secs_f64(now_s), before)
    };
    let first = look(APPROVED, 0.0, &BypassSet::new());
    // The loop's clock runs ten times as fast as the calendar: a look of its own would find a later end.
    let fast = look(APPROVED.after(Duration::from_secs(60)), 600.0, &first);
    assert_eq!(fast, first);
    assert!(look(APPROVED.after(Duration::from_secs(60)), 600.0, &BypassSet::new())[0].until > first[0].until);
    // A jitter of the calendar is nothing; a leap of it counts.
    assert_eq!(look(APPROVED.after(Duration::from_millis(10_900)), 10.0, &first), first);
    let leapt = look(APPROVED.after(HOUR), 10.0, &first);
    assert_eq!(leapt[0].until, Stamp::from_secs_f64(10.0) + HOUR);
    assert_eq!(leapt[0].from, first[0].from);
}

#[test]
fn a_name_that_the_plant_file_has_no_more_is_bypassed_nowhere() {
    let other = Names { tags: vec!["AI101".into()], ..names() };
    assert!(approved().in_force(&other, (Some(APPROVED), START), Stamp::ZERO, &BypassSet::new()).is_empty());
    let moved = Names { tags: vec!["TI102".into(), "AI101".into()], ..names() };
    let set = approved().in_force(&moved, (Some(APPROVED), START), Stamp::ZERO, &BypassSet::new());
    assert_eq!(set[0].subject, Subject::Tag(0), "the tag is known by its name");
}
