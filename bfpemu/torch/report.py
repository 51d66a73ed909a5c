"""What a conversion did to a model, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from bfpemu.torch.configuration import QATConfig


@dataclass(frozen=True, slots=True)
class Converted:
    """One layer that was converted."""

    name: str
    """"" for the model itself."""
    old: str
    new: str
    config: QATConfig


@dataclass(frozen=True, slots=True)
class Skipped:
    """One layer that stays as it was."""

    name: str
    type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What `quantize_` did; as text, a line for each layer."""

    converted: tuple[Converted, ...]
    skipped: tuple[Skipped, ...]
    """Layers with parameters of their own that stay as they were."""
    unused_rules: tuple[str, ...]
    """Patterns that no layer's name fits."""

    def __str__(self) -> str:
        lines = [
            f"converted {entry.name or '(model)'}: {entry.old} -> {entry.new}, {entry.config}"
            for entry in self.converted
        ]
        lines += [f"skipped {entry.name or '(model)'}: {entry.type}, {entry.reason}" for entry in self.skipped]
        return "\n".join([*lines, *(f"unused rule {pattern!r}" for pattern in self.unused_rules)])
