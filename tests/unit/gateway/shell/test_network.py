"""Networks on disk: what is written, with which rights, and what is refused."""

from pathlib import Path

import pytest

from gateway.core.cose import Role
from gateway.core.genesis import DAY_MS, Genesis
from gateway.core.rules import RulesError, rules_hash
from gateway.core.statements import open_statement
from gateway.shell.entropy import entropy_secret
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import create_network, find_rules, load_keys, read_tables
from gateway.shell.spec_files import read_spec

ZERO = 20_000 * DAY_MS


def make(folder: Path, **changes: object):
    options = {"simulated": True, "epoch_zero_ms": ZERO, "seed": 7} | changes
    return create_network(folder, "test", **options)


def fault_of(action) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        action()
    return caught.value


def test_a_network_comes_back_as_it_was_made(tmp_path: Path):
    made = make(tmp_path / "n")
    again = load_keys(tmp_path / "n")
    assert again.genesis == made.genesis
    assert again.genesis_bytes == made.genesis.encode()
    assert again.statements == made.statements
    assert bytes(again.gateway) == bytes(made.gateway)
    assert bytes(again.operator) == bytes(made.operator)
    assert Genesis.decode(again.genesis_bytes) == made.genesis


def test_the_root_key_states_the_other_keys(tmp_path: Path):
    keys = make(tmp_path)
    opened = [
        open_statement(data, keys.network_id, keys.genesis.root_key) for data in keys.statements
    ]
    assert [statement.role for statement in opened] == [Role.GATEWAY, Role.OPERATOR]
    assert opened[0].public_key == bytes(keys.gateway.verify_key)
    assert opened[1].public_key == bytes(keys.operator.verify_key)
    assert all(one.not_before_ms <= ZERO < one.not_after_ms for one in opened)


def test_key_files_are_for_their_owner_only(tmp_path: Path):
    make(tmp_path)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    for role in ("root", "gateway", "operator"):
        assert (tmp_path / "keys" / f"{role}.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys" / "entropy.secret").stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten(tmp_path: Path):
    make(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert fault_of(lambda: make(tmp_path)).code == Code.KEYS_EXIST
    (tmp_path / "genesis.cbor").unlink()
    assert fault_of(lambda: make(tmp_path)).code == Code.KEYS_EXIST
    del before[tmp_path / "genesis.cbor"]
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_seed_gives_the_same_keys_and_only_to_a_simulated_network(tmp_path: Path):
    assert make(tmp_path / "a").genesis_bytes == make(tmp_path / "b").genesis_bytes
    assert make(tmp_path / "c", seed=8).genesis_bytes != make(tmp_path / "d").genesis_bytes
    fault = fault_of(lambda: make(tmp_path / "e", simulated=False))
    assert fault.code == Code.NETWORK_SEEDED
    assert not (tmp_path / "e").exists()


def test_the_entropy_secret_is_drawn_or_follows_from_the_seed(tmp_path: Path):
    def secret(name: str, seed: int | None) -> bytes:
        return entropy_secret(make(tmp_path / name, seed=seed).keys_folder)

    assert secret("a", 7) == secret("b", 7)
    assert len({secret("c", 7), secret("d", 8), secret("e", None), secret("f", None)}) == 4


def test_a_network_from_before_there_was_a_secret_gets_one_for_good(tmp_path: Path):
    keys = make(tmp_path)
    (tmp_path / "keys" / "entropy.secret").unlink()
    made = entropy_secret(load_keys(tmp_path).keys_folder)
    assert len(made) == 32
    assert entropy_secret(keys.keys_folder) == made


def test_a_network_has_its_own_copies_of_what_an_epoch_is_computed_with(tmp_path: Path):
    make(tmp_path)
    assert read_tables(tmp_path) == {
        "trig": read_spec("tables/trig.csv"),
        "radio": read_spec("tables/radio.csv"),
        "regions": read_spec("regions.toml"),
    }


def test_without_a_seed_two_networks_share_no_key(tmp_path: Path):
    one, other = make(tmp_path / "a", seed=None), make(tmp_path / "b", seed=None)
    assert bytes(one.gateway) != bytes(other.gateway)
    assert one.genesis.root_key != other.genesis.root_key


def test_the_gateway_runs_without_the_root_key(tmp_path: Path):
    make(tmp_path)
    (tmp_path / "keys" / "root.key").unlink()
    assert load_keys(tmp_path).genesis.name == "test"


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    make(tmp_path)
    (tmp_path / "keys" / "gateway.key").chmod(0o640)
    fault = fault_of(lambda: load_keys(tmp_path))
    assert fault.code == Code.KEYS_READABLE
    assert "chmod 600" in fault.do


@pytest.mark.parametrize(
    "file, content, code",
    [
        ("keys/gateway.key", b"not hex", Code.KEYS_DAMAGED),
        ("keys/gateway.key", b"00" * 31, Code.KEYS_DAMAGED),
        ("keys/operator.key", None, Code.KEYS_MISSING),
        ("genesis.cbor", b"\x80", Code.NETWORK_DAMAGED),
        ("genesis.cbor", None, Code.NETWORK_MISSING),
        ("statements.cbor", b"\xff", Code.NETWORK_DAMAGED),
        ("statements.cbor", b"\x81\x01", Code.NETWORK_DAMAGED),
        ("statements.cbor", None, Code.NETWORK_MISSING),
    ],
)
def test_what_is_missing_or_damaged_is_named(tmp_path: Path, file, content, code):
    make(tmp_path)
    path = tmp_path / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    fault = fault_of(lambda: load_keys(tmp_path))
    assert fault.code == code
    assert path.name in fault.what + fault.why


def test_rules_are_found_by_their_hash(tmp_path: Path):
    keys = make(tmp_path)
    text = read_spec("rules/0001.toml")
    assert keys.genesis.rules_hash == rules_hash(text)
    assert find_rules(tmp_path, rules_hash(text)) == text
    (tmp_path / "rules" / "0001.toml").write_bytes(text + b"\n")
    assert fault_of(lambda: find_rules(tmp_path, rules_hash(text))).code == Code.RULES_UNKNOWN


def test_a_network_is_not_made_on_rules_that_cannot_be_used(tmp_path: Path):
    with pytest.raises(RulesError):
        make(tmp_path / "n", rules=b"[epoch]\n")
    assert not (tmp_path / "n").exists()
