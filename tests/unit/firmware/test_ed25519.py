"""Ed25519 signer: RFC vectors, a C library, and the parts that no signature shows."""

import hashlib
import importlib.util
import inspect

import pytest
from cairn import ed25519, ed25519_comb, ed25519_point, ed25519_tables, field25519
from nacl.signing import SigningKey

# RFC 8032 section 7.1: seed, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
            "f9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
            "f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
            "4dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3"
            "feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c664"
            "31e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
]
SEED = bytes(range(32))
EDGE_SCALARS = [0, 1, 2, 3, 8, 2**252, 2**128 - 1, ed25519_comb.L - 1, ed25519_comb.L - 2]


@pytest.mark.parametrize("seed, public_key, message, signature", RFC_8032)
def test_rfc_8032(seed, public_key, message, signature):
    signer = ed25519.Signer(bytes.fromhex(seed))
    assert signer.public_key.hex() == public_key
    assert signer.sign(bytes.fromhex(message)).hex() == signature


def test_blinding_changes_nothing_that_shows():
    plain = ed25519.Signer(SEED)
    for byte in (0, 1, 2, 127, 253, 254, 255):
        blind = bytes([byte]) + bytes(30) + bytes([byte])
        assert ed25519.Signer(SEED, blind).public_key == plain.public_key
        assert plain.sign(b"message", b"", blind) == plain.sign(b"message")


def test_hedge_follows_the_draft():
    hedge, message = bytes(range(32, 64)), b"message"
    prefix = hashlib.sha512(SEED).digest()[32:]
    hedged = hashlib.sha512(hashlib.sha512(prefix + hedge).digest()[:32] + message).digest()
    nonce = int.from_bytes(hedged, "little") % ed25519_comb.L
    signature = ed25519.Signer(SEED).sign(message, hedge)
    commitment = ed25519_point.encode_point(ed25519_point.base_multiply(nonce))
    assert signature[:32] == commitment
    SigningKey(SEED).verify_key.verify(message, signature)


def test_signer_takes_no_public_key():
    # Two signatures with one nonce under two claimed keys would give the secret scalar away.
    assert list(inspect.signature(ed25519.Signer).parameters) == ["seed", "blind"]
    assert list(inspect.signature(ed25519.Signer.sign).parameters)[1:] == [
        "message",
        "hedge",
        "blind",
    ]
    with pytest.raises(AttributeError):
        ed25519.Signer(SEED).public_key = bytes(32)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_wrong_lengths(size):
    with pytest.raises(ValueError, match="32 bytes"):
        ed25519.Signer(bytes(size))
    if size:
        with pytest.raises(ValueError, match="32 bytes"):
            ed25519.Signer(SEED).sign(b"", bytes(size))
        with pytest.raises(ValueError, match="32 bytes"):
            ed25519.Signer(SEED).sign(b"", b"", bytes(size))


@pytest.mark.parametrize("scalar", EDGE_SCALARS)
def test_base_multiply_against_double_and_add(scalar):
    base = ed25519_point.base_multiply(1)
    expected = (0, 1, 1, 0)
    for bit in f"{scalar:b}":
        expected = ed25519_point.double(expected)
        if bit == "1":
            expected = ed25519_point.add(expected, ed25519_point.addend_of(base))
    for blind in (b"", bytes([252]) + bytes(31), bytes([253]) + b"\xff" * 31):
        point = ed25519_point.base_multiply(scalar, blind)
        assert ed25519_point.encode_point(point) == ed25519_point.encode_point(expected)


def test_every_scalar_takes_the_same_steps(monkeypatch):
    steps = []

    def recorded(name, function):
        return lambda *args: (steps.append(name), function(*args))[1]

    for name in ("add", "double"):
        original = getattr(ed25519_point, name)
        monkeypatch.setattr(ed25519_point, name, recorded(name, original))
    seen = set()
    for scalar in EDGE_SCALARS:
        steps.clear()
        ed25519_point.base_multiply(scalar)
        seen.add(tuple(steps))
    assert len(seen) == 1
    (only,) = seen
    assert (only.count("add"), only.count("double")) == (52, 25)


def test_coordinates_stay_below_256_bits():
    # Folding the products once instead of twice lets them grow without bound.
    point = (2**256 - 1, 2**256 - 3, 2**256 - 5, 2**256 - 7)
    for _ in range(200):
        point = ed25519_point.add(ed25519_point.double(point), ed25519_point.addend_of(point))
        assert all(0 <= value < 2**256 for value in point)
    assert 0 <= field25519.square_times(2**256 - 1, 300) < 2**256


def test_field_powers():
    p = field25519.P
    assert field25519.D * 121666 % p == -121665 % p
    assert 2 * field25519.D % p == field25519.D2
    assert pow(field25519.SQRT_MINUS_1, 2, p) == p - 1
    for z in (1, 2, p - 1, 3**150 % p, 2**255 - 1):
        assert field25519.invert(z) * z % p == 1
        assert field25519.power_p58(z) == pow(z, (p - 5) // 8, p)
    assert field25519.invert(0) == 0


def test_tables_are_what_the_generator_makes(repo_root):
    generator = repo_root / "firmware" / "tools" / "make_comb_tables.py"
    spec = importlib.util.spec_from_file_location("make_comb_tables", generator)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text(encoding="ascii") == module.module_text()
    assert len(ed25519_tables.COMB) == 2 * 16 * 99
