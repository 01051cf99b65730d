"""Documents of our own: which bytes are one, and which shapes the readers take."""

import pytest

from gateway.core import canonical
from gateway.core.canonical import MalformedError
from gateway.core.cbor_profile import encode


def test_a_document_of_plain_values_is_read():
    value = [1, -(2**63), 2**64 - 1, b"b", "t", None, [[]]]
    assert canonical.decode(encode(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0000",
        "1801",
        "9f00ff",
        "a10000",
        "f4",
        "f90000",
        "c249010000000000000000",
        "c100",
        "d81c81d81d00",
        "3bffffffffffffffff",
        "81" * 9 + "00",
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(MalformedError):
        canonical.decode(bytes.fromhex(data))


@pytest.mark.parametrize(
    "text", ["", "-1", "01", "1.0", "\u0661", " 1", "1" * 79, str(2**256), 1, None]
)
def test_an_amount_is_decimal_text_within_a_claim(text):
    with pytest.raises(MalformedError):
        canonical.amount(text, "it")


def test_amounts_at_their_bounds():
    assert canonical.amount("0", "it") == 0
    assert canonical.amount(str(2**256 - 1), "it") == 2**256 - 1


@pytest.mark.parametrize("keys", [[1, 1], [2, 1], ["b", "a", "c"]])
def test_keys_that_do_not_rise_are_refused(keys):
    with pytest.raises(MalformedError):
        canonical.ascending(keys, "they")
    canonical.ascending(sorted(set(keys)), "they")


def test_each_reader_names_what_it_refused():
    for read in (
        lambda: canonical.row([1], 2, "the thing"),
        lambda: canonical.rows(1, "the thing"),
        lambda: canonical.uint(-1, "the thing"),
        lambda: canonical.uint(None, "the thing"),
        lambda: canonical.sint("1", "the thing"),
        lambda: canonical.octets(b"123", (2, 4), "the thing"),
        lambda: canonical.blob("text", "the thing"),
    ):
        with pytest.raises(MalformedError, match="the thing"):
            read()
