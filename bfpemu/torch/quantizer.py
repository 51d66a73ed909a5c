"""`BFPQuantizerSTE`: a quantiser as a module."""

from __future__ import annotations

from torch import Tensor, nn

from bfpemu.adapters.configuration import Estimator, estimator
from bfpemu.adapters.text import format_text
from bfpemu.catalog import FormatLike
from bfpemu.torch.functional import as_seed, check_axis, quantized


class BFPQuantizerSTE(nn.Module):
    """A quantiser as a module, with straight-through gradient.

    Parameters
    ----------
    format, axis, rounding, seed, ste
        As for `bfp_quantize`.

    Examples
    --------
    >>> import torch
    >>> quantizer = BFPQuantizerSTE(format="bfp4")
    >>> quantizer(torch.tensor([1.0, 0.3])).tolist()
    [1.0, 0.25]
    """

    def __init__(
        self,
        format: FormatLike = "bfp8",
        axis: int | None = -1,
        *,
        rounding: str | None = None,
        seed: int | None = None,
        ste: str = "identity",
    ) -> None:
        super().__init__()
        self.text = format_text(format, rounding)
        self.axis, self.seed, self.clips = axis, seed, estimator(ste) is Estimator.CLIP
        check_axis(axis)
        as_seed(self.text, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` in the numbers of the format."""
        return quantized(x, self.text, self.axis, as_seed(self.text, self.seed), clip=self.clips)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return f"{self.text}, axis={self.axis}"
