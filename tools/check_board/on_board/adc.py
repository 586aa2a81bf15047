"""Samples the battery's ADC input: mean, spread and steps in microvolts."""

import time

import board
from machine import ADC, Pin

SAMPLES = 400
pin = board.BATTERY_ADC_PIN
try:
    adc = ADC(Pin(pin), atten=ADC.ATTN_11DB)
except (AttributeError, TypeError, ValueError):
    adc = ADC(Pin(pin))
read = adc.read_uv if hasattr(adc, "read_uv") else lambda: adc.read_u16() * 3300000 // 65535
values = []
for _ in range(SAMPLES):
    values.append(read())
    time.sleep_ms(2)
values.sort()
mean = sum(values) // SAMPLES
squares = sum([(value - mean) ** 2 for value in values])
report(  # noqa: F821
    {
        "pin": pin,
        "mean_uv": mean,
        "deviation_uv": int((squares / SAMPLES) ** 0.5),
        "lowest_uv": values[0],
        "highest_uv": values[-1],
        "battery_mv": mean * board.BATTERY_DIVIDER_NUM // board.BATTERY_DIVIDER_DEN // 1000,
    }
)
