//! A slave loop of the DCS: a PID controller that drives an actuator whose position is an input of the plant.
//!
//! Place in the loop: below the application. The application asks for a set-point; what reaches the plant is what
//! this loop makes of it.
//!
//! Invariants: the output stays within 0..100 %; a change of mode leaves output and set-point where they are
//! (bumpless); the set-point in use moves by at most `max_rate · dt` a scan, in every mode but MAN, where it tracks
//! the measurement.
//!
//! Source: Åström and Hägglund, *Advanced PID Control*, ISA 2006: ch. 3 (derivative on the measurement, bumpless
//! transfer) and 3.5 (back-calculation).

use signals::dcs::{MvMode, Windup};

use crate::config::{MvConfig, SlaveTuning, Span};
use crate::fault::{ActuatorFault, Valve};

/// Who computes the output of a slave loop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Controller {
    /// The loop of the rig.
    #[default]
    Own,
    /// A device outside, such as a PLC: its output in percent.
    Outside(f64),
    /// A device outside that does not answer: the output stays, and the DCS puts the loop in MAN.
    Lost,
}

/// A slave loop as a device outside is told of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlaveView {
    /// The mode.
    pub mode: MvMode,
    /// The set-point in use, in engineering units.
    pub sp: f64,
    /// The measurement, in engineering units.
    pub pv: f64,
    /// The output to the actuator, in percent.
    pub output_pct: f64,
}

/// A slave loop and its actuator.
#[derive(Clone, Debug)]
pub(crate) struct Slave {
    range: Span,
    tuning: SlaveTuning,
    max_rate_per_s: f64,
    mode: MvMode,
    target: f64,
    sp: f64,
    pv: f64,
    last_pv: f64,
    output_pct: f64,
    integral_pct: f64,
    controller: Controller,
    faulty: Option<Valve>,
}

impl Slave {
    /// A loop at rest in AUTO at the configured start.
    #[must_use]
    pub(crate) fn at_rest(config: &MvConfig) -> Self {
        let output_pct = 100.0 * (config.start - config.range.low) / config.range.width();
        Self {
            range: config.range,
            tuning: config.slave,
            max_rate_per_s: config.max_rate_per_s,
            mode: MvMode::Auto,
            target: config.start,
            sp: config.start,
            pv: config.start,
            last_pv: config.start,
            output_pct,
            integral_pct: output_pct,
            controller: Controller::Own,
            faulty: None,
        }
    }

    /// The actual mode.
    #[must_use]
    pub(crate) fn mode(&self) -> MvMode {
        self.mode
    }

    /// The set-point in use, in engineering units.
    #[must_use]
    pub(crate) fn sp(&self) -> f64 {
        self.sp
    }

    /// The set-point in use as it is read back, in engineering units: [`Slave::sp`] unless the read-back is at fault.
    #[must_use]
    pub(crate) fn readback(&self) -> f64 {
        self.faulty.map_or(self.sp, |valve| self.sp + valve.readback_error_pct() / 100.0 * self.range.width())
    }

    /// Has somebody else compute the output, from the next scan on.
    pub(crate) fn set_controller(&mut self, controller: Controller) {
        self.controller = controller;
    }

    /// Whether nobody computes the output.
    #[must_use]
    pub(crate) fn is_lost(&self) -> bool {
        self.controller == Controller::Lost
    }

    /// What a device outside is told.
    #[must_use]
    pub(crate) fn view(&self) -> SlaveView {
        SlaveView { mode: self.mode, sp: self.sp, pv: self.pv, output_pct: self.output_pct }
    }

    /// Gives the actuator a fault, or mends it.
    pub(crate) fn set_fault(&mut self, fault: Option<ActuatorFault>) {
        let at_pct = 100.0 * (self.pv - self.range.low) / self.range.width();
        self.faulty = fault.map(|fault| Valve::new(fault, at_pct, self.output_pct));
    }

    /// The actuator's position: the plant's input, in engineering units.
    #[must_use]
    pub(crate) fn pv(&self) -> f64 {
        self.pv
    }

    /// Changes the mode; set-point, output and actuator stay where they are.
    pub(crate) fn set_mode(&mut self, mode: MvMode) {
        self.mode = mode;
        self.target = self.sp;
    }

    /// Where the set-point is to ramp to, in engineering units. Without effect in MAN.
    pub(crate) fn set_target(&mut self, target: f64) {
        self.target = target;
    }

    /// The operator's output in MAN, moved into 0..100 %. Without effect in the other modes.
    pub(crate) fn set_output(&mut self, output_pct: f64) {
        if self.mode == MvMode::Man {
            self.output_pct = output_pct.clamp(0.0, 100.0);
        }
    }

    /// In which direction the loop cannot follow: none in a saturated output's direction, none at all in MAN.
    #[must_use]
    pub(crate) fn windup(&self) -> Windup {
        match (self.mode, self.output_pct) {
            (MvMode::Man, _) => Windup::Both,
            (_, out) if out >= 100.0 => Windup::Hi,
            (_, out) if out <= 0.0 => Windup::Lo,
            _ => Windup::None,
        }
    }

