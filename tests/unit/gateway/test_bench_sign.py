"""The signing benchmark compares like with like and reports what it measured."""

import sys
from statistics import median

import cbor2
import pytest
from nacl.signing import SigningKey

from gateway.cli.bench_sign import NaiveSigner, measure_sign
from gateway.cli.bench_sign_machine import CALL_INSTRUCTIONS, READINGS, readings_payload
from gateway.shell.errors import OperatorFault


@pytest.mark.parametrize("size", [0, 1, 300])
def test_baseline_signs_correctly(size):
    seed, message = bytes(range(1, 33)), bytes(size)
    naive, reference = NaiveSigner(seed), SigningKey(seed)
    assert naive.public_key == bytes(reference.verify_key)
    assert naive.sign(message) == reference.sign(message).signature


def measured(rounds):
    try:
        return measure_sign(rounds)
    except OperatorFault as fault:
        if "_missing" in str(fault):
            pytest.skip(f"component missing: {fault}")
        raise


def test_report_follows_from_its_samples():
    result = measured(3)
    samples = result["samples"]
    assert {len(samples["sign_us"]), len(samples["naive_us"])} == {3}
    bar = result["bars"][0]
    ratio = median(samples["naive_us"]) / median(samples["sign_us"])
    assert bar["name"] == "sign_vs_naive"
    assert bar["value"] == pytest.approx(ratio, rel=0.01)
    assert bar["met"] is (bar["value"] >= bar["bar"]) is True


def test_instructions_of_a_board_meet_their_bars():
    """Deterministic, unlike times: the same code takes the same number of instructions."""
    result = measured(1)
    bars = {bar["name"]: bar for bar in result["bars"]}
    board = result["board"]
    sign = bars["sign_instructions"]
    assert (sign["bar"], bars["sha512_block_rv32"]["bar"]) == (5_500_000, 70_000)
    assert all(bars[name]["met"] for name in bars if name != "sign_vs_naive")
    assert sign["value"] <= result["sign_instructions_goal"] == 5_000_000
    # 3 programs and 5 blocks: the hedge's, two each for the nonce and the challenge.
    assert board["kernel_calls"] == 8
    assert board["sha512_instructions"] == 5 * bars["sha512_block_rv32"]["value"]
    assert sign["value"] == (
        board["field_instructions"] + board["sha512_instructions"] + 8 * CALL_INSTRUCTIONS
    )
    assert board["with_glue_estimate"] == sign["value"] + board["glue_instructions_estimate"]
    assert board["glue_bytecodes"] > 1000


def test_the_counted_message_is_one_of_sixteen_readings():
    payload = cbor2.loads(readings_payload())
    columns = payload[7][2]
    assert payload[1] == 1
    assert sum(len(column[3]) for column in columns) == READINGS == 16
    assert len(readings_payload()) <= 200


def test_absent_machines_are_an_operators_fault(monkeypatch):
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(OperatorFault, match="unicorn_missing"):
        measure_sign(1)
