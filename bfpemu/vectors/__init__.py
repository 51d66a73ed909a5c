"""Sets of stimulus and expected words for hardware, and the comparison with what a device gave (spec 12)."""
