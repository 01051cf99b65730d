"""One attempt after the other to install a release: what comes, what does not, and what stays."""

from collections.abc import Callable

import pytest
from cairn import cbor, limits, slots

from tests.unit.firmware.update_kit import (
    ARCHITECTURE,
    Attempt,
    MemoryPrograms,
    Release,
    Server,
    digest,
    http,
    put_program,
)

REFUSED, INSTALLED = limits.UPDATE_REFUSED, limits.UPDATE_INSTALLED
OLD = {
    "application.mpy": b"old program" * 300,
    "cairn/boards/base.mpy": b"door",
    "dht.mpy": b"driver" * 200,
    "gone.mpy": b"nobody needs it",
}
NEW = {
    "application.mpy": b"new program" * 700,
    "cairn/boards/base.mpy": b"door",
    "cairn/sensors/rack.mpy": b"other door",
    "dht.mpy": b"driver" * 200,
    "empty.mpy": b"",
}
RELEASE = Release(NEW)
FILE = "/v1/releases/files/" + digest(NEW["application.mpy"]).hex()


@pytest.fixture
def programs() -> MemoryPrograms:
    made = MemoryPrograms()
    put_program(made, "a", OLD, 1)
    return made


def server_of(release: Release = RELEASE) -> Server:
    return Server(release.pages())


def one(programs: MemoryPrograms, server: Server | None, release: Release = RELEASE) -> Attempt:
    return Attempt(programs, server, release.offer)


def assert_installed(programs: MemoryPrograms, release: Release = RELEASE) -> None:
    content = programs.content("b")
    listed = content.pop("release")
    assert content == dict(release.files)
    assert listed.splitlines()[0].split()[2] == str(release.counter).encode()
    assert slots.state(programs)[:4] == ("a", "b", limits.TRIAL_TRIES, release.counter)
    assert_untouched(programs, state=False)


def assert_untouched(programs: MemoryPrograms, *, state: bool = True) -> None:
    """The slot that runs is as it was, and no other is to be tried."""
    content = programs.content("a")
    assert content.pop("release")
    assert content == OLD
    if state:
        assert slots.state(programs)[:2] == ("a", "-")


def test_a_release_is_installed_and_only_what_is_new_comes_over_the_network(
    programs: MemoryPrograms,
) -> None:
    server = server_of()
    assert one(programs, server).run() == INSTALLED
    assert_installed(programs)
    asked = [path.rsplit("/", 1)[1] for path, _ in server.asked]
    new = [digest(NEW[name]).hex() for name in ("application.mpy", "cairn/sensors/rack.mpy")]
    assert asked == ["index", ARCHITECTURE, *new]


def test_a_release_that_takes_all_kinds_of_time_is_the_same(programs: MemoryPrograms) -> None:
    """The connection breaks after every n bytes; it goes on where it was, and ends up whole."""
    for every in (900, 1_300, 2_900):
        server = server_of()
        made = MemoryPrograms()
        put_program(made, "a", OLD, 1)
        attempt = one(made, server)
        for _ in range(60):
            server.cut_after = every
            if attempt.run() == INSTALLED:
                break
        assert_installed(made)
        starts = [start for path, start in server.asked if path == FILE]
        assert starts[0] == 0
        assert starts == sorted(set(starts))


def test_a_server_without_ranges_serves_too(programs: MemoryPrograms) -> None:
    server = server_of()
    server.ranges = False
    attempt = one(programs, server)
    server.cut_after = 4_000
    assert attempt.run() > 0
    server.cut_after = None
    assert attempt.run() == INSTALLED
    assert_installed(programs)


@pytest.mark.parametrize(
    "release, code",
    [
        (Release(NEW, signers=(0,)), "too_few_signatures"),
        (Release(NEW, signers=(0, 3)), "too_few_signatures"),
        (Release(NEW, counter=1), "rolled_back"),
        (Release(NEW, architecture="rv32imc"), "other_architecture"),
        (Release(NEW, network_id=b"elsewher"), "bad_trust"),
        (
            Release(NEW, root=(b"another root's public key, really", lambda _: bytes(64))),
            "bad_trust",
        ),
    ],
)
def test_what_may_not_run_is_refused_for_good(
    programs: MemoryPrograms, release: Release, code: str
) -> None:
    attempt = one(programs, server_of(release), release)
    assert attempt.run() == REFUSED
    assert attempt.noted == ["update." + code]
    assert_untouched(programs)
    assert programs.content("b") == {}


def doubled(release: Release) -> Release:
    """One signer twice, in the place of two."""

    class Doubled(Release):
        @property
        def bundle(self) -> bytes:
            return cbor.encode([self.trust, self.manifest, [self.signature(0)] * 2])

    return Doubled(release.files)


