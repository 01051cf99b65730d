"""The firmware on real MicroPython: one interpreter a board, driven in virtual or in real time."""
