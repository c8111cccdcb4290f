//! A step does not allocate, whatever happens in it.

use signals::dcs::ModeRequest;

use super::script::change;
use super::world::World;
use crate::cause::CheckSet;
use crate::config::Reach;
use crate::interlock::Interlock;
use crate::latch::Latch;
use crate::verdict::State;

#[test]
fn no_step_allocates_in_any_state() {
    let mut world = World::new(Reach::ClosedLoop, CheckSet::EMPTY);
    let mut interlock = Interlock::build(super::world::config(Reach::ClosedLoop), Latch::default());
    let mut visited = Vec::new();
    let script = [
        (5, ""),
        (10, "mode=WARM"),
        (10, "mode=ADVISORY"),
        (12, "mode=ON"),
        (20, "grant"),
        (20, "prop=90,10"),
        (50, "cv2=bad"),
        (40, "cv2=ok"),
        (5, "mode=OFF"),
        (10, "mode=WARM"),
        (12, "mode=ON"),
        (20, "grant"),
        (20, "prop=nan,10"),
        (10, "cv1=nan"),
    ];
    for (scans, token) in script {
        if !token.is_empty() {
            change(&mut world, token);
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
    assert_eq!(world.dcs.mode_req.value, ModeRequest::On);
    for state in State::ALL.into_iter().filter(|s| *s != State::Boot) {
        assert!(visited.contains(&state), "{state:?} was never visited");
    }
    let info = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 64])));
    assert!(info.count_total > 0, "the counter counts");
}
