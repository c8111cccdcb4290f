"""The heated tank of tank2.c as a unit of FMI 2.0 in Python: pythonfmu build -f tank_fmi2.py"""
import math

from pythonfmu import Fmi2Causality, Fmi2Slave, Fmi2Variability, Real


class PythonTank(Fmi2Slave):
    description = "A heated tank in Python"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.power, self.tau, self.T = 0.0, 10.0, 20.0
        self.register_variable(Real("power", causality=Fmi2Causality.input, description="heater"))
        self.register_variable(Real("tau", causality=Fmi2Causality.parameter, variability=Fmi2Variability.tunable))
        self.register_variable(Real("T", causality=Fmi2Causality.output))

    def do_step(self, current_time, step_size):
        print("a unit that prints to standard output", flush=True)
        if self.power > 90.0:
            return False
        rest = 20.0 + self.power
        self.T = rest + (self.T - rest) * math.exp(-step_size / self.tau)
        return True
