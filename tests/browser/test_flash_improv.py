"""The page's Improv: frames, and what it makes of what a board answers."""

import base64

import pytest

HEAD = b"IMPROV\x01"
STATE, ERROR, RPC, RESULT = 1, 2, 3, 4


def frame(kind: int, data: bytes) -> bytes:
    start = HEAD + bytes([kind, len(data)]) + data
    return start + bytes([sum(start) & 0xFF, 10])


def result(command: int, *texts: str) -> bytes:
    body = b"".join(bytes([len(text.encode())]) + text.encode() for text in texts)
    return frame(RESULT, bytes([command, len(body)]) + body)


def asked(modules, ask, *pieces: bytes):
    found = modules(
        "improv", {"ask": ask, "pieces": [base64.b64encode(one).decode() for one in pieces]}
    )
    found["text"] = base64.b64decode(found["text"])
    return found


def test_frames_are_those_of_the_standard(modules):
    made = {name: base64.b64decode(text) for name, text in modules("frames").items()}
    assert made["state"] == frame(RPC, b"\x02\x00")
    name = "Küche".encode()
    wifi = bytes([len(name)]) + name + b"\x06geheim"
    assert made["wifi"] == frame(RPC, bytes([1, len(wifi)]) + wifi)
    assert made["error"] == frame(ERROR, b"\x03")


def test_the_firmware_takes_the_pages_frames(modules):
    from cairn.improv import Parser, credentials, parse

    parser = Parser()
    found = [
        one
        for byte in base64.b64decode(modules("frames")["wifi"])
        if (one := parser.feed(byte)) is not None
    ]
    (kind, data) = found[0]
    command, given = parse(data)
    assert (kind, command) == (RPC, 1)
    # The board knows no password of less than 8 bytes.
    assert credentials(given) is None


def test_a_state_is_waited_for_between_other_text(modules):
    found = asked(
        modules, ["currentState"], b"ets Jul 29\r\nIMPR", b"OVED\r\n" + frame(STATE, b"\x02")
    )
    assert (found["value"], found["state"]) == (2, 2)
    assert found["text"].startswith(b"ets Jul 29\r\nIMPROVED\r\n")


def test_a_frame_may_come_byte_by_byte(modules):
    pieces = [bytes([byte]) for byte in frame(STATE, b"\x02")]
    assert asked(modules, ["currentState"], *pieces)["value"] == 2


def test_a_damaged_frame_is_dropped_and_the_next_one_taken(modules):
    damaged = bytearray(frame(STATE, b"\x04"))
    damaged[9] ^= 1
    found = asked(modules, ["currentState"], bytes(damaged), frame(STATE, b"\x02"))
    assert (found["value"], found["state"]) == (2, 2)


def test_a_frame_that_begins_inside_a_broken_one_is_found(modules):
    cut = frame(RESULT, b"\x03\x10" + bytes(16))[:12]
    found = asked(
        modules, ["currentState"], cut + frame(STATE, b"\x02") + frame(STATE, b"\x02") * 3
    )
    assert found["value"] == 2


def test_a_board_that_has_its_network_says_where_to_go_on(modules):
    url = "http://gateway.example:8080/flash#station=h5x2exbg4yonsgxg7ipvz7nuwm"
    found = asked(modules, ["currentState"], frame(STATE, b"\x04"), result(2, url))
    assert (found["value"], found["url"]) == (4, url)


def test_networks_come_strongest_first(modules):
    found = asked(
        modules,
        ["scan"],
        result(4, "weak", "-80", "YES"),
        result(4, "Küche", "-40", "NO"),
        result(4),
    )
    assert found["value"] == [
        {"ssid": "Küche", "rssi": -40, "secured": False},
        {"ssid": "weak", "rssi": -80, "secured": True},
    ]


def test_joining_ends_with_an_address(modules):
    found = asked(
        modules,
        ["provision", "home", "correct horse"],
        frame(ERROR, b"\x00") + frame(STATE, b"\x03"),
        frame(STATE, b"\x04") + result(1, "http://x/flash#station=a"),
    )
    assert found["value"] == "http://x/flash#station=a"
    (sent,) = found["sent"]
    assert b"correct horse" in base64.b64decode(sent)


@pytest.mark.parametrize("code", [1, 2, 3, 255])
def test_a_refusal_has_its_number(modules, code):
    found = asked(modules, ["provision", "home", "wrong one"], frame(ERROR, bytes([code])))
    assert found["code"] == code


def test_a_board_that_does_not_answer_is_a_timeout(modules):
    assert asked(modules, ["info"])["code"] == 254
    # An answer to another call is none to this one.
    assert asked(modules, ["info"], result(4, "home", "-40", "YES"))["code"] == 254


def test_facts_of_a_board(modules):
    answer = result(3, "cairn", "0.1.0", "esp32", "h5x2exbg4yonsgxg7ipvz7nuwm")
    assert asked(modules, ["info"], answer)["value"] == {
        "firmware": "cairn",
        "version": "0.1.0",
        "chip": "esp32",
        "name": "h5x2exbg4yonsgxg7ipvz7nuwm",
    }
