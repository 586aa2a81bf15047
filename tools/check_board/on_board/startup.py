"""Stands in for the module startup during `make check-board`: notes how the board started.

main.py calls main(). A .py file goes before a .mpy file and before what is frozen into an image.
"""

import json
import time

NOTES = "check-board.json"
CAUSES = ("PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET")


def main():
    """Append a line about this start to the notes."""
    import machine

    cause = machine.reset_cause()
    names = [name for name in CAUSES if getattr(machine, name, None) == cause]
    found = {
        "main_ms": time.ticks_ms(),
        "woken_ms": 1000 * int(time.time()),
        "cause": names[0] if names else str(cause),
    }
    if hasattr(machine, "wake_reason"):
        found["wake"] = machine.wake_reason()
    if hasattr(machine, "RTC") and hasattr(machine.RTC(), "memory"):
        found["rtc"] = machine.RTC().memory().decode()
    try:
        with open(NOTES, "a") as file:
            file.write(json.dumps(found) + "\n")
    except OSError as error:
        print("check-board:", error)
