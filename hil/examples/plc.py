"""A PLC as the controller under test: it shakes hands with the rig over Modbus TCP and controls CV1 by MV1.

    outrigger-hil registers hil/plants/cstr-1hz.toml > map.txt
    python3 hil/examples/plc.py map.txt HOST PORT SECONDS
"""
import struct
import sys
import time

from pymodbus.client import ModbusTcpClient

PERIOD_S = 0.1  # of the wall's clock
GAIN, RESET = 30.0, 60.0  # 1/h per mol/L; periods
places = {}
for line in open(sys.argv[1]):
    _, table, address, words, kind, tag = line.split()
    places[tag] = (table, int(address), int(words.split("+")[0]), kind)
plc = ModbusTcpClient(sys.argv[2], port=int(sys.argv[3]))
assert plc.connect(), "no rig"


def read(tag):
    table, address, words, kind = places[tag]
    ask = plc.read_input_registers if table == "input" else plc.read_holding_registers
    got = ask(address, count=words).registers
    if kind == "Real32":
        return struct.unpack(">f", struct.pack(">HH", *got))[0]
    return got[0] if words == 1 else got[0] << 16 | got[1]


def write(tag, value):
    _, address, words, kind = places[tag]
    if kind == "Real32":
        out = list(struct.unpack(">HH", struct.pack(">f", value)))
    else:
        out = [value] if words == 1 else [value >> 16, value & 0xFFFF]
    answer = plc.write_registers(address, out)
    if answer.isError():
        print("refused", tag, value, flush=True)


OFF, INIT, WARM, ON = 0, 1, 2, 4
beat, sp, integral, until = 0, None, 0.0, time.monotonic() + float(sys.argv[4])
while time.monotonic() < until:
    request, lease, permit = read("MODE_REQ"), read("LEASE"), read("PERMIT")
    remote = request == 3 and lease and permit and read("MV1.MODE") == 3
    for mv in ("MV1", "MV2"):
        if f"{mv}.SP_REQ" in places and (mv == "MV2" or not remote):
            write(f"{mv}.SP_REQ", read(f"{mv}.SP_ACT"))
            write(f"{mv}.INIT_ACK", int(request == 3 and read(f"{mv}.INIT_REQ")))
    if remote:
        error = read("CV1.SP_OPR") - read("CV1.PV")
        low, high = read("MV1.LO_OPR"), read("MV1.HI_OPR")
        if sp is None:  # bumpless: the first move is none
            integral = read("MV1.SP_ACT") - GAIN * error
        integral = min(max(integral + GAIN * error / RESET, low - GAIN * error), high - GAIN * error)
        sp = min(max(integral + GAIN * error, low), high)
        write("MV1.SP_REQ", sp)
    else:
        sp = None
    write("MODE_ACT", ON if remote else INIT if request == 3 else WARM if request else OFF)
    beat += 1
    write("HB_APC", beat)
    time.sleep(PERIOD_S)
print("beats", beat, "set-point", sp, flush=True)
