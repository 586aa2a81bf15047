"""Sensors: they take a bus or a pin and return small ints; none of them uses the network.

All have the same methods, without a common base class:

    probe()   start the sensor; return True if it is there. Never raises.
    read()    measure; return a small int, or None while there is no value.
    sleep()   stop the sensor, at the lowest current that it can draw.
    unit      unit of what read() returns, for example "mV"; "" for a bare number.

`read()` raises OSError when the sensor does not respond, and starts it again at the next call: a
sensor that is plugged in late works. One that still responds but has lost its registers, after a
brown-out or a discharge, is noticed by reading some of them back, and started again at once: until
its first sample the value is None, and a counter goes on from where it was. Reading allocates
nothing.
"""