def test_one_signer_twice_is_not_two(programs: MemoryPrograms) -> None:
    release = doubled(RELEASE)
    attempt = one(programs, server_of(release), release)
    assert attempt.run() == REFUSED
    assert attempt.noted == ["update.malformed"]


def test_a_bundle_for_another_counter_is_refused(programs: MemoryPrograms) -> None:
    server = server_of()
    pages = {path.replace("/2/", "/3/"): page for path, page in server.pages.items()}
    attempt = Attempt(programs, Server(pages), (RELEASE.offer[0], 3))
    assert attempt.run() == REFUSED
    assert attempt.noted == ["update.other_counter"]


@pytest.mark.parametrize("path", ["/v1/releases/2/index", f"/v1/releases/2/{ARCHITECTURE}", FILE])
@pytest.mark.parametrize(
    "change, code",
    [
        (lambda page: bytes([page[0] ^ 1]) + page[1:], "other_content"),
        (lambda page: page[:-1] + bytes([page[-1] ^ 0x80]), "other_content"),
        (lambda page: page[:-1], "http"),
        (lambda page: page + b"x", "http"),
        (lambda _: None, "absent"),
    ],
)
def test_spoiled_pages_are_asked_for_again(
    programs: MemoryPrograms, path: str, change: Callable[[bytes], bytes | None], code: str
) -> None:
    server = server_of()
    spoiled = change(server.pages[path])
    right = server.pages[path]
    if spoiled is None:
        del server.pages[path]
    else:
        server.pages[path] = spoiled
    attempt = one(programs, server)
    assert attempt.run() > 0
    # The index has no size that is known before.
    expected = "other_content" if code == "http" and path.endswith("index") else code
    assert attempt.noted == ["update." + expected]
    assert_untouched(programs)
    server.pages[path] = right
    assert attempt.run() == INSTALLED
    assert_installed(programs)


@pytest.mark.parametrize(
    "answer, code",
    [
        (b"", "cut"),
        (b"HTTP/1.1 200 OK\r\n", "cut"),
        (b"nonsense\r\n\r\n", "http"),
        (b"HTTP/1.1 200 OK\r\n\r\nno length", "http"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "http"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "http"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 400, "http"),
        (http(b"", "500 Oops"), "http"),
        (http(b"", "416 Range Not Satisfiable"), "range"),
        (http(b"x" * 10, "206 Partial Content"), "range"),
        (http(b"x" * 10, "206 Partial Content", Content_Range="bytes 0-9/7700"), "range"),
        (http(b"x" * 10, "206 Partial Content", Content_Range="bytes 2048-2056/7700"), "range"),
        (http(b"x" * 10, "206 Partial Content", Content_Range="bytes 2049-2058/7700"), "range"),
        (http(b"x" * 10, "206 Partial Content", Content_Range="bytes 2048-2057/7701"), "http"),
        (http(b"x" * 10, "206 Partial Content", Content_Range="items 2048-2057/7700"), "range"),
        (http(b"x" * 10, "206 Partial Content", Content_Range="bytes */7700"), "range"),
    ],
)
def test_wrong_answers_to_a_range_are_not_taken(
    programs: MemoryPrograms, answer: bytes, code: str
) -> None:
    server = server_of()
    attempt = one(programs, server)
    # So far it came: one piece of the first file.
    part = f"b/{digest(NEW['application.mpy'])[:8].hex()}.part"
    programs.write(part, NEW["application.mpy"][: limits.UPDATE_PIECE_BYTES])
    server.broken = lambda path, _: answer if path == FILE else None
    assert attempt.run() > 0
    assert attempt.noted == ["update." + code]
    assert programs.size(part) == limits.UPDATE_PIECE_BYTES
    server.broken = lambda *_: None
    assert attempt.run() == INSTALLED
    assert (FILE, limits.UPDATE_PIECE_BYTES) in server.asked
    assert_installed(programs)


def test_content_that_is_spoiled_again_and_again_comes_ever_less_often(
    programs: MemoryPrograms,
) -> None:
    """Also if all but the last byte comes in between: that is flash written in vain."""
    server = server_of()
    page = server.pages[FILE]
    server.pages[FILE] = page[:-1] + bytes([page[-1] ^ 1])
    attempt = one(programs, server)
    pauses = []
    for _ in range(12):
        server.cut_after = len(page)
        pauses.append(attempt.run())
        server.cut_after = None
        pauses.append(attempt.run())
    assert pauses[-2:] == [limits.UPDATE_BACKOFF_MS_MAX] * 2
    assert_untouched(programs)


