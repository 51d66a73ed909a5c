"""Bins and stimulus of `add`, `multiply` and `requantize` (spec 12.10)."""
