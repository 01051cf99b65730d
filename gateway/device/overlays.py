"""What of the board's program is resident, and what is loaded for a call.

Named by pattern: "module:function", "module:Class.method". What only one overlay uses goes there
by itself. A task that runs for hours must stay resident: it would hold its whole overlay.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

LOADER_FILE = "cairn/overlays.py"
# Nothing holds an overlay but who runs in it: it is read again at the next call, which takes a
# chip some milliseconds, and its memory is free until then.
LOADER = """
import sys
class Plain:
    pass
def load(unit):
    module = __import__(unit)
    del sys.modules[unit]
    return module
"""

# Tasks that never end, and what runs at every sample and at every byte that comes.
RESIDENT = (
    "station:run",
    "station:_work",
    "node:Node.run",
    "node:Node._sample",
    "node:Node._report_status",
    "mqttlink:MqttLink.run",
    "mqttlink:MqttLink._serve",
    "mqttlink:MqttLink._read",
    "mqttlink:MqttLink._watch",
    "mqttlink:MqttLink.publish",
    "mqttlink:MqttLink.receive",
    "mqttlink:MqttLink.state",
    "mqttlink:Connection.read",
    "mqttlink:Connection.write",
    "sender:Sender.run",
    "journal:Journal.run",
    "coverage:Coverage.run",
    "listener:Listener.run",
    "listener:Listener._hear",
    "timekeeper:Timekeeper.run",
    "overlays:*",
    "sensors.part:*",
    "sensors.rack:Rack.sample",
    "clock:Clock.now",
    "clock:Clock.synced",
    "boards.*",
    "grid:Grid.next",
    "vigil:Vigil._note_unmapped",
    "node:Node.delivered",
    "node:Node.unmapped",
    "batch:Batch.add",
    "receipts:Receipt.covers",
    "sender:Sender._pause_ms",
    "sender:Sender._publish_fresh",
    "mqtt:Parser.feed",
    "mqtt:Parser.next",
    "beaconer:Beaconer._send",
    "beaconer:Beaconer._send_in_time",
    "updates:Updates.work",
    "updates:Updates.watch",
)

# What of a board's own code is loaded for a while all the same.
_NOT_RESIDENT = ("boards.esp32_setup:*", "boards.program_files:*")

# Large and needed as one piece: a heap in pieces may have no room for it each time.
ALWAYS_RESIDENT = ("cairn.ed25519_tables:COMB",)

# Smaller ones cost more in an overlay, where they are read again, than they take.
_NODES_MIN = 16

OVERLAYS: dict[str, tuple[str, ...]] = {
    # Configuration, crash counting and safe mode: the first and the last thing a boot does.
    "c": (
        "config:*", "configcheck:*", "lives:*", "station:*", "vigil:Vigil._recover",
        "vigil:Vigil._try_recover", "vigil:Vigil._look_safe", "vigil:Vigil._store", "vigil:end",
        "faults:Faults.note",
    ),
    # Making the station's objects, once a boot.
    "a": (
        "node:Node.__init__", "coverage:Coverage.__init__", "mqttlink:MqttLink.__init__",
        "beaconer:Beaconer.__init__", "sender:Sender.__init__", "keyring:Keyring.__init__",
        "chain:Chain.__init__", "chain:Chain._open", "chain:create", "listener:Listener.__init__",
        "beacons:Secrets.__init__", "journal:Journal.__init__", "receipts:Receipts.__init__",
        "outbox:Outbox.__init__", "batch:Batch.__init__", "timekeeper:Timekeeper.__init__",
        "clock:Clock.__init__", "node:Node._hold_time", "coverage:Coverage._catch_up",
        "login:Login.__init__", "witness:Witness.__init__", "grid:Grid.__init__",
        "entropy:Entropy.__init__", "faults:Faults.__init__", "vigil:Vigil.__init__",
        "beacons:SentLog.tidy", "chain:Chain.resume", "chain:_stored",
        "node:Node._give_up_chain", "node:Node._resume_chain",
        "sensors.rack:*", "identity:*", "vault:*", "updates:Updates.__init__",
    ),
    # What the station says of itself, and its clock.
    "n": (
        "announce:*", "node:Node._remember", "node:Node._announce", "wire:hello_body",
        "wire:claim_body",
    ),
    "o": ("sntp:*", "timekeeper:Timekeeper._ask_sntp", "timekeeper:Timekeeper._take_sntp"),
    "t": ("timesync:*", "timekeeper:Timekeeper._*"),
    "z": ("clock:Clock.*", "node:Node.time_*"),
    # The outbox when it is opened, full or damaged, and when it sends again.
    "r": (
        "outbox_repair:*", "outbox:Outbox._open", "outbox:Outbox.mend", "outbox:Outbox.plan_drop",
        "outbox:Outbox.apply_drop", "class outbox_repair:Drop", "journal:Journal._make_room",
    ),
    "q": (
        "sender:*", "outbox:Outbox.messages", "outbox:Outbox.find", "outbox:Outbox.free*",
        "outbox:Outbox._covered",
    ),
    # What waits for a verification, in slices; then the verification itself.
    "w": (
        "node:Node.take", "node:Node._take", "node:Node._take_keys", "node:Node._take_receipt",
        "node:Node._settle", "node:Node.settle_all", "coverage:Coverage.take_commit",
        "coverage:Coverage.settle", "keyring:Keyring.verify", "keyring:Keyring.valid",
        "keyring:Keyring.adopt", "updates:Updates.settle", "updates:Updates.take",
    ),
    "v": ("class ed25519_verify:Verification", "ed25519_verify:*"),
    # An update is installed, for minutes in a year; and the state of the slots.
    "u": (
        "class update:*", "class update_fetch:*", "update:*", "update_fetch:*", "releases:*",
    ),
    "f": ("slots:*", "updates:*"),
    # Keys, hashes and signatures.
    "s": (
        "ed25519:*",
    ),
    # A connection is made, or a packet is taken.
    "k": (
        "mqttlink:MqttLink._connect_packet", "mqttlink:MqttLink._pause_ms", "login:*",
        "mqttlink:MqttLink._take_connack", "mqttlink:MqttLink._take_suback", "mqtt:connect",
        "mqtt:subscribe", "mqttflight:Flight.again", "mqttlink:Connection.__init__",
        "mqttlink:_code_of", "mqtt:Parser.__init__",
    ),
    "p": ("mqttlink:*", "mqtt:*", "mqttflight:*"),
    # A downlink is taken.
    "d": (
        "downlinks:*", "node:Node._take*", "node:Node._worth_verifying",
        "node:Node._act_on_verified", "receipts:*", "coverage:Coverage.take_*", "entropy:*",
        "keyring:*", "chain:Chain.knows", "chain:Chain._id16", "chain:Chain.forgot", "cose:open1",
    ),
    # A message is made.
    "m": (
        "batch:*", "wire:*", "chain:*", "journal:*", "cose:*", "node:*", "outbox:*", "segment:*",
        "grid:*",
    ),
    # Coverage: a slot's beacon; the day's round, and rows of a witness message.
    "b": (
        "beaconer:*", "coverage:Coverage._begin_slot", "beacons:beacon_of", "beacons:frame_of",
        "beacons:awake", "beacons:message_head", "beacons:channel_of", "regions:*",
    ),
    "e": ("coverage:*", "beacons:*", "witness:*", "listener:*"),
    # Setting up over the serial console, and the files of other programs.
    "improv": ("class improv:*", "improv:*"),
    "setup": ("class boards.esp32_setup:*", "boards.esp32_setup:*"),
    "files": ("class boards.program_files:*", "boards.program_files:*"),
    # Each driver's classes live as long as its sensor does.
    "adc": ("class sensors.adc:*", "sensors.adc:*"),
    "bme280": ("class sensors.bme280:*", "sensors.bme280:*"),
    "dht_": ("class sensors.dht:*", "sensors.dht:*"),
    "dust": ("class sensors.dust:*", "sensors.dust:*"),
    "ds": ("class sensors.ds18x20:*", "sensors.ds18x20:*"),
    "gnss": ("class sensors.gnss:*", "sensors.gnss:*"),
    "scd4x": ("class sensors.scd4x:*", "sensors.scd4x:*"),
    "sht": ("class sensors.sht:*", "sensors.sht:*"),
    "veml7700": ("class sensors.veml7700:*", "sensors.veml7700:*"),
    "duty": ("class duty:*", "duty:*", "staging:*"),
}  # fmt: skip


def overlay_of(
    candidates: Mapping[str, int], overlays: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """The overlay of each id that a pattern names; the first pattern counts. candidates: ids and
    how many nodes their syntax has.
    """
    found: dict[str, str] = {}
    for gid, nodes in candidates.items():
        if nodes < _NODES_MIN:
            continue
        if _is_resident(gid):
            continue
        for unit, patterns in overlays.items():
            if any(fnmatchcase(gid, _full(pattern)) for pattern in patterns):
                found[gid] = unit
                break
    return found


def _is_resident(gid: str) -> bool:
    # Without the word that a class has before its id.
    name = gid.rpartition(" ")[2]
    if any(fnmatchcase(name, _full(pattern)) for pattern in _NOT_RESIDENT):
        return False
    return any(fnmatchcase(gid, _full(pattern)) for pattern in RESIDENT)


def _full(pattern: str) -> str:
    kind, space, name = pattern.rpartition(" ")
    return f"{kind}{space}cairn.{name}"
