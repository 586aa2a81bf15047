"""Modules that every board freezes: libraries, applications and what the port itself needs.

With MicroPython's own sources (1.25 or newer) beside this folder:

    python3 tools/fold.py
    make -C micropython/ports/esp32 BOARD=ESP32_GENERIC_C3 \
        FROZEN_MANIFEST=$PWD/build/folded/boards/ESP32_GENERIC_C3/manifest.py

The first line copies the sources to build/folded, with constants replaced by values. A node with
such an image needs only `make config`. Files that `make deploy` adds later take precedence over
frozen ones (see firmware/boot.py), except main.py.
"""

# The port's start-up files and asyncio; nothing else of its usual manifest is used here.
freeze("$(PORT_DIR)/modules")
include("$(MPY_DIR)/extmod/asyncio")

package("coap", base_path="../lib", opt=3)
package("sensors", base_path="../lib", opt=3)
package("power", base_path="../lib", opt=3)
package("senml", base_path="../lib", opt=3)
package("apps", base_path="../firmware", opt=3)
module("board_common.py", opt=3)
for name in (
    "battery",
    "battery_door",
    "battery_wearable",
    "boot",
    "config",
    "config_schema",
    "credentials",
    "gateway",
    "links",
    "main",
    "ppp",
    "recovery",
    "roaming",
    "serve",
    "startup",
    "unload",
    "wifi",
    "wifi_resource",
):
    module(name + ".py", base_path="../firmware", opt=3)
