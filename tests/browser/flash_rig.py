"""The page /flash as somebody uses it, with a board of simulator/virtual at its port."""

from pathlib import Path
from urllib.parse import urlsplit

from tests.browser.serial_bridge import SHIM, SerialBridge

SECONDS_MAX = 60


class FlashPage:
    """url: of the gateway; board: url of its port, None for a page that has none to choose.

    What no page of ours may do is collected in `faults`: break its CSP, ask another host, fail.
    """

    def __init__(self, browser, url: str, board: str | None = None, **options) -> None:
        self.faults: list[str] = []
        self.refusals_expected = False
        self.bridge = SerialBridge(board or "")
        self._host = urlsplit(url).netloc
        self._context = browser.new_context(accept_downloads=True, **options)
        self.page = self._context.new_page()
        self.page.set_default_timeout(SECONDS_MAX * 1_000)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("console", self._console)
        self.page.on("request", self._asked)
        self.page.expose_function("testSerial", self.bridge.answer)
        self.page.add_init_script(path=SHIM)
        self.page.goto(f"{url}/flash")
        self.page.wait_for_selector("body[data-ready]")

    def close(self) -> None:
        self.faults += self.page.evaluate("globalThis.violations ?? []")
        self._context.close()
        self.bridge.end()

    def _console(self, message) -> None:
        # The browser tells of every refusal by itself.
        refusal = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not (refusal and self.refusals_expected):
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in ("data", "blob") and where.netloc != self._host:
            self.faults.append(f"foreign: {request.url}")

    # What a user does and sees.

    def install(self) -> str:
        """Press Install; the state that it comes to."""
        self.page.click("#install")
        return self.until("ready", "failed")

    def fill(self, image: Path | None, *, architecture: str = "bytecode") -> None:
        """Enter a station; image: a file of one's own, None for the first that is offered."""
        if image is not None:
            self.page.select_option("#offered", label="a file of mine")
            self.page.set_input_files("#file", image)
        self.page.wait_for_selector("#image-facts:not([hidden])")
        self.page.fill("#lat", "52.52")
        self.page.fill("#lon", "13.405")
        self.page.check("#agree")
        self.page.check("#s-bme280")
        self.page.evaluate("document.querySelector('#station details').open = true")
        self.page.select_option("#architecture", architecture)
        self.page.select_option("#rhythm", "10,10")

    def write(self, *states: str) -> str:
        """Press Write; where it comes to: a flashed board may answer at once."""
        self.page.click("#write")
        return self.until(*(states or ("listening", "choosing")), "failed")

    def until(self, *states: str, seconds: int = SECONDS_MAX) -> str:
        wanted = ",".join(f"body[data-state={state}]" for state in states)
        self.page.wait_for_selector(wanted, timeout=seconds * 1_000)
        return self.state

    @property
    def state(self) -> str:
        found = self.page.get_attribute("body", "data-state")
        assert found is not None
        return found

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def fault(self) -> dict[str, str]:
        """What the page says of what went wrong."""
        self.page.wait_for_selector("#fault:not([hidden])")
        names = ("code", "what", "why", "do", "wrote", "again")
        log = self.page.text_content("#log") or ""
        return {name: self.text(f"#fault-{name}") for name in names} | {"log": log[-2_000:]}
