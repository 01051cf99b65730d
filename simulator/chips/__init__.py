"""Register-level models of the sensors that a station may carry.

They answer bytes on a bus as their datasheets say, from physical values that somebody sets, and
can be made to fail as real ones do. They share nothing with the drivers, so that both cannot be
wrong together: what a driver computes in integers is turned round here in floating point or in
another way. They keep to what MicroPython runs, for they also stand in the interpreter of the
runner. bench.py puts them together.
"""
