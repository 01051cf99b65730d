"""Write spec/vectors/merkle: roots and proofs made by OpenZeppelin's own library.

Run `npm ci` here first, then `python tests/npm/make_merkle_vectors.py`. Leaves are hashes of their
index, so the file of a large tree need not list them.
"""

import hashlib
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parent.parent / "spec" / "vectors" / "merkle"
SIZES = (1, 2, 3, 5, 7, 8, 100, 1_001)
# Above this the proofs are given by one hash, to keep the file readable.
LISTED_MAX = 100
COMMENT = (
    'Owner i = SHA-256("cairn owner i")[:20], amount i = SHA-256("cairn amount i") as a '
    "big-endian integer, shifted right by i mod 256 bits. Made by @openzeppelin/merkle-tree 1.0.8."
)


def leaf(i: int) -> tuple[str, str]:
    """Return owner and amount of leaf i as the JSON has them."""
    owner = hashlib.sha256(b"cairn owner %d" % i).digest()[:20]
    amount = int.from_bytes(hashlib.sha256(b"cairn amount %d" % i).digest(), "big") >> i % 256
    return "0x" + owner.hex(), str(amount)


def case(count: int) -> dict[str, object]:
    """Return the vector over `count` leaves."""
    values = [leaf(i) for i in range(count)]
    done = subprocess.run(
        ["node", "oz_tree.js"],
        cwd=HERE,
        input=json.dumps({"values": values}),
        capture_output=True,
        text=True,
        check=True,
    )
    made = json.loads(done.stdout)
    joined = "".join(node.removeprefix("0x") for proof in made["proofs"] for node in proof)
    vector = {
        "comment": COMMENT,
        "count": count,
        "root": made["root"],
        "proofs_sha256": hashlib.sha256(bytes.fromhex(joined)).hexdigest(),
    }
    if count <= LISTED_MAX:
        vector["leaves"] = values
        vector["proofs"] = made["proofs"]
    return vector


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        text = json.dumps(case(size), indent=1) + "\n"
        (OUT / f"leaves-{size:04}.json").write_text(text, encoding="ascii", newline="\n")
