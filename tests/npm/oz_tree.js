// Reads {"values": [[owner, amount], ...]} on stdin; writes OpenZeppelin's root, every proof in the
// order of the values, and its dump.
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");

const { values } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const tree = StandardMerkleTree.of(values, ["address", "uint256"]);
const proofs = values.map((_, index) => tree.getProof(index));
process.stdout.write(JSON.stringify({ root: tree.root, proofs, dump: tree.dump() }));
