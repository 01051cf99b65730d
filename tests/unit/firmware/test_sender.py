"""What the sender holds in RAM, and that nothing is forgotten for it."""

from cairn import cose, limits, wire
from cairn.boards.host import MemoryFiles
from cairn.outbox import Outbox
from cairn.receipts import Receipts
from cairn.sender import Sender

from tests.unit.firmware.bench import BenchBoard, BenchLink, Gateway, make_config
from tests.unit.firmware.bench_world import World


def test_long_messages_do_not_fill_the_heap() -> None:
    """Twenty of 3 kB: what is held never exceeds a few, and all of them are published."""
    world, files = World(), MemoryFiles()
    board = BenchBoard(world, files)
    link = BenchLink(world, Gateway(make_config().network_id), cose.kid_of(board.public_key()))
    outbox = Outbox(files, 1_000_000)
    sender = Sender(board, link, outbox, Receipts(files), 60_000)
    sender.registered = True
    published: list[bytes] = []

    async def publish(message: bytes) -> bool:
        published.append(message)
        await board.sleep(10)
        return True

    link.publish = publish  # type: ignore[method-assign]
    made = [b"%04d" % seq + bytes(3_000) for seq in range(1, 21)]
    for seq, message in enumerate(made, 1):
        outbox.append(wire.READINGS, 0, seq, message)
        sender.offer((seq, wire.READINGS, message))
        assert sum(len(row[2]) for row in sender._fresh) <= limits.FRESH_BYTES_MAX
        assert sender._fresh[-1][0] == seq
    world.spawn(sender.run())
    world.run(20 * 60_000)
    assert set(published) == set(made)
