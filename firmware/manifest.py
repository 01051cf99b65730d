"""What is frozen into an image of one's own. The official image and package.json, or the file
system image of `cairn firmware build`, need none of this.

From micropython-lib the firmware uses what the official ESP32 image has frozen in (asyncio, ssl,
aioespnow, dht, ds18x20, onewire; the port's own manifest names them), and the LoRa drivers.
"""

# ruff: noqa: F821 - the manifest language defines these functions
include("$(PORT_DIR)/boards/manifest.py")
require("lora-async")
require("lora-sx126x")
require("lora-sx127x")
package("cairn", base_path=".")
module("main.py", base_path=".")
