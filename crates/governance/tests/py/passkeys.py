"""Yubico's python-fido2 judges the assertions given as JSON on standard input; prints its verdicts as a JSON list."""

import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256, EdDSA
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestedCredentialData, PublicKeyCredentialRpEntity


def cose(key):
    if len(key) == 33:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        return ES256.from_cryptography_key(point)
    return EdDSA({1: 1, 3: -8, -1: 6, -2: key})


def verdict(case):
    part = {name: bytes.fromhex(value) for name, value in case.items() if name != "domain"}
    server = Fido2Server(PublicKeyCredentialRpEntity(id=case["domain"], name="test"))
    credential = AttestedCredentialData.create(Aaguid.NONE, part["id"], cose(part["key"]))
    state = {"challenge": websafe_encode(part["challenge"]), "user_verification": "required"}
    response = {
        "id": websafe_encode(part["id"]),
        "rawId": websafe_encode(part["id"]),
        "type": "public-key",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": websafe_encode(part["client_data"]),
            "authenticatorData": websafe_encode(part["authenticator_data"]),
            "signature": websafe_encode(part["signature"]),
        },
    }
    try:
        server.authenticate_complete(state, [credential], response)
        return "ok"
    except Exception as refusal:  # whatever it says, it refuses
        return f"{type(refusal).__name__}: {refusal}"


print(json.dumps([verdict(case) for case in json.load(sys.stdin)]))
