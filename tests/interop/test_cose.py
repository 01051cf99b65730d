"""Our COSE_Sign1 is everyone's COSE_Sign1: another library verifies ours, we open its."""

import json
import subprocess
from pathlib import Path

import pytest

from gateway.core.cbor_profile import encode
from gateway.core.cose import Envelope, Role, open_envelope
from gateway.core.ids import device_id
from gateway.core.verify import signature_valid
from tests.spec.vector_files import CASES, signed_by_seed

SCRIPT = Path(__file__).with_name("foreign_cose.py")


def aad(case, role=None):
    return encode(["cairn", 1, case.network_id, role or case.role])


@pytest.fixture(scope="module")
def foreign(interop_python):
    """Asks the other library all questions in one process."""

    def ask(requests):
        lines = "\n".join(map(json.dumps, requests))
        done = subprocess.run(
            [interop_python, SCRIPT], input=lines, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def request(do, case, data, external_aad, **more):
    return {
        "do": do,
        "data": data.hex(),
        "kid": device_id(case.public_key).hex(),
        "public_key": case.public_key.hex(),
        "external_aad": external_aad.hex(),
        **more,
    }


def test_the_other_library_verifies_our_messages(foreign):
    cases = [case for case in CASES if signed_by_seed(case)]
    answers = foreign([request("verify", case, case.bytes, aad(case)) for case in cases])
    payloads = [
        open_envelope(case.bytes, case.network_id, Role(case.role)).payload for case in cases
    ]
    assert answers == [payload.hex() for payload in payloads]


def test_it_refuses_another_role_and_a_flipped_bit(foreign):
    case = next(case for case in CASES if (case.folder, case.name) == ("readings", "sixteen"))
    flipped = case.bytes[:-70] + bytes([case.bytes[-70] ^ 1]) + case.bytes[-69:]
    assert foreign(
        [
            request("verify", case, case.bytes, aad(case)),
            request("verify", case, case.bytes, aad(case, "login")),
            request("verify", case, flipped, aad(case)),
        ]
    )[1:] == [None, None]


def test_we_open_what_the_other_library_signs(foreign):
    cases = [case for case in CASES if signed_by_seed(case)]
    payloads = [
        open_envelope(case.bytes, case.network_id, Role(case.role)).payload for case in cases
    ]
    requests = [
        request("sign", case, payload, aad(case), seed=case.seed.hex())
        for case, payload in zip(cases, payloads, strict=True)
    ]
    for case, made in zip(cases, foreign(requests), strict=True):
        opened = open_envelope(bytes.fromhex(made), case.network_id, Role(case.role))
        assert isinstance(opened, Envelope)
        assert opened.message_id == case.message_id
        assert signature_valid(case.public_key, opened.signature, opened.to_be_signed)
