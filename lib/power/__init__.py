"""A node on a battery: it sleeps, wakes for an edge or a heartbeat, reports, and sleeps again.

One image is retained over a sleep (retained_state.py). Its parts, in this order:

    part        bytes, at most       content
    schedule    20                   heartbeat, failures in a row, rate of wakes
    event log   24 + 9 * 32 + 5 * 8  events and faults
    link        28                   BSSID, channel and address of the access point
    node        25 + 4 * 89          MIDs, Observe value, four observers
                10 + 6 * 31          sequence numbers and replay windows of six security contexts

Together less than 1000 bytes, kept twice, each with a CRC: in the 2048 bytes of RTC memory that an
ESP32 keeps in deep sleep. A board without such memory (RP2 has 28 bytes) keeps the same two images
in two files; its light sleep keeps the RAM anyway. Numbers of events are reserved ahead in a file,
so the count continues after a loss of power.

Nothing here imports machine, network or time: the board is passed in, so that a test or a
simulated week runs on a clock of its own. What differs between the chips is in sleep_modes.py.
"""
