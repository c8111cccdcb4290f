"""Makes the foreign client's key pair: certificate.py CERTIFICATE.der KEY.pem"""

import asyncio
import sys
from pathlib import Path

from asyncua.crypto.cert_gen import setup_self_signed_certificate
from cryptography.x509.oid import ExtendedKeyUsageOID

from rig import APPLICATION_URI, say


async def main(certificate, key):
    await setup_self_signed_certificate(
        Path(key),
        Path(certificate),
        APPLICATION_URI,
        "localhost",
        [ExtendedKeyUsageOID.CLIENT_AUTH],
        {"commonName": "foreign client"},
    )
    say({"certificate": certificate})


asyncio.run(main(*sys.argv[1:]))
