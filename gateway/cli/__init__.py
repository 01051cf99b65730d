"""The command line: the composition root, where gateway, simulator and settings meet."""

from gateway.cli.app import main

__all__ = ["main"]
