//! A step does not allocate, whatever happens in it: with every check in force, on as many tags as a loop can have.

use signals::dcs::ModeRequest;

use super::script::change;
use super::world::{World, large};
use crate::interlock::Interlock;
use crate::latch::Latch;
use crate::verdict::State;

#[test]
fn no_step_allocates_in_any_state() {
    let config = large();
    config.validate().expect("a lawful configuration");
    assert_eq!(config.transmitters(), 50);
    let mut world = World::alive(config.clone(), Latch::default());
    let mut interlock = Interlock::build(config, Latch::default());
    let mut visited = Vec::new();
    let script = [
        (5, ""),
        (10, "mode=WARM"),
        (10, "mode=ADVISORY"),
        (12, "mode=ON"),
        (20, "grant"),
        (20, "prop=60,50"),
        (30, "cv1=bad"),
        (20, "cv1=ok"),
        (40, "mode=OFF permit=0"),
        (10, "permit=1"),
        (10, "mode=WARM"),
        (12, "mode=ON"),
        (20, "grant"),
        (50, "cv1=bad"),
        (40, "cv1=ok"),
        (5, "mode=OFF"),
        (10, "mode=WARM"),
        (12, "mode=ON"),
        (20, "grant"),
        (10, "cv1=skipped cv1=still model=90 wall=jump dropped=1 by=policy ground=9 stuck=1"),
        (10, "cv2b=90 mv1.sp=90 mv2.sp=10"),
        (5, "mv1.mode=AUTO hash=7"),
        (5, "mode=OFF"),
        (20, "prop=nan,10"),
        (10, "cv1=nan"),
    ];
    for (scans, token) in script {
        if !token.is_empty() {
            token.split_whitespace().for_each(|token| change(&mut world, token));
        }
        for _ in 0..scans {
            world.pass_time();
            let proposal = world.proposal();
            let inputs = world.inputs(proposal.as_ref());
            let mut decision = None;
            let info = allocation_counter::measure(|| decision = Some(interlock.step(&inputs, world.now)));
            let decision = decision.expect("the step ran");
            assert_eq!(info.count_total, 0, "{decision:?}");
            visited.push(decision.state);
            world.react(&decision);
        }
    }
    assert_eq!(world.dcs.mode_req.value, ModeRequest::Off);
    for state in State::ALL.into_iter().filter(|s| *s != State::Boot) {
        assert!(visited.contains(&state), "{state:?} was never visited");
    }
    let info = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 64])));
    assert!(info.count_total > 0, "the counter counts");
}
