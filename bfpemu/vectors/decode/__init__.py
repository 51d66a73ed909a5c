"""Bins and stimulus of `decode` (spec 12.10)."""
