"""Network tags: the same within one network, another elsewhere, and nothing without the key."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.shell.net_tag import TAG_BYTES, net_tagger

TAG = net_tagger(bytes(32))


def test_one_network_has_one_tag():
    assert TAG("203.0.113.7") == TAG("203.0.113.250") != TAG("203.0.112.7")
    assert TAG("2001:db8:1:2::3") == TAG("2001:db8:1:ffff::") != TAG("2001:db8:2::3")
    assert TAG("::ffff:203.0.113.9") == TAG("203.0.113.7")
    assert TAG("fe80::1%eth0") == TAG("fe80::1")
    assert len(TAG("203.0.113.7")) == TAG_BYTES


def test_families_are_apart_and_the_key_decides():
    assert TAG("198.51.100.1") != TAG("::")
    assert net_tagger(bytes([1]) * 32)("203.0.113.7") != TAG("203.0.113.7")


@given(st.text())
def test_what_is_no_address_has_no_tag(text: str):
    assert len(TAG(text)) in {0, TAG_BYTES}
    assert TAG("broker.example") == TAG("") == b""


@given(st.ip_addresses(), st.ip_addresses())
def test_equal_tags_mean_equal_prefixes(one, other):
    def prefix(address):
        if address.version == 6 and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address.version, int(address) >> {4: 8, 6: 80}[address.version]

    assert (TAG(str(one)) == TAG(str(other))) == (prefix(one) == prefix(other))
