"""Write the test vectors: one JSON file a case, in folders beside this file or in DIRECTORY.

Run `python spec/vectors/make_vectors.py [DIRECTORY]`. Nothing is random: every run writes the
same bytes, and a test compares. Only the standard library is used, no code of the project.
"""

import sys
from pathlib import Path

import beacon_cases
import invalid_bodies
import invalid_cases
import release_cases
import valid_cases


def main(root: Path) -> None:
    """Write every case below `root`."""
    cases = [
        *valid_cases.cases(),
        *invalid_cases.cases(),
        *invalid_bodies.cases(),
        *beacon_cases.cases(),
        *release_cases.cases(),
    ]
    names = {(case.folder, case.name) for case in cases}
    if len(names) != len(cases):
        raise SystemExit("two cases have one name")
    for case in cases:
        case.write(root)
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
