"""One exponent for a tensor, which follows the data, as a module (spec 11)."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from torch import Tensor, nn

from bfpemu.autoflex import AUTOFLEX_NEON, Autoflex, AutoflexConfig, AutoflexState
from bfpemu.catalog import FormatLike
from bfpemu.torch.kernels import as_array, as_tensor

_FLEX16_5 = dataclasses.replace(AUTOFLEX_NEON, minimum_exponent=-31)


class _Given(torch.autograd.Function):
    """Numbers that were computed elsewhere, with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, found: Tensor) -> Tensor:
        return found.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class BFPAutoflex(nn.Module):
    """A quantiser with the exponent that Autoflex foresees; every call in training learns from its data.

    The state depends on the data in Python, so a compiled model leaves its graph here. It goes into the
    `state_dict` as text, under ``_extra_state``.

    Parameters
    ----------
    format : str, tuple, BFPSpec or Preset
        ``"flex16_5"`` unless given.
    config : AutoflexConfig, optional
        `AUTOFLEX_NEON` with the exponents of ``"flex16_5"`` unless given.

    Raises
    ------
    SpecError
        As `bfpemu.autoflex.Autoflex`.

    Examples
    --------
    >>> quantizer = BFPAutoflex()
    >>> [quantizer(torch.tensor([number])).item() for number in (1.0, 5.0, 10.0)]
    [1.0, 1.99993896484375, 7.999755859375]
    """

    def __init__(self, format: FormatLike = "flex16_5", config: AutoflexConfig | None = None) -> None:
        super().__init__()
        self.autoflex = Autoflex(format, config or _FLEX16_5)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with the exponent of the state."""
        state = self.autoflex.state
        found = as_tensor(self.autoflex.encode(as_array(x.cpu())).dequantize()).to(x)
        if not self.training:
            self.autoflex.state = state
        quantised: Tensor = _Given.apply(x, found)  # type: ignore[no-untyped-call]
        return quantised

    def get_extra_state(self) -> str:
        """Return the state as text, for the `state_dict`."""
        return json.dumps(self.autoflex.state.to_dict())

    def set_extra_state(self, state: str) -> None:
        """Go on from a state that `get_extra_state` gave."""
        self.autoflex.state = AutoflexState.from_dict(json.loads(state))
