"""Runs in MicroPython with a small heap: signs with so many bytes free, the argument says."""

import gc
import sys

from cairn import ed25519, sha512

SEED = bytes(range(32))
free_wanted = int(sys.argv[1])
signer = ed25519.Signer(SEED, SEED)
message = bytes(158)
hog = []
gc.collect()
while gc.mem_free() > free_wanted + 320:
    hog.append(bytearray(256))
gc.collect()
free = gc.mem_free()
if free > free_wanted:
    hog.append(bytearray(free - free_wanted))
    gc.collect()
free = gc.mem_free()
signature = signer.sign(message, SEED, SEED)
words = [ed25519.points.__name__, str(sha512.WORK_BYTES), str(free), signature.hex()]
sys.stdout.write(" ".join(words))
