"""Boards with radios for epoch tests: entropy, commits, beacons, witness reports and reveals.

Everything passes through signed messages and the admission log, as in a real day.
"""

import math
from hashlib import sha256

from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.coverage.beacon import beacon_plan, beacons_of_day, commitment
from gateway.core.coverage.entropy import EntropyDay, chain_end, chain_value, encode_entropy
from gateway.core.coverage.regions import parse_regions
from gateway.core.genesis import DAY_MS
from gateway.core.geometry import Sphere
from gateway.core.model import Kind
from gateway.core.registry import cell_centre
from gateway.core.rules import parse_rules
from gateway.core.tables import parse_trig
from tests.unit.gateway.epoch_kit import HOUR_MS, RULES, TABLES, Net

DAY_SLOTS = 1_440
NOISE_FLOOR_CDBM = -11_700
SENSITIVITY_CDBM = -12_950
ROWS_MAX = 48
SPHERE = Sphere(parse_trig(TABLES["trig"]))
REGION = parse_regions(TABLES["regions"])["EU868"]
PLAN = beacon_plan(parse_rules(RULES).coverage, REGION)


class Air(Net):
    """A network whose gateway publishes entropy, and whose boards hear each other."""

    def publish(self):
        """Commit to the day's chain the day before, and publish all of it."""
        first = self.epoch * DAY_SLOTS
        last = sha256(b"chain %d" % self.epoch).digest()
        body = [chain_end(last, DAY_SLOTS), first, DAY_SLOTS]
        payload = encode([16, int(Kind.ENTROPY_COMMIT), b"", 1, first * 60_000 - 1, body])
        commit, _ = sign1(self.gateway.sign, self.gateway.kid, self.id, Role.GATEWAY, payload)
        final = first + DAY_SLOTS - 1
        self.entropy = encode_entropy(EntropyDay((commit,), final, last, ()))
        return {
            slot: sha256(chain_value(last, final, slot)).digest()
            for slot in range(first, final + 1)
        }

    def radio_day(self, boards, *, places=None, report=None, silent=()):
        """Let boards commit, beacon, witness and reveal.

        places: where boards really stand, by label, if not in the cell that they show; report
        (witness, beaconer, rssi_cdbm) changes what a witness says; silent: boards that send no
        beacon.
        """
        entropy = self.publish()
        start_ms = self.epoch * DAY_MS
        secrets = {
            b.kid: sha256(b"x" + b.kid + bytes([self.epoch % 256])).digest() for b in boards
        }
        for board in boards:
            body = [self.epoch, commitment(secrets[board.kid])]
            self.admit(board.make(Kind.COMMIT, body, start_ms - HOUR_MS), start_ms - HOUR_MS + 1)
        rows = {board.kid: [] for board in boards}
        for board in boards:
            if board in silent:
                continue
            sent = beacons_of_day(secrets[board.kid], self.id, board.kid, entropy, PLAN)
            for beacon in sent:
                for witness, row in self._hear(board, beacon, boards, places or {}, report):
                    rows[witness.kid].append(row)
        for board in boards:
            self._tell(board, rows[board.kid], secrets[board.kid], start_ms)

    def _hear(self, board, beacon, boards, places, report):
        """(witness, row) of everybody whom the beacon reaches."""
        for witness in boards:
            if witness is board:
                continue
            metres = SPHERE.distance_m(
                places.get(board.kid, cell_centre(board.cell)),
                places.get(witness.kid, cell_centre(witness.cell)),
            )
            loss_cdb = 3_122 + int(2_700 * math.log10(max(metres, 1)))
            # A few dB of scatter, fixed by the pair and the beacon.
            scatter = sha256(board.kid + witness.kid).digest()[0] * 4 - 512
            rssi_cdbm = beacon.power_cdbm - loss_cdb + scatter
            if report is not None:
                rssi_cdbm = report(witness, board, rssi_cdbm)
            if rssi_cdbm >= SENSITIVITY_CDBM:
                snr_cdb = min(rssi_cdbm - NOISE_FLOOR_CDBM, 1_300)
                yield (
                    witness,
                    (beacon.slot, beacon.tag, rssi_cdbm, snr_cdb, beacon.channel, beacon.delay_ms),
                )

    def _tell(self, board, rows, secret, start_ms):
        end_ms = start_ms + DAY_MS
        for at in range(0, len(rows), ROWS_MAX):
            columns = [list(column) for column in zip(*rows[at : at + ROWS_MAX], strict=True)]
            body = [self.epoch, 0, *columns]
            self.admit(board.make(Kind.WITNESS, body, end_ms - 1), end_ms + 1)
        status = [1, 1, 1, 0, 0, None, None, [self.epoch, (1 << 24) - 1]]
        self.admit(board.make(Kind.STATUS, status, end_ms - 1), end_ms + 1)
        reveal = board.make(Kind.REVEAL, [self.epoch, secret], end_ms + HOUR_MS)
        self.admit(reveal, end_ms + HOUR_MS + 1)
