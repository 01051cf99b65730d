"""`python -m gateway.cli`, for where the `cairn` script is not on PATH."""

from gateway.cli import main

main()
