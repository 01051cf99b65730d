"""Commits numbered batches for ever, telling each on stdout once it is durable. To be killed."""

import sys
from pathlib import Path

from gateway.core.verdicts import Verdict
from gateway.shell.store.base import Batch, Centre, Refused
from gateway.shell.store.sqlite import SqliteStore
from tests.service.store_conformance import NETWORK, logged

BATCH = 7


def batch(number: int) -> Batch:
    """Batch n: seven entries, a centre and a refusal, all told by n."""
    first = number * BATCH
    return Batch(
        tuple(logged(n) for n in range(first, first + BATCH)),
        (Centre(number, number, number),),
        (Refused(Verdict.BAD_SIGNATURE, number, b"", b""),),
    )


def main(path: Path) -> None:
    store = SqliteStore.create(path, NETWORK)
    number = store.admission_head().length // BATCH
    while True:
        store.commit(batch(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
