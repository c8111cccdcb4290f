"""A DCS that is none of ours: the stirred tank of deploy/plants/cstr2.toml behind an OPC UA server of asyncua.

    OUTRIGGER_DCS_PASSWORD=... python3 hil/examples/dcs.py ENDPOINT PKI SPEED

The certificate PKI/own/cert.der is made at the first start; who wants in lies in PKI/trusted. Each control period is a
line of JSON on standard output. The operator types: mode off|warm|advisory|on, engage, rearm, permit on|off,
sp CV1 X, feed X, quit. See docs/hil.md.
"""
import asyncio
import collections
import datetime
import hmac
import json
import logging
import math
import os
import pathlib
import random
import sys
import time

from asyncua import Server, ua
from asyncua.common.callback import CallbackType
from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.permission_rules import User, UserRole
from cryptography.x509.oid import ExtendedKeyUsageOID

URI, NAMESPACE, PREFIX = "urn:example:other-dcs:server", "urn:example:other-dcs", "Area1.R102.APC_cstr2."
PERIOD_S, SCAN_S, WATCHDOG_S = 6.0, 1.0, 30.0  # of plant time; the watchdog is max(3 T, 30 s)
CLAMP, RATE, RANGE = (280.0, 320.0), 0.5, 60.0  # of MV1: K, K/s, K
REQUESTS, ACTUAL = ["OFF", "WARM", "ADVISORY", "ON"], ["OFF", "INIT", "WARM", "ADVISORY", "ON", "SHED", "FAULT"]
AUTO, RCAS, MODES = 1, 3, ["MAN", "AUTO", "CAS", "RCAS"]
TYPES = {bool: "Boolean", int: "Int32", float: "Double", str: "String"}
UNSIGNED = {"SHED_REASON": 16, "SOLVE_STS": 16} | dict.fromkeys(
    "HB_APC HB_ECHO HB_DCS LEASE CYCLE_MS OVERRUNS REC.ACCEPT REC.REJECT REC.ID REC.STALE_ID".split(), 32
)
THEIRS = {  # what the application writes, and what stands there before it does
    "HB_APC": 0, "MODE_ACT": 0, "SHED_REASON": 0, "SOLVE_STS": 0, "CYCLE_MS": 0, "OVERRUNS": 0, "CFG_REV": "",
    "REC.ID": 0, "REC.STATUS": 0, "REC.STALE_ID": 0, "REC.REASON": "", "REC.EXPIRY_S": 0.0, "REC.SP1": 0.0,
    "REC.PRED1": 0.0, "REC.PRED2": 0.0, "REC.HOLD1": 0.0, "REC.HOLD2": 0.0,
    "MV1.SP_REQ": 0.0, "MV1.INIT_ACK": False, "MV1.STS": 0,
    "CV1.SS_TGT": 0.0, "CV1.PRED": 0.0, "CV1.STS": 0, "CV2.SS_TGT": 0.0, "CV2.PRED": 0.0, "CV2.STS": 0,
}  # fmt: skip


def slope(ca, t, tc, tf):  # per minute; Henson and Seborg 1997, ch. 4
    rate = 7.2e10 * math.exp(-8750.0 / t) * ca
    return 1.0 - ca - rate, tf - t + 5.0e4 / 239.0 * rate + 5.0e4 / 23900.0 * (tc - t)


