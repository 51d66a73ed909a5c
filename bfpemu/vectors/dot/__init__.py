"""Bins and stimulus of dot products (spec 12.10)."""
