"""Downloading an image from a server that does what a test wants."""

import threading
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gateway.board import flash_download
from gateway.board.flash_download import download, images_folder
from gateway.shell.errors import Code, OperatorFault

DATA = bytes(range(256)) * 1200
DIGEST = sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """cuts: after how many bytes it hangs up, request by request; statuses: what it says first."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts, self.statuses, self.ranges = [], [], True
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/firmware.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        if self.path.endswith("moved"):
            self.send_response(302)
            self.send_header("Location", "/firmware.bin")
            self.end_headers()
            return
        start = int(wanted[6:-1]) if wanted and server.ranges else 0
        if start >= len(DATA):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else len(DATA)
        self.wfile.write(DATA[start : start + cut])

    def log_message(self, *_args):
        pass


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path):
    told = []

    def run(digest=DIGEST, url=None):
        return download(
            url or server.url, digest, tmp_path / "images", lambda *now: told.append(now), pause=0
        )

    run.told, run.folder = told, tmp_path / "images"
    return run


@contextmanager
def _fault(code):
    with pytest.raises(OperatorFault) as raised:
        yield raised
    assert raised.value.code == code


def test_it_comes_whole_and_is_kept(server, get):
    assert get() == DATA
    assert [path.name for path in get.folder.iterdir()] == [f"{DIGEST}.bin"]
    assert get.told[-1] == (len(DATA), len(DATA))
    assert get() == DATA
    assert server.asked == [None]


def test_a_kept_one_that_is_damaged_is_loaded_again(server, get):
    get()
    (get.folder / f"{DIGEST}.bin").write_bytes(DATA[:-1])
    assert get() == DATA
    assert len(server.asked) == 2


def test_it_goes_on_where_the_line_broke(server, get):
    server.cuts = [100_000, 70_000]
    assert get() == DATA
    assert server.asked[0] is None
    assert all(one.startswith("bytes=") for one in server.asked[1:])
    assert len(server.asked) == 3


def test_a_later_run_goes_on_too(server, get):
    server.cuts = [50_000] + [1] * (flash_download.ATTEMPTS - 1)
    with _fault(Code.DOWNLOAD_FAILED):
        get()
    # Nothing is there under the name of a whole file.
    assert [path.name for path in get.folder.iterdir()] == [f"{DIGEST}.part"]
    asked = len(server.asked)
    assert get() == DATA
    assert server.asked[asked] == f"bytes={50_000 + flash_download.ATTEMPTS - 1}-"
    assert [path.name for path in get.folder.iterdir()] == [f"{DIGEST}.bin"]


def test_a_server_without_ranges_starts_over(server, get):
    server.ranges = False
    server.cuts = [100_000]
    assert get() == DATA


def test_a_part_that_is_whole_already_is_taken(server, get):
    get.folder.mkdir()
    (get.folder / f"{DIGEST}.part").write_bytes(DATA)
    assert get() == DATA
    assert server.asked == [f"bytes={len(DATA)}-"]


def test_another_file_is_not_kept(server, get):
    digest = "0" * 64
    with _fault(Code.DOWNLOAD_MISMATCH) as raised:
        get(digest)
    assert DIGEST in raised.value.why
    assert digest in raised.value.why
    assert list(get.folder.iterdir()) == []


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server, get):
    server.statuses = [503, 500]
    assert get() == DATA
    (get.folder / f"{DIGEST}.bin").unlink()
    server.statuses = [404]
    asked = len(server.asked)
    with _fault(Code.DOWNLOAD_FAILED) as raised:
        get()
    assert "404" in raised.value.why
    assert len(server.asked) == asked + 1


def test_a_redirect_is_followed(server, get):
    assert get(url=server.url.replace("firmware.bin", "moved")) == DATA


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "ftp://example.org/x", "x", "http://[::"])
def test_what_cannot_be_reached_is_told(get, url):
    with _fault(Code.DOWNLOAD_FAILED):
        get(url=url)


def test_a_file_without_end_is_refused(get, monkeypatch):
    monkeypatch.setattr(flash_download, "BYTES_MAX", 1 << 16)
    with _fault(Code.DOWNLOAD_FAILED):
        get()
    assert list(get.folder.iterdir()) == [], "what is left would be in the way of the next try"


def test_a_login_in_the_url_is_told_to_nobody(get):
    with _fault(Code.DOWNLOAD_FAILED) as raised:
        get(url="http://name:secret@127.0.0.1:1/x")
    assert "secret" not in str(raised.value)
    assert "http://127.0.0.1:1/x" in raised.value.why


def test_a_folder_that_cannot_be_written_is_told(get):
    get.folder.write_text("a file")
    with _fault(Code.FILE_UNWRITABLE):
        get()


def test_images_are_kept_where_the_system_keeps_such(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert images_folder() == tmp_path / "cairn" / "images"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert images_folder() == tmp_path / ".cache" / "cairn" / "images"
