"""`Conv1D` of transformers: a linear layer whose weight has the shape (inputs, outputs)."""

from __future__ import annotations

from torch import Tensor
from transformers.pytorch_utils import Conv1D

from bfpemu.torch.base import BFPLayer
from bfpemu.torch.products import linear

__all__ = ["BFPHuggingFaceConv1D", "Conv1D"]


class BFPHuggingFaceConv1D(BFPLayer, Conv1D):
    """The projection of GPT-2 and its kin, blocked along the inputs."""

    weight_axis = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of quantised operands, and the bias."""
        return self.finished(linear(self, x, self.weight.t()), self.bias)
