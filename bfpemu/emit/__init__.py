"""Models in other languages, written from a format, a conversion and a unit (spec 13)."""

from bfpemu.emit.model import Model, c_model, identifier
from bfpemu.emit.systemverilog import dpi_source, systemverilog_package

__all__ = ["Model", "c_model", "dpi_source", "identifier", "systemverilog_package"]