class Dcs:
    def __init__(self, speed):
        self.start, self.speed = time.monotonic(), speed
        self.heard, self.heard_at = dict(THEIRS), {}
        self.now = self.watched_since = self.beat_at = 0.0
        self.request, self.permit, self.wd_ok, self.lease, self.counter = 0, True, True, 0, 0
        self.epoch = int(time.time())  # a lease is a number never used before, over a restart too
        self.mode, self.init_since, self.released_at = AUTO, None, -PERIOD_S - 1.0
        self.sp = self.target = self.valve = 300.0
        self.cv_sp, self.feed, self.chance = 324.4, 350.0, random.Random(1)
        self.recent = collections.deque(maxlen=round(2 * PERIOD_S / SCAN_S) + 1)
        self.first_move, self.asked, self.unasked, self.refused = None, 0, 0, collections.Counter()
        self.ca, self.t = 0.877, 324.5
        for _ in range(7200):  # to rest
            self.react(1.0)
        self.now = self.clock()

    def clock(self):  # plant time
        return (time.monotonic() - self.start) * self.speed

    def react(self, dt_s):  # RK4
        h, x = dt_s / 60.0, (self.ca, self.t)
        k1 = slope(*x, self.valve, self.feed)
        k2 = slope(*(a + h / 2 * k for a, k in zip(x, k1)), self.valve, self.feed)
        k3 = slope(*(a + h / 2 * k for a, k in zip(x, k2)), self.valve, self.feed)
        k4 = slope(*(a + h * k for a, k in zip(x, k3)), self.valve, self.feed)
        self.ca, self.t = (a + h / 6 * (p + 2 * q + 2 * r + s) for a, p, q, r, s in zip(x, k1, k2, k3, k4))

    def release(self):  # back to AUTO where it stands; nothing returns by itself
        if self.lease:
            self.released_at = self.clock()
        self.mode, self.target, self.init_since, self.lease = AUTO, self.sp, None, 0

    def write(self, tag, value):  # the application has written
        now = self.clock()
        if tag == "MODE_ACT" and value not in range(len(ACTUAL)):
            self.refused["no such mode"] += 1
            return
        if tag == "HB_APC" and value != self.heard[tag]:
            self.beat_at = now
        if tag == "MV1.SP_REQ":
            self.asked += 1
            remote = self.mode == RCAS and self.lease and self.wd_ok
            if not (math.isfinite(value) and CLAMP[0] <= value <= CLAMP[1]):
                self.refused["outside the clamp"] += 1
                return
            if remote and self.first_move is None:
                self.first_move = value - self.sp
            tracks = any(abs(value - sp) <= 0.001 * RANGE for sp in self.recent)
            self.unasked += not (remote or tracks or now - self.released_at <= PERIOD_S)
        self.heard[tag], self.heard_at[tag] = value, now

    def scan(self):
        now = self.clock()
        dt_s, self.now = now - self.now, now
        self.counter += 1
        act = ACTUAL[self.heard["MODE_ACT"]]
        if not (self.wd_ok and (self.mode == RCAS or act == "ON")):
            self.watched_since = now
        elif now - max(self.beat_at, self.watched_since) >= WATCHDOG_S:
            self.wd_ok, self.heard["MODE_ACT"] = False, 0  # a claim without a heartbeat is void
            self.release()
        if act in ("OFF", "SHED", "FAULT") or (act != "INIT" and act != "ON" and self.mode == RCAS):
            self.release()
        if self.init_since is not None:
            acknowledged = self.heard["MV1.INIT_ACK"] and self.heard_at["MV1.INIT_ACK"] >= self.init_since
            if acknowledged and abs(self.heard["MV1.SP_REQ"] - self.sp) <= 0.001 * RANGE:
                self.mode, self.init_since, self.first_move = RCAS, None, None
                self.heard_at.pop("MV1.SP_REQ")
            elif now - self.init_since > 2 * PERIOD_S:
                self.release()  # no answer: it stays in AUTO
        if self.mode == RCAS and "MV1.SP_REQ" in self.heard_at:
            self.target = self.heard["MV1.SP_REQ"]
        self.sp += min(max(self.target - self.sp, -RATE * dt_s), RATE * dt_s)
        self.recent.append(self.sp)
        self.valve += (self.sp - self.valve) * -math.expm1(-dt_s / 3.0)
        self.react(dt_s)
        noisy = self.chance.gauss
        self.pv = {"CV1": self.t + noisy(0, 0.1), "CV2": self.ca + noisy(0, 0.002), "DV1": self.feed + noisy(0, 0.1)}

    def says(self):  # every tag of the DCS
        tags = {
            "HB_ECHO": self.heard["HB_APC"], "HB_DCS": self.counter, "MODE_REQ": self.request, "LEASE": self.lease,
            "PERMIT": self.permit, "WD_OK": self.wd_ok, "REC.ACCEPT": 0, "REC.REJECT": 0, "REC.USER": "",
            "MV1.SP_ACT": self.sp, "MV1.MODE": self.mode, "MV1.INIT_REQ": self.init_since is not None,
            "MV1.OPR_ON": True, "MV1.CLAMP_LO": CLAMP[0], "MV1.CLAMP_HI": CLAMP[1], "MV1.ROC_MAX": RATE, "MV1.LO_OPR": 285.0,
            "MV1.HI_OPR": 315.0, "MV1.WINDUP": 0, "MV1.SHED_OPT": 0, "CV1.SP_OPR": self.cv_sp,
            "CV1.LO_OPR": 310.0, "CV1.HI_OPR": 345.0, "CV2.SP_OPR": 0.9, "CV2.LO_OPR": 0.6, "CV2.HI_OPR": 1.0,
        }  # fmt: skip
        for name, value in self.pv.items():
            tags |= {f"{name}.PV": value, f"{name}.OPR_ON": True}
        return tags

    def record(self, event="cycle"):
        act = ACTUAL[self.heard["MODE_ACT"]]
        mv = {"mode": MODES[self.mode], "sp_act": self.sp, "sp_req": self.heard["MV1.SP_REQ"] or None}
        return {
            "event": event, "t_s": self.now, "mode_req": REQUESTS[self.request], "mode_act": act,
            "hb_apc": self.heard["HB_APC"], "shed_reason": self.heard["SHED_REASON"], "wd_ok": self.wd_ok,
            "permit": self.permit, "lease": self.lease, "mv": [mv], "cv": [{"pv": self.pv["CV1"], "sp": self.cv_sp}],
            "first_move": self.first_move, "sp_writes": self.asked, "writes_while_not_on": self.unasked,
            "refused_writes": self.refused, "beat_at_s": self.beat_at, "released_at_s": self.released_at,
            "mode_act_at_s": self.heard_at.get("MODE_ACT"),
        }  # fmt: skip

    def operate(self, line):  # what stands against it, or nothing
        match line.split():
            case ["mode", word] if word.upper() in REQUESTS:
                self.request = REQUESTS.index(word.upper())
                if self.request < REQUESTS.index("ON"):
                    self.release()
            case ["permit", ("on" | "off") as word]:
                self.permit = word == "on"
                if not self.permit:
                    self.release()
            case ["rearm"]:
                self.wd_ok, self.watched_since = True, self.now
            case ["sp", "CV1", number]:
                self.cv_sp = float(number)
            case ["feed", number]:
                self.feed = float(number)
            case ["engage"]:
                armed = REQUESTS[self.request] == "ON" and ACTUAL[self.heard["MODE_ACT"]] == "INIT"
                if not (armed and self.permit and self.wd_ok and self.mode == AUTO):
                    return "request ON, MODE_ACT INIT, permit, watchdog and AUTO are needed"
                self.epoch += 1
                self.lease, self.init_since = self.epoch, self.clock()
            case _:
                return "no such command"