def test_single_bytes_do_not_keep_the_attempts_frequent(programs: MemoryPrograms) -> None:
    server = server_of()
    attempt = one(programs, server)
    server.broken = lambda path, start: (
        http(
            b"x",
            "206 Partial Content" if start else "200 OK",
            Content_Range=f"bytes {start}-{start}/7700",
        )
        if path == FILE
        else None
    )
    part = f"b/{digest(NEW['application.mpy'])[:8].hex()}.part"
    programs.write(part, b"n")
    attempt.run()
    pauses = [attempt.run() for _ in range(12)]
    assert pauses[-1] == limits.UPDATE_BACKOFF_MS_MAX
    assert (programs.size(part) or 0) > 10


def test_an_index_that_is_none_is_refused_and_nothing_else_happens(
    programs: MemoryPrograms,
) -> None:
    """The gateway alone vouches for it: it must not make a station restart for ever."""
    index = b"\xff no index"
    attempt = Attempt(programs, Server({"/v1/releases/2/index": index}), (digest(index), 2))
    assert attempt.run() == REFUSED
    assert attempt.noted == ["update.malformed"]
    assert_untouched(programs)


def test_no_memory_is_no_reason_to_restart(
    programs: MemoryPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("cairn.releases.verified", full)
    attempt = one(programs, server_of())
    assert attempt.run() == limits.UPDATE_BACKOFF_MS_MAX
    assert attempt.noted == ["update.memory"]
    monkeypatch.undo()
    assert attempt.run() == INSTALLED


def test_a_part_that_is_wrong_is_thrown_away_once_it_is_whole(programs: MemoryPrograms) -> None:
    part = f"b/{digest(NEW['application.mpy'])[:8].hex()}.part"
    programs.write(part, b"something else" * 100)
    server = server_of()
    attempt = one(programs, server)
    assert attempt.run() > 0
    assert attempt.noted == ["update.other_content"]
    assert attempt.run() == INSTALLED
    assert_installed(programs)


def test_without_a_network_the_attempts_get_rarer(programs: MemoryPrograms) -> None:
    attempt = one(programs, None)
    pauses = [attempt.run() for _ in range(12)]
    assert attempt.noted == ["update.unreachable"] * 12
    assert pauses[:3] == [20_000, 40_000, 80_000]
    assert pauses[-1] == limits.UPDATE_BACKOFF_MS_MAX
    assert_untouched(programs)


def test_what_does_not_fit_is_not_begun(programs: MemoryPrograms) -> None:
    programs.free = 60_000
    programs.write("b/release", b"the program before")
    attempt = one(programs, server_of())
    assert attempt.run() == limits.UPDATE_BACKOFF_MS_MAX
    assert attempt.noted == ["update.full"]
    assert programs.read("b/release")
    programs.free = 100_000
    assert attempt.run() == INSTALLED


def test_a_flash_that_does_not_keep_what_is_written_is_found_out(
    programs: MemoryPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = programs.rename

    def worn(name: str, to: str) -> None:
        rename(name, to)
        if to == "b/dht.mpy":
            programs.write(to, b"DRIVER" * 200)

    monkeypatch.setattr(programs, "rename", worn)
    attempt = one(programs, server_of())
    assert attempt.run() > 0
    assert attempt.noted == ["update.storage"]
    assert "release" not in programs.content("b")
    assert_untouched(programs)


def test_what_another_release_left_is_cleared_and_used(programs: MemoryPrograms) -> None:
    assert one(programs, server_of()).run() == INSTALLED
    slots.store(programs, ("a", "-", 0, 0, 1, 2))
    newer = Release(NEW | {"application.mpy": b"newest" * 99, "more.mpy": b"m"}, counter=3)
    del newer.files["empty.mpy"]  # type: ignore[attr-defined]
    server = server_of(newer)
    assert one(programs, server, newer).run() == INSTALLED
    assert_installed(programs, newer)
    assert len(server.asked) == 4


def test_a_withdrawn_release_stops(programs: MemoryPrograms) -> None:
    server = server_of()
    attempt = one(programs, server)

    def withdraw(path: str, start: int) -> None:
        if path == FILE:
            attempt.offer = (bytes(32), 0)

    server.broken = withdraw
    made = Attempt.run
    offer = attempt.offer
    attempt.offer = offer
    assert made(attempt) == REFUSED
    assert attempt.noted == ["update.withdrawn"]
    assert_untouched(programs)


def test_the_trust_documents_serial_only_goes_up(programs: MemoryPrograms) -> None:
    newer = Release(NEW, serial=7)
    attempt = one(programs, server_of(newer), newer)
    assert attempt.run() == INSTALLED
    assert slots.floors(attempt.board.vault, attempt.config.root_key) == (7, 0)
    older = Release(NEW, serial=6, counter=3)
    slots.store(programs, ("a", "-", 0, 0, 1, 0))
    again = one(programs, server_of(older), older)
    again.board.fs = attempt.board.fs
    assert again.run() == REFUSED
    assert again.noted == ["update.trust_rolled_back"]
