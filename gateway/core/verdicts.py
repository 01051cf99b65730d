"""The closed list of verdicts, with what each tells the owner. Normative text: spec/verdicts.md.

A verdict is a value: hostile or unlucky input never raises. Codes are wire values (receipts,
logs, bundles) and never change their meaning.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Verdict(IntEnum):
    """Codes 0-31 admission, 32-63 evaluation at the close, 64-95 coverage, 96-127 pay."""

    OK = 0
    NOT_EVALUATED = 1
    DUPLICATE = 2
    UNREGISTERED = 3
    WAITING_APPROVAL = 4
    OVERSIZE = 5
    TRUNCATED = 6
    TRAILING_BYTES = 7
    DUPLICATE_KEY = 8
    NON_MINIMAL_INTEGER = 9
    FLOAT = 10
    INDEFINITE_LENGTH = 11
    UNSUPPORTED_TYPE = 12
    TOO_DEEP = 13
    BAD_TEXT = 14
    BAD_ENVELOPE = 15
    BAD_PAYLOAD = 16
    TOPIC_MISMATCH = 17
    KID_MISMATCH = 18
    BAD_SIGNATURE = 19
    WEAK_KEY = 20
    UNKNOWN_MAJOR = 21
    BAD_BODY = 22
    RATE_LIMITED = 23
    OUT_OF_SEQUENCE = 24
    KEY_NOT_IN_FORCE = 25

    FUTURE = 32
    POST_RELEASE = 33
    UNMAPPED = 34
    AFTER_CLOSE = 35
    FORKED = 36
    CLONE = 37
    HOLE = 38
    QUARANTINED = 39
    WRONG_DAY = 40
    UNDECLARED = 41
    OUT_OF_RANGE = 42
    STEP = 43
    FLAT_LINE = 44
    SENSOR_FAULT = 45
    CELL_TOO_COARSE = 46
    BUDDY = 47
    PEERS_DISAGREE = 48
    COPIED = 49
    NO_NEIGHBOURS = 50

    HEARD = 64
    UNKNOWN_TAG = 65
    LATE_WITNESS = 66
    SELF_WITNESS = 67
    REPEATED_ROW = 68
    WRONG_SLOT = 69
    WRONG_DELAY = 70
    WRONG_CHANNEL = 71
    NO_WITNESS_DUTY = 72
    BEYOND_FREE_SPACE = 73
    BELOW_SENSITIVITY = 74
    SNR_INCOHERENT = 75
    SAME_OWNER = 76
    SAME_NETWORK = 77
    NO_ANCHOR_PATH = 78
    UNREVEALED = 79
    NO_COMMIT = 80
    LATE_COMMIT = 81
    BAD_REVEAL = 82
    PLACE_PLAUSIBLE = 83
    PLACE_UNPROVEN = 84
    PLACE_IMPLAUSIBLE = 85
    PLACE_REVIEW = 86
    CO_LOCATED = 87
    NOT_HEARD = 88
    FEW_WITNESSES = 89
    VOID_SLOT = 90
    SILENT = 91

    PAID_POOL_SHARE = 96
    PAID_UNPROVEN_SHARE = 97
    PAID_RATE_CAP = 98
    LOW_QUALITY = 99
    STANDBY_DISTANCE = 100
    NO_READINGS = 101
    NO_OWNER = 102
    DUST = 103


class Advice(NamedTuple):
    """What happened, and what the owner can do about it (empty: nothing)."""

    what: str
    do: str


ADVICE: dict[Verdict, Advice] = {
    Verdict.OK: Advice("The message was admitted.", ""),
    Verdict.NOT_EVALUATED: Advice(
        "The message was admitted, but this gateway does not evaluate its kind or minor version.",
        "Nothing; a newer gateway may evaluate it.",
    ),
    Verdict.DUPLICATE: Advice("The same message was admitted before.", ""),
    Verdict.UNREGISTERED: Advice(
        "The gateway does not know this device yet.",
        "Send hello first; the board does so by itself and keeps the message.",
    ),
    Verdict.WAITING_APPROVAL: Advice(
        "The device's hello waits for the operator's approval.",
        "Ask the operator to approve the station.",
    ),
    Verdict.OVERSIZE: Advice(
        "The message is longer than 4,096 bytes.", "Send fewer samples per message."
    ),
    Verdict.TRUNCATED: Advice(
        "The message ends before its last item.", "Check the link; the board sends it again."
    ),
    Verdict.TRAILING_BYTES: Advice("There are bytes behind the message.", "Update the firmware."),
    Verdict.DUPLICATE_KEY: Advice("A map holds one key twice.", "Update the firmware."),
    Verdict.NON_MINIMAL_INTEGER: Advice(
        "An integer or a length is not in its shortest form.", "Update the firmware."
    ),
    Verdict.FLOAT: Advice("A float was found where only integers are allowed.", "Use integers."),
    Verdict.INDEFINITE_LENGTH: Advice("An item has no definite length.", "Update the firmware."),
    Verdict.UNSUPPORTED_TYPE: Advice(
        "A CBOR type, tag, simple value or integer outside the profile was found.",
        "Update the firmware.",
    ),
    Verdict.TOO_DEEP: Advice("Arrays nest deeper than 8.", "Update the firmware."),
    Verdict.BAD_TEXT: Advice("A text is not UTF-8.", "Update the firmware."),
    Verdict.BAD_ENVELOPE: Advice(
        "The message is not a COSE_Sign1 of the closed profile.", "Update the firmware."
    ),
    Verdict.BAD_PAYLOAD: Advice(
        "The payload is not the eight-field array of the protocol.", "Update the firmware."
    ),
    Verdict.TOPIC_MISMATCH: Advice(
        "The message was published under another device's topic.",
        "Publish under the board's own topic.",
    ),
    Verdict.KID_MISMATCH: Advice(
        "The key id of the message is not the id of the key in its hello.",
        "Provision the board again.",
    ),
    Verdict.BAD_SIGNATURE: Advice(
        "The signature does not verify for this key, role and network.",
        "Check that the board belongs to this network; a damaged message is sent again.",
    ),
    Verdict.WEAK_KEY: Advice(
        "The public key is not a canonical key of prime order.", "Make a new key on the board."
    ),
    Verdict.UNKNOWN_MAJOR: Advice(
        "The protocol's major version is not known here.",
        "Update the gateway, or flash an older firmware.",
    ),
    Verdict.BAD_BODY: Advice(
        "The signature is good, but the body breaks the rules of its kind.",
        "Update the firmware; the message is lost and was counted.",
    ),
    Verdict.RATE_LIMITED: Advice(
        "The device sends more than its allowance.", "Lengthen the reporting interval."
    ),
    Verdict.OUT_OF_SEQUENCE: Advice(
        "The operator event does not follow the last one in the log.",
        "Read the log's last serial and id, and sign the event again.",
    ),
    Verdict.KEY_NOT_IN_FORCE: Advice(
        "No key statement for this key and role is in force at that time.",
        "Let the root key sign a statement for it.",
    ),
    Verdict.FUTURE: Advice(
        "The message's time lies more than two slots ahead of its arrival.",
        "Let the board set its clock from the gateway.",
    ),
    Verdict.POST_RELEASE: Advice(
        "The reading arrived after its window was released; it is paid at a reduced rate.",
        "Look at the station's connection.",
    ),
    Verdict.UNMAPPED: Advice(
        "The board had no time, and no clock message mapped it before the close.",
        "Let the board reach the gateway's time service.",
    ),
    Verdict.AFTER_CLOSE: Advice(
        "The message arrived after its day was settled.", "Look at the station's connection."
    ),
    Verdict.FORKED: Advice(
        "Two different messages share a sequence number or a predecessor.",
        "If this key runs on one board only, tell the operator; else make a new key.",
    ),
    Verdict.CLONE: Advice(
        "One key was seen sending from two networks.",
        "Make a new key on every board that shares it.",
    ),
    Verdict.HOLE: Advice(
        "Messages are missing and no gap accounts for them.",
        "Nothing if the board is still catching up.",
    ),
    Verdict.QUARANTINED: Advice(
        "The operator has put these messages in quarantine.", "Appeal to the operator."
    ),
    Verdict.WRONG_DAY: Advice(
        "A sample lies in another UTC day than its message.", "Update the firmware."
    ),
    Verdict.UNDECLARED: Advice(
        "The quantity is not among those that the station declared, or is not known.",
        "Declare it in the board's configuration.",
    ),
    Verdict.OUT_OF_RANGE: Advice(
        "The value lies outside what is physically possible.", "Check the sensor and its wiring."
    ),
    Verdict.STEP: Advice(
        "The value jumps faster than the quantity can change.",
        "Check the sensor, its supply and its shade.",
    ),
    Verdict.FLAT_LINE: Advice(
        "The value has not moved for longer than is plausible.",
        "Check whether the sensor is stuck or disconnected.",
    ),
    Verdict.SENSOR_FAULT: Advice(
        "The board reported a sensor fault instead of a value.", "Check the sensor and its wiring."
    ),
    Verdict.CELL_TOO_COARSE: Advice(
        "The station shows only a resolution-7 cell and stays unproven.",
        "Sign a resolution-9 cell if you want coverage pay.",
    ),
    Verdict.BUDDY: Advice(
        "The value differs from those of most neighbours in the same ten minutes.",
        "Check the sensor's site: sun, walls, exhaust air.",
    ),
    Verdict.PEERS_DISAGREE: Advice(
        "Over the last days the changes from hour to hour do not follow those of the neighbours.",
        "Check that the sensor measures outdoor air; tell the operator if the place is special.",
    ),
    Verdict.COPIED: Advice(
        "The values are too close to another station's to be measured twice.",
        "Let every station report its own sensor.",
    ),
    Verdict.NO_NEIGHBOURS: Advice(
        "Too few neighbours reported in time to compare with.",
        "",
    ),
    Verdict.HEARD: Advice(
        "The witness heard this beacon.",
        "",
    ),
    Verdict.UNKNOWN_TAG: Advice(
        "No revealed beacon carries this tag.",
        "Nothing; the beaconer may have failed to reveal.",
    ),
    Verdict.LATE_WITNESS: Advice(
        "The report came after the deadline, an hour after the day's end.",
        "Look at the witness's connection.",
    ),
    Verdict.SELF_WITNESS: Advice(
        "A station reports its own beacon.",
        "Update the firmware.",
    ),
    Verdict.REPEATED_ROW: Advice(
        "The witness reported this beacon before.",
        "Update the firmware.",
    ),
    Verdict.WRONG_SLOT: Advice(
        "The tag belongs to a beacon of another slot.",
        "Let the board set its clock from the gateway.",
    ),
    Verdict.WRONG_DELAY: Advice(
        "The beacon was sent at another moment of its slot than it is reported.",
        "Let the board set its clock from the gateway.",
    ),
    Verdict.WRONG_CHANNEL: Advice(
        "The beacon was sent on another channel than it is reported.",
        "Check the board's region.",
    ),
    Verdict.NO_WITNESS_DUTY: Advice(
        "The station is battery-powered or shows only a coarse cell, and cannot be a witness.",
        "Sign a resolution-9 cell and mains duty if that is so.",
    ),
    Verdict.BEYOND_FREE_SPACE: Advice(
        "The signal is stronger than free space allows over this distance.",
        "Check the cells of both stations, and the antenna's declared gain.",
    ),
    Verdict.BELOW_SENSITIVITY: Advice(
        "The signal is weaker than a receiver can decode.",
        "Let the board report the signal's level, not the channel's.",
    ),
    Verdict.SNR_INCOHERENT: Advice(
        "Level and signal-to-noise ratio do not belong together.",
        "Let the board report the signal's level, not the channel's.",
    ),
    Verdict.SAME_OWNER: Advice(
        "Beaconer and witness belong to one owner, and prove nothing to each other.",
        "Nothing; witnesses of other owners count.",
    ),
    Verdict.SAME_NETWORK: Advice(
        "Beaconer and witness use the same internet connection; the witness counts for less.",
        "Nothing; witnesses elsewhere count in full.",
    ),
    Verdict.NO_ANCHOR_PATH: Advice(
        "Nobody who heard it is connected, by witnesses, to a station that was audited.",
        "Wait for neighbours, or ask the operator for an audit.",
    ),
    Verdict.UNREVEALED: Advice(
        "The day's secret was not revealed in time, so its beacons cannot be checked.",
        "Look at the station's connection in the hours after midnight.",
    ),
    Verdict.NO_COMMIT: Advice(
        "No commitment for this day was admitted.",
        "Look at the station's connection; update the firmware.",
    ),
    Verdict.LATE_COMMIT: Advice(
        "The commitment came during the day; beacons count from the second full hour after it.",
        "Nothing; the next day counts in full.",
    ),
    Verdict.BAD_REVEAL: Advice(
        "The revealed secret is not the one that was committed to, or there were two commitments.",
        "Make sure that one board alone uses this key.",
    ),
    Verdict.PLACE_PLAUSIBLE: Advice(
        "What the witnesses heard fits the place that is claimed.",
        "",
    ),
    Verdict.PLACE_UNPROVEN: Advice(
        "Too few independent witnesses tell of the place.",
        "Put the antenna where others can hear it.",
    ),
    Verdict.PLACE_IMPLAUSIBLE: Advice(
        "What the witnesses heard, and did not hear, contradicts the place that is claimed.",
        "Correct the scoring cell; ask the operator for an audit if it is right.",
    ),
    Verdict.PLACE_REVIEW: Advice(
        "One witness contradicts the place that is claimed; this changes no pay.",
        "Nothing; the operator may look at it.",
    ),
    Verdict.CO_LOCATED: Advice(
        "The two stations stand side by side, whatever their cells say.",
        "Move one of them; only one of the two can hold a slot.",
    ),
    Verdict.NOT_HEARD: Advice(
        "Nobody independent heard the station's beacons.",
        "Check the antenna and the region; put it where others can hear it.",
    ),
    Verdict.FEW_WITNESSES: Advice(
        "Fewer independent witnesses than full verifiability needs.",
        "Put the antenna where more stations can hear it.",
    ),
    Verdict.VOID_SLOT: Advice(
        "The slot's entropy was not published in time; nothing in it counts.",
        "",
    ),
    Verdict.SILENT: Advice(
        "The witness was listening and heard none of the beacons.",
        "",
    ),
    Verdict.PAID_POOL_SHARE: Advice("Paid its share of the pool.", ""),
    Verdict.PAID_UNPROVEN_SHARE: Advice(
        "Paid from the share of stations that nobody can check yet.",
        "Get witnessed or peer-checked: put the station where others can hear it.",
    ),
    Verdict.PAID_RATE_CAP: Advice(
        "Paid the most that one station can earn per epoch at this quality.", ""
    ),
    Verdict.LOW_QUALITY: Advice(
        "The quality of the day is below the threshold.",
        "See the quality per quantity: missing, late or flagged readings.",
    ),
    Verdict.STANDBY_DISTANCE: Advice(
        "A station with an older or better claim stands closer than the slot distance.",
        "Move at least the slot distance away, or stay as a spare.",
    ),
    Verdict.NO_READINGS: Advice(
        "No evaluable reading of the day was admitted.", "Look at the station and its connection."
    ),
    Verdict.NO_OWNER: Advice(
        "Pay is held for the station until it names an owner.", "Set the owner on the board."
    ),
    Verdict.DUST: Advice("The share is smaller than one base unit.", ""),
}