class Accounts:
    def get_user(self, _server, username=None, password=None, certificate=None):
        known = username == "outrigger" and hmac.compare_digest(password or "", os.environ["OUTRIGGER_DCS_PASSWORD"])
        return User(UserRole.User, username) if known else None


def variant(tag, value):
    bits = UNSIGNED.get(tag)
    return ua.Variant(value, ua.VariantType[f"UInt{bits}" if bits else TYPES[type(value)]])


def say(what):
    print(json.dumps(what), flush=True)


async def open_server(endpoint, pki, dcs):
    own, key = pki / "own/cert.der", pki / "private/key.pem"
    for folder in (own.parent, key.parent, pki / "trusted"):
        folder.mkdir(parents=True, exist_ok=True)
    host = endpoint.split("//")[1].split(":")[0]
    names = {"commonName": "other DCS"}
    await setup_self_signed_certificate(key, own, URI, host, [ExtendedKeyUsageOID.SERVER_AUTH], names)

    async def trusted(certificate, _application):
        if uacrypto.der_from_x509(certificate) not in [file.read_bytes() for file in (pki / "trusted").glob("*.der")]:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    server = Server(user_manager=Accounts())
    await server.init()
    await server.set_application_uri(URI)
    server.set_endpoint(endpoint)
    server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    server.set_identity_tokens([ua.UserNameIdentityToken])
    server.set_certificate_validator(trusted)
    await server.load_certificate(own)
    await server.load_private_key(key)
    index, nodes = await server.register_namespace(NAMESPACE), {}
    folder = await server.nodes.objects.add_folder(index, "R102")
    for tag, value in (dcs.says() | THEIRS).items():
        id = ua.NodeId(PREFIX + tag, index)
        node = await folder.add_variable(id, ua.QualifiedName(tag, index), variant(tag, value))
        nodes[id] = tag
        if tag in THEIRS:
            await node.set_writable()

    def written(event, _service):
        if event.is_external:
            for write, status in zip(event.request_params.NodesToWrite, event.response_params):
                if status.is_good() and write.Value.StatusCode.is_good():
                    dcs.write(nodes[write.NodeId], write.Value.Value.Value)
                else:
                    dcs.refused[status.name] += 1

    server.subscribe_server_callback(CallbackType.PostWrite, written)
    return server, {tag: id for id, tag in nodes.items()}


async def main(endpoint, pki, speed):
    dcs = Dcs(speed)
    dcs.scan()
    server, ids = await open_server(endpoint, pathlib.Path(pki), dcs)
    keyboard, lines = asyncio.StreamReader(), asyncio.Queue()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(keyboard), sys.stdin)

    async def listen():
        async for line in keyboard:
            lines.put_nowait(line.decode().strip())
        lines.put_nowait("quit")

    listening = asyncio.create_task(listen())
    async with server:
        say({"event": "ready", "endpoint": endpoint, "certificate": str(pathlib.Path(pki) / "own/cert.der")})
        period = 0
        while True:
            dcs.scan()
            while not lines.empty():
                if (line := lines.get_nowait()) == "quit":
                    say({"event": "ack", "command": line, "ok": True})
                    return say(dcs.record("summary"))
                error = dcs.operate(line)
                say({"event": "ack", "command": line, "ok": error is None, "error": error})
            at = datetime.datetime.now(datetime.timezone.utc)
            for tag, value in dcs.says().items():
                await server.write_attribute_value(
                    ids[tag], ua.DataValue(variant(tag, value), SourceTimestamp=at, ServerTimestamp=at)
                )
            if dcs.now // PERIOD_S > period:
                period = dcs.now // PERIOD_S
                say(dcs.record())
            await asyncio.sleep((SCAN_S - dcs.clock() % SCAN_S) / speed)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
