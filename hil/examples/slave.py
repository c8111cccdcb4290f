"""A PLC as the slave loop of an MV: it serves Modbus TCP, is told set-point and measurement, and gives the output.

    python3 hil/examples/slave.py PORT LOW HIGH SCAN_S
    outrigger-hil plant hil/plants/cstr-1hz.toml --slave MV1=127.0.0.1:PORT

LOW and HIGH are the range of the MV in engineering units; SCAN_S is the rig's scan in plant time.
"""
import asyncio
import struct
import sys

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

GAIN, RESET_S = 0.8, 4.0
MAN = 0
port, low, high, scan_s = int(sys.argv[1]), *map(float, sys.argv[2:5])
integral = None


def real(words):
    return struct.unpack(">f", struct.pack(">HH", *words))[0]


async def told(_function, _start, address, _count, registers, words):
    """The rig has written: one scan of the PI controller."""
    global integral
    if words is None or address != 0:
        return
    set_point, pv, track = real(words[0:2]), real(words[2:4]), real(words[4:6])
    error = 100.0 * (set_point - pv) / (high - low)
    if words[6] == MAN or integral is None:  # bumpless: the next output is this one
        integral, output = track - GAIN * error, track
    else:
        wanted = GAIN * error + integral
        output = min(max(wanted, 0.0), 100.0)
        integral += GAIN * error * scan_s / RESET_S + output - wanted
    registers[8:10] = struct.unpack(">HH", struct.pack(">f", output))
    registers[10] = words[7]


async def main():
    block = SimData(0, values=[0] * 11, datatype=DataType.REGISTERS)
    server = ModbusTcpServer(SimDevice(0, simdata=[block], action=told), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    print("ready", server.transport.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
