"""The first file of the interpreter: `micropython -i power_on.py FLASH HOST`, both descriptors.

Its globals become those of main.py and of the prompt; start() takes these two names away.
"""

import sys

import _chip

_chip.start(int(sys.argv[1]), int(sys.argv[2]), globals())
