"""Sensors: a bus or a pin goes in, small ints come out; none of them knows of a network.

All of them have one shape, without a common ancestor:

    probe()   is it there? Starts it when it is; never raises.
    read()    takes a measurement: a small int, or None while there is none to give.
    sleep()   stops it, at the least current that it can draw.
    unit      what `read()` counts, "mV" for instance; "" for a bare number.

`read()` raises OSError when the sensor does not answer, and starts it anew the next time, so one
that is plugged in late or was reset works again. Reading allocates nothing.
"""
