"""A browser, the gateway's pages in it, and their modules in Node."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.flash_rig import FlashPage
from tests.service.api_rig import live_api
from tests.service.gateway_rig import START, network

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def modules(require_component) -> Callable[..., object]:
    """Return a function that runs a job of modules.mjs."""
    node = require_component("node")

    def run(job: str, argument: object = None) -> object:
        done = subprocess.run(
            [node, HERE / "modules.mjs"],
            input=json.dumps({"job": job, "argument": argument}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def chromium(require_component) -> Iterator[object]:
    """A headless Chromium, for these tests alone: while it is there its event loop runs, and
    nobody else's can.
    """
    program = require_component("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("component missing: playwright is not installed")
    with sync_playwright() as playwright:
        # As root there is no sandbox to be had.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway with its API, whose clock stands."""
    keys = network(tmp_path_factory.mktemp("gateway") / "data")
    with live_api(keys) as api:
        api.clock.ms = START
        yield api


@pytest.fixture
def open_page(chromium):
    """Return a function that opens the page /flash; at the end, it must have kept to its rules."""
    opened: list[FlashPage] = []

    def open_it(url: str, board: str | None = None, **options) -> FlashPage:
        page = FlashPage(chromium, url, board, **options)
        opened.append(page)
        return page

    yield open_it
    for page in opened:
        page.close()
    assert [fault for page in opened for fault in page.faults] == []
