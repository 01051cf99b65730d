"""One boot of a station on any board: configuration, safe mode, link and node. It never ends the
program: what it cannot mend it says, and tries again later.
"""

from . import limits
from .errors import OperatorError
from .faults import Faults
from .overlay import borrow

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board, Link
    from .config import Config
    from .node import Node

    # crashes, stays in safe mode, restarts for want of a network
    Lives = tuple[int, int, int]

_RESET_SLEEP = 5


async def run(board: "Board", link: "Link | None" = None) -> None:
    """Work until the board restarts or sleeps. link: a way to the gateway that is at work, for
    this boot; None: MQTT, as configured.
    """
    faults = Faults(board)
    try:
        settings = await _configured(board, faults)
        # Only now: whoever provisions a board resets it often.
        lives = _begin(board, settings)
        if lives[0] > 2 * limits.CRASHES_MAX:
            # Safe mode crashes too. What is left is to say so, and to try again later.
            faults.note("safe.bare", "%d boots in a row ended badly" % lives[0])
            # It may be what retained memory holds that cannot be dealt with.
            board.retain(b"")
            await _stay(board, limits.SAFE_MS)
            borrow("lives").store(board.fs, limits.CRASHES_MAX - 1, lives[1] + 1, lives[2])
        else:
            await _work(board, settings, faults, lives, link)
            return
    except OperatorError as error:
        faults.note(error.code, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, only a restart may mend it
        faults.note("station.failed", type(error).__name__ + ": " + str(error))
    await _stay(board, limits.FAILED_PAUSE_MS)
    board.restart("station.failed")


def _begin(board: "Board", settings: "Config") -> "Lives":
    """Count this boot as a crash until it proves better; until there is a network somebody may
    have to name it. Not in run(): what a coroutine borrowed may stay in its frame as long as it
    runs.
    """
    lives = borrow("lives")
    crashes, stays, quiet = lives.load(board.fs)
    if board.info()[1] != _RESET_SLEEP:
        crashes += 1
        lives.store(board.fs, crashes, stays, quiet)
        borrow("improv").attend(board, settings)
    return crashes, stays, quiet


async def _configured(board: "Board", faults: Faults) -> "Config":
    from . import config  # its checks and defaults are needed once a boot

    while True:
        try:
            return config.load(board.vault, board.report, board.offer)
        except OperatorError as error:
            # Without a configuration there is no network to be in. Somebody may be writing one
            # right now, and a flash that reads badly may read well again.
            faults.note(error.code, str(error))
        borrow("improv").attend(board, None)
        await _stay(board, limits.FAILED_PAUSE_MS)


async def _work(
    board: "Board", settings: "Config", faults: Faults, lives: "Lives", link: "Link | None"
) -> None:
    safe = lives[0] > limits.CRASHES_MAX
    if safe:
        detail = "%d boots in a row ended badly: no sensors, no beacons" % (lives[0] - 1)
        faults.note("safe.mode", detail)
    equipped = not safe and _equip(board, settings, faults)
    if settings.duty[0]:
        from .duty import Duty

        await Duty(board, settings, faults, lives, equipped).run(link)
        return
    from .vigil import Vigil

    link, node = make(board, settings, faults, link, sampling=equipped, coverage=not safe)
    kept, cause = board.retained(), board.info()[1]
    node.earlier = borrow("lives").unpack(kept, cause, node.unmapped[0])
    vigil = Vigil(
        board=board,
        link=link,
        node=node,
        config=settings,
        faults=faults,
        lives=lives,
        safe=safe,
    )
    board.spawn(vigil.run())
    await node.run()


def _equip(board: "Board", settings: "Config", faults: Faults) -> bool:
    try:
        board.equip(settings)
    except OperatorError as error:
        # The station still proves coverage, and its owner sees it in the network.
        faults.note(error.code, str(error))
        return False
    return True


def make(
    board: "Board",
    settings: "Config",
    faults: Faults,
    link: "Link | None",
    *,
    sampling: bool,
    coverage: bool,
) -> "tuple[Link, Node]":
    """The link, which is at work, and the node, which is not yet."""
    from .node import Node

    storage = board.storage_bytes()
    if storage is not None:
        # A full file system fails every write, receipts included: the outbox drops before that.
        room = max(limits.OUTBOX_BYTES_MIN, storage * 3 // 4 - limits.OUTBOX_RESERVE_BYTES)
        if room < settings.outbox_bytes_max:
            faults.note("outbox.clamped", "to %d bytes, for there is no more flash" % room)
            settings.outbox_bytes_max = room
    if link is None:
        from .login import Login
        from .mqttlink import MqttLink

        login = Login(board.vault, board.sign, board.public_key(), settings.network_id)
        link = mqtt = MqttLink(board, settings, login, faults)
        board.spawn(mqtt.run())
    node = Node(board, link, settings, faults=faults, sampling=sampling, coverage=coverage)
    return link, node


async def _stay(board: "Board", duration_ms: int) -> None:
    """Wait awake; the watchdog knows that this is meant."""
    end = board.ticks() + duration_ms
    while board.ticks() < end:
        board.feed()
        await board.sleep(limits.VIGIL_MS)
