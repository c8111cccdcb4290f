"""A tank with a pump and an outlet, as a plant for outrigger-hil. Protocol: docs/external-plant.md."""
import json
import math
import sys

OFFER = {
    "protocol": 1,
    "name": "tank with an outlet, in Python",
    "inputs": [{"name": "PUMP", "unit": "%", "low": 0, "high": 100, "nominal": 50, "description": "drive of the pump"}],
    "disturbances": [{"name": "LEAK", "unit": "%", "low": 0, "high": 100, "nominal": 0}],
    "outputs": [{"name": "LEVEL", "unit": "m", "low": 0, "high": 2, "nominal": 1, "description": "level of the tank"}],
}


def slope(level, pump, leak):  # m/s: in at the pump, out by the square root of the level
    return 0.001 * pump - (0.05 + 0.0005 * leak) * math.sqrt(max(level, 0.0))


level = 0.0
for line in sys.stdin:
    say = json.loads(line)
    if say["op"] == "hello":
        answer = OFFER
    elif say["op"] == "start":  # at rest under u and p
        level = (0.001 * say["u"][0] / (0.05 + 0.0005 * say["p"][0])) ** 2
        answer = {"y": [level]}
    elif say["op"] == "step":
        for _ in range(steps := max(1, math.ceil(say["dt_s"] / 0.5))):
            level = max(0.0, level + slope(level, say["u"][0], say["p"][0]) * say["dt_s"] / steps)
        answer = {"n": say["n"], "y": [level]}
    else:
        break
    print(json.dumps(answer), flush=True)
