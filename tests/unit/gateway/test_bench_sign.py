"""The signing benchmark compares like with like and reports what it measured."""

from statistics import median

import pytest
from nacl.signing import SigningKey

from gateway.cli.bench_sign import NaiveSigner, measure_sign


@pytest.mark.parametrize("size", [0, 1, 300])
def test_baseline_signs_correctly(size):
    seed, message = bytes(range(1, 33)), bytes(size)
    naive, reference = NaiveSigner(seed), SigningKey(seed)
    assert naive.public_key == bytes(reference.verify_key)
    assert naive.sign(message) == reference.sign(message).signature


def test_report_follows_from_its_samples():
    result = measure_sign(3)
    samples = result["samples"]
    assert {len(samples["sign_us"]), len(samples["naive_us"])} == {3}
    (bar,) = result["bars"]
    ratio = median(samples["naive_us"]) / median(samples["sign_us"])
    assert bar["name"] == "sign_vs_naive"
    assert bar["value"] == pytest.approx(ratio, rel=0.01)
    assert bar["met"] is (bar["value"] >= bar["bar"]) is True
