"""What the objects of an HDF5 file that hold numbers have in common (spec 15.2, 15.4)."""

from __future__ import annotations

from bfpemu.formats import BFPSpec
from bfpemu.formats.preset import Preset
from bfpemu.storage.described_tensor import DescribedTensor


class Described:
    """An object of a file whose attributes say what its codes mean."""

    def __init__(self, facts: DescribedTensor) -> None:
        self._facts = facts

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the numbers."""
        return self._facts.shape

    @property
    def preset(self) -> Preset:
        """Format, conversion and layout."""
        return self._facts.preset

    @property
    def format(self) -> BFPSpec:
        """Which numbers there are, and which code stands for which."""
        return self._facts.preset.format

    @property
    def facts(self) -> DescribedTensor:
        """Everything that decoding needs beside the planes."""
        return self._facts
