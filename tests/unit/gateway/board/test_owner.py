"""An owner's proof, which the gateway's own check must take, and an owner's address."""

import stat

import pytest

from gateway.board.owner import make_owner_key, owner_of, owner_proof, parse_address
from gateway.core.ids import device_id
from gateway.core.model import Claim, Kind
from gateway.core.registry import Policy, Registry, claim_proven
from gateway.shell.errors import Code, OperatorFault
from tests.unit.gateway.stations import NETWORK, Station, message_of

# Of EIP-55.
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def fault_of(act) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        act()
    return caught.value


def test_the_gateways_core_takes_the_proof(tmp_path) -> None:
    path = tmp_path / "keys" / "owner.key"
    owner = make_owner_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert owner_of(path) == owner
    device = b"d" * 16
    proof = owner_proof(path, device, NETWORK)
    assert claim_proven(Claim(owner, 1, proof), device, NETWORK)
    assert not claim_proven(Claim(owner, 1, proof), b"e" * 16, NETWORK)
    assert not claim_proven(Claim(owner, 1, proof), device, b"othernet")
    assert not claim_proven(Claim(bytes(20), 1, proof), device, NETWORK)


def test_a_claim_with_it_names_the_owner_in_the_register(tmp_path) -> None:
    station = Station()
    owner = make_owner_key(tmp_path / "owner.key")
    proof = owner_proof(tmp_path / "owner.key", station.kid, NETWORK)
    registry = Registry(Policy.OPEN)
    registry.admit(message_of(station.hello()))
    claim = message_of(station.make(Kind.CLAIM, [owner, 1, proof]))
    assert claim_proven(claim.body, station.kid, NETWORK)
    registry.admit(claim)
    assert registry.owner_of(station.kid) == owner


def test_a_key_is_never_overwritten(tmp_path) -> None:
    path = tmp_path / "owner.key"
    make_owner_key(path)
    before = path.read_bytes()
    assert fault_of(lambda: make_owner_key(path)).code == Code.KEYS_EXIST
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["zz" * 32, "00" * 31, "00" * 33])
def test_a_damaged_key_signs_nothing(tmp_path, text: str) -> None:
    path = tmp_path / "owner.key"
    path.write_text(text)
    path.chmod(0o600)
    assert fault_of(lambda: owner_of(path)).code == Code.KEYS_DAMAGED
    path.chmod(0o644)
    assert fault_of(lambda: owner_of(path)).code == Code.KEYS_READABLE


def test_an_address_with_a_mistyped_capital_or_digit_is_refused() -> None:
    owner = parse_address(CHECKSUMMED)
    assert len(owner) == 20
    for same in (
        CHECKSUMMED.lower(),
        CHECKSUMMED[2:].upper(),
        f" {CHECKSUMMED} ",
        CHECKSUMMED[2:],
    ):
        assert parse_address(same) == owner
    wrong = CHECKSUMMED.replace("b6053F", "b6053f")
    for bad in (wrong, "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x12", "", "x" * 40):
        assert fault_of(lambda bad=bad: parse_address(bad)).code == Code.OWNER_INVALID


def test_the_device_id_is_that_of_the_proof(tmp_path) -> None:
    make_owner_key(tmp_path / "a.key")
    one = owner_proof(tmp_path / "a.key", device_id(bytes(32)), NETWORK)
    assert one != owner_proof(tmp_path / "a.key", device_id(bytes(31) + b"1"), NETWORK)