    /// One scan of `dt_s` seconds: ramp, controller, actuator.
    ///
    /// With errors and measurements in percent of range, `out = K e + I - K Td d(pv)/dt`, `dI/dt = K e / Ti`; a
    /// saturated output sets `I` back to what explains it. Actuator: `τ d(pv)/dt = out - pv`, integrated exactly.
    pub(crate) fn step(&mut self, dt_s: f64) {
        let scale = 100.0 / self.range.width();
        let SlaveTuning { gain, reset_s, rate_s, actuator_tau_s } = self.tuning;
        let derivative = -gain * rate_s * (self.pv - self.last_pv) * scale / dt_s;
        self.last_pv = self.pv;
        if self.mode == MvMode::Man {
            self.sp = self.pv;
            self.target = self.sp;
        } else {
            let step = self.max_rate_per_s * dt_s;
            self.sp += (self.target - self.sp).clamp(-step, step);
        }
        if let (Controller::Outside(output_pct), true) = (self.controller, self.mode != MvMode::Man) {
            self.output_pct = output_pct.clamp(0.0, 100.0);
        }
        if self.mode == MvMode::Man || self.controller != Controller::Own {
            self.integral_pct = self.output_pct;
        } else {
            let error = (self.sp - self.pv) * scale;
            let wanted = gain * error + self.integral_pct + derivative;
            self.output_pct = wanted.clamp(0.0, 100.0);
            self.integral_pct += gain * error * dt_s / reset_s + (self.output_pct - wanted);
        }
        let aim_pct = self.faulty.as_mut().map_or(self.output_pct, |valve| valve.travel(self.output_pct, dt_s));
        let position = self.range.low + aim_pct / scale;
        let lag = if actuator_tau_s > 0.0 { -(-dt_s / actuator_tau_s).exp_m1() } else { 1.0 };
        self.pv += (position - self.pv) * lag;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plant;

    fn slave() -> Slave {
        Slave::at_rest(&test_plant().mvs[0])
    }

    fn run(slave: &mut Slave, seconds: usize) {
        (0..seconds).for_each(|_| slave.step(1.0));
    }

    #[test]
    fn a_loop_at_rest_stays_at_rest() {
        let mut s = slave();
        let (sp, out) = (s.sp(), s.output_pct);
        run(&mut s, 600);
        assert!((s.pv() - sp).abs() < 1e-9 && (s.output_pct - out).abs() < 1e-9, "{s:?}");
    }

    #[test]
    fn the_actuator_settles_at_the_set_point_and_the_ramp_holds() {
        let mut s = slave();
        let (start, rate) = (s.sp(), test_plant().mvs[0].max_rate_per_s);
        s.set_target(start + 5.0);
        s.step(1.0);
        assert!((s.sp() - start - rate.min(5.0)).abs() < 1e-12);
        run(&mut s, 300);
        assert!((s.pv() - start - 5.0).abs() < 1e-3, "{}", s.pv());
    }

    #[test]
    fn a_device_outside_gives_the_output_but_in_man_and_the_return_to_the_own_loop_is_bumpless() {
        let mut s = slave();
        let start = s.output_pct;
        s.set_controller(Controller::Outside(start + 7.0));
        run(&mut s, 5);
        assert!((s.output_pct - start - 7.0).abs() < 1e-12);
        s.set_controller(Controller::Outside(130.0));
        s.step(1.0);
        assert!((s.output_pct - 100.0).abs() < 1e-12, "no output beyond the actuator");
        s.set_controller(Controller::Outside(start));
        s.step(1.0);
        s.set_mode(MvMode::Man);
        s.set_controller(Controller::Outside(90.0));
        s.step(1.0);
        assert!((s.output_pct - start).abs() < 1e-12, "the hand has it");
        s.set_controller(Controller::Lost);
        s.set_mode(MvMode::Auto);
        s.step(1.0);
        assert!((s.output_pct - start).abs() < 1e-12 && s.is_lost(), "the output stays");
        run(&mut s, 600);
        s.set_controller(Controller::Own);
        let (out, error) = (s.output_pct, (s.sp() - s.pv()) * 100.0 / s.range.width());
        s.step(1.0);
        assert!((s.output_pct - out - s.tuning.gain * error).abs() < 1e-3, "{} {out} {error}", s.output_pct);
    }

    #[test]
    fn every_change_of_mode_is_bumpless() {
        for first in MvMode::ALL {
            for second in MvMode::ALL {
                let mut s = slave();
                s.set_mode(*first);
                run(&mut s, 60);
                let (sp, pv, out) = (s.sp(), s.pv(), s.output_pct);
                s.set_mode(*second);
                s.step(1.0);
                let bump = (s.sp() - sp).abs().max((s.pv() - pv).abs()).max((s.output_pct - out).abs());
                assert!(bump < 1e-6, "{first:?} to {second:?}: {bump}");
            }
        }
    }

    #[test]
    fn after_manual_moves_the_return_to_auto_starts_from_the_measurement() {
        let mut s = slave();
        s.set_mode(MvMode::Man);
        s.set_output(s.output_pct + 10.0);
        run(&mut s, 120);
        let pv = s.pv();
        s.set_mode(MvMode::Auto);
        run(&mut s, 120);
        assert!((s.pv() - pv).abs() < 1e-6, "{} {pv}", s.pv());
    }

    #[test]
    fn the_integral_does_not_wind_up() {
        let mut s = slave();
        let high = s.range.high;
        s.max_rate_per_s = f64::INFINITY;
        s.set_target(high + 50.0);
        run(&mut s, 3600);
        assert_eq!(s.windup(), Windup::Hi);
        s.set_target(high - 20.0);
        run(&mut s, 60);
        assert_eq!(s.windup(), Windup::None);
        assert!((s.pv() - (high - 20.0)).abs() < 0.5, "an hour at the stop must cost no minute: {}", s.pv());
    }
}
