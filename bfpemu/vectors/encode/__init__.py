"""Bins and stimulus of `encode` (spec 12.10)."""
