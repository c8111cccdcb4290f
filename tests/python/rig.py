"""Connects asyncua to the rig as RIG_CONNECTION says: anonymous without security, or a user signed and encrypted."""

import datetime
import json
import os
import sys

from asyncua import Client
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

APPLICATION_URI = "urn:outrigger:test:foreign-client"
RIG_NAMESPACE = "urn:outrigger:rig"
LOOP = ["Area1", "R101", "APC_cstr"]


async def client():
    how = json.loads(os.environ["RIG_CONNECTION"])
    made = Client(how["endpoint"], timeout=20)
    made.application_uri = APPLICATION_URI
    if how["user"] is not None:
        await made.set_security(
            SecurityPolicyBasic256Sha256,
            certificate=how["certificate"],
            private_key=how["key"],
            server_certificate=how["server_certificate"],
        )
        made.set_user(how["user"]["name"])
        made.set_password(how["user"]["password"])
    return made


async def node(connected, tag):
    index = await connected.get_namespace_index(RIG_NAMESPACE)
    return connected.get_node(f"ns={index};s={'.'.join(LOOP)}.{tag}")


def seconds(time):
    """Seconds of UTC; asyncua gives UTC with or without saying so."""
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)).timestamp()


def plain(value):
    """NaN has no place in JSON."""
    return None if isinstance(value, float) and value != value else value


def say(what):
    print(json.dumps(what, allow_nan=False))
    sys.stdout.flush()
