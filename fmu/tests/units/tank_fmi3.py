"""The heated tank of tank2.c as a unit of FMI 3.0 in Python: pythonfmu3 build -f tank_fmi3.py"""
import math

from pythonfmu3 import Fmi3Causality, Fmi3Slave, Fmi3StepResult, Fmi3Status, Fmi3Variability, Float64, Unit


class PythonTank(Fmi3Slave):
    description = "A heated tank in Python"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.power, self.tau, self.T = 0.0, 10.0, 20.0
        self.register_variable(Float64("power", causality=Fmi3Causality.input, unit="%", description="heater"))
        self.register_variable(Float64("tau", causality=Fmi3Causality.parameter, variability=Fmi3Variability.tunable))
        self.register_variable(Float64("T", causality=Fmi3Causality.output))

    def do_step(self, current_time, step_size):
        if self.power > 90.0:
            return Fmi3StepResult(status=Fmi3Status.error)
        rest = 20.0 + self.power
        self.T = rest + (self.T - rest) * math.exp(-step_size / self.tau)
        return Fmi3StepResult(status=Fmi3Status.ok)
