"""Arithmetic on tensors of codes: emulated dot-product units, and operations on elements (spec 6)."""
