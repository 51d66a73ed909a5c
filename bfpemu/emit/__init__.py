"""Models in other languages, written from a format, a conversion and a unit (spec 13)."""

from bfpemu.emit.model import Model, c_model, identifier

__all__ = ["Model", "c_model", "identifier"]
