"""The page /flash by itself: what it loads, its rules, small screens, keyboards and readers."""

import json
import re

import pytest

from gateway.shell.api.web_files import FOLDER

pytestmark = pytest.mark.slow

STATES = ("idle", "ready", "flashing", "choosing", "following", "accepted", "failed")
SCHEMES = [("light", 1200, 900), ("dark", 1200, 900), ("light", 390, 844), ("dark", 390, 844)]
# As the page shows it, with what a board and a gateway would have brought.
SHOW = """async (state) => {
  const view = await import("/flash/view.js");
  const faults = await import("/flash/faults.js");
  view.showState(state, state === "failed" ? "flashing" : null);
  if (state === "failed") {
    view.showFault(faults.told(new faults.Fault("chip_silent"), "part"));
  }
  view.showFacts("board-facts", [["Chip", "esp32"], ["MAC", "24:0a:c4:00:00:01", "digits"]]);
  view.showFacts("write-facts", [["File system", "SHA-256 " + "5a".repeat(32), "digits"]]);
  view.options("offered", [["0", "ESP32_GENERIC.bin (v1.29.0)"], ["", "a file of mine"]]);
  view.options("networks", [["home", "home (-61 dBm)"], ["", "another one"]]);
  document.getElementById("kept").hidden = false;
  document.getElementById("place-save").hidden = false;
  view.offerFile("place-file", { name: "cairn-place.json", text: "{}" });
  view.showProgress(0.4, "Writing factory at 0x10000, 1500 KiB.");
  view.clearEvents();
  view.addEvent("12:00:01", "hello", true, "");
  view.addEvent("12:00:02", "readings", false, "Its clock is wrong. Set it.");
  document.querySelector("#station details").open = true;
}"""


@pytest.fixture(scope="session")
def axe(node_modules) -> str:
    return (node_modules("browser") / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("look", SCHEMES, ids=str)
def test_every_state_is_accessible(gateway, open_page, axe, look):
    scheme, width, height = look
    page = open_page(
        gateway.url, color_scheme=scheme, viewport={"width": width, "height": height}
    ).page
    page.evaluate(axe)
    for state in STATES:
        page.evaluate(SHOW, state)
        found = page.evaluate("async () => (await axe.run()).violations")
        said = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
        assert said == [], (state, scheme, width)
        # Nothing is cut off or reached by scrolling sideways.
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state


def test_every_state_is_said_in_words(gateway, open_page):
    """A mark is a word, and the state is a sentence in a region that is read out."""
    page = open_page(gateway.url).page
    assert page.get_attribute("#state", "role") == "status"
    page.evaluate(SHOW, "flashing")
    assert page.inner_text("#state").startswith("Writing.")
    marks = [mark.inner_text() for mark in page.query_selector_all("#steps .mark")]
    assert marks == ["done", "done", "now", "", ""]
    page.evaluate(SHOW, "failed")
    assert page.query_selector_all("#steps .mark")[2].inner_text() == "failed"
    assert page.get_attribute("#step-write", "aria-current") == "step"


def test_it_is_used_by_keyboard_alone(gateway, open_page):
    page = open_page(gateway.url).page
    page.evaluate(SHOW, "ready")
    page.focus("#offered")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    wanted = ["file", "lat", "lon", "here", "resolution", "agree", "s-bme280", "others"]
    wanted += ["owner", "gain", "height", "rhythm", "architecture", "lose", "write"]
    assert [one for one in reached if one in wanted][: len(wanted)] == wanted
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_what_does_not_fit_is_said_at_its_field(gateway, open_page):
    page = open_page(gateway.url).page
    page.evaluate(SHOW, "ready")
    page.fill("#lat", "91")
    page.fill("#lon", "13.4")
    page.fill("#owner", "0x12")
    page.fill("#gain", "2.15")
    page.evaluate("async () => (await import('/flash/form.js')).check()")
    assert "Enter latitude" in page.inner_text("#place-error")
    assert "at least one sensor" in page.inner_text("#sensors-error")
    assert "40 hex digits" in page.inner_text("#owner-error")
    assert "both" in page.inner_text("#antenna-error")
    assert "agree" in page.inner_text("#kept-error")
    assert page.get_attribute("#lat", "aria-invalid") == "true"
    assert page.get_attribute("#lon", "aria-invalid") != "true"
    assert page.evaluate("document.activeElement.id") == "lat"


def test_the_public_cell_is_shown_before_anybody_agrees_to_it(gateway, open_page):
    page = open_page(gateway.url).page
    page.evaluate(SHOW, "ready")
    page.fill("#lat", "52.52")
    page.fill("#lon", "13.405")
    fine = page.inner_text("#cell")
    assert re.search(r"Public: cell 89[0-9a-f]{13}, some 350 m across", fine)
    page.check("#agree")
    # Another cell is another question.
    page.select_option("#resolution", "7")
    assert re.search(r"cell 87[0-9a-f]{13}, some 2.5 km across", page.inner_text("#cell"))
    assert not page.is_checked("#agree")


def test_the_exact_place_stays_in_the_browser(gateway, open_page):
    page = open_page(gateway.url).page
    page.evaluate(SHOW, "ready")
    sent = page.evaluate(
        """async () => {
      const form = await import("/flash/form.js");
      const place = await import("/flash/place.js");
      return form.choice(await place.commit(52.520008, 13.404954, 9), "xtensawin", 2097152);
    }"""
    )
    assert set(sent) == {
        *("architecture", "partition_bytes", "scoring_cell", "place_commitment"),
        *("antenna", "owner", "sensors", "sample_s", "message_s"),
    }
    assert not re.search(r"52\.52|13\.40|salt", json.dumps(sent))


def test_a_browser_without_web_serial_is_told_so(gateway, open_page):
    opened = open_page(gateway.url)
    page = opened.page
    page.add_init_script("delete Navigator.prototype.serial; delete navigator.serial;")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    fault = opened.fault()
    assert fault["code"] == "serial_unsupported"
    assert "Chrome" in fault["do"]
    assert "cairn board flash" in fault["do"]
    assert page.is_disabled("#install")


def test_a_page_over_plain_http_from_elsewhere_is_told_so(gateway, open_page):
    """Chromium calls no such page secure, and gives it no serial port."""
    opened = open_page(gateway.url)
    page = opened.page
    page.add_init_script("Object.defineProperty(globalThis, 'isSecureContext', { value: false })")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    fault = opened.fault()
    assert fault["code"] == "serial_insecure"
    assert "ssh -L" in fault["do"]


def test_it_needs_nothing_but_its_gateway(gateway, open_page):
    """Every file that the page names is in the folder, and none comes from elsewhere."""
    opened = open_page(gateway.url)
    asked: list[str] = []
    opened.page.on("request", lambda request: asked.append(request.url))
    opened.page.reload()
    opened.page.wait_for_selector("body[data-ready]")
    opened.page.evaluate(SHOW, "accepted")
    assert asked
    assert all(url.startswith(gateway.url) for url in asked if not url.startswith("blob:"))
    for path in FOLDER.rglob("*.js"):
        if "vendor" not in path.parts:
            assert not re.search(r"https?://(?!localhost)", path.read_text("utf-8")), path
