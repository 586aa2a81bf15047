"""A node on a battery: it sleeps, wakes for an edge or a heartbeat, tells, and sleeps again.

What is retained over a sleep, in the order of the sections of one image (see sections.py):

    section   bytes, at most       what
    plan      20                   heartbeat, failures in a row, the rate of wakes (pace.py)
    journal   24 + 9 * 32 + 5 * 8  events and faults (journal.py)
    link      28                   BSSID, channel and address of the access point (fastjoin.py)
    node      25 + 4 * 89          MIDs, the notifications' number, four observers
              10 + 6 * 31          sequence numbers and windows of six security contexts

Together less than 1000 bytes, kept twice (slots.py), each with a CRC: in the 2048 bytes of an
ESP32's RTC memory, which it keeps in deep sleep. A board without such memory (RP2: 28 bytes) has
the same two images in two files, while its light sleep keeps the RAM anyway. Numbers of events are
reserved ahead in a file, so that they go on after a loss of power (reserve.py).

Nothing here imports machine, network or time: the board comes in as arguments, so that a test, or
a simulated week, runs on a clock of its own. What the chips want is in chips.py.
"""
