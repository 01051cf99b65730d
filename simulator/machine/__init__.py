"""The ESP32's two instruction sets on the host: native functions of an .mpy file, run and counted.

mpy compiles a firmware module and reads the native code out of it, rv32 runs the code of the
ESP32-C3 and C6 in unicorn, xtensa that of the ESP32, S2 and S3 in qemu-xtensa. What runs is what
a board would load, byte for byte; only the few interpreter functions it calls are stand-ins.
Clocks, caches and flash are not modelled: what is counted is instructions, not time.
"""
