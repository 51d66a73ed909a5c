"""What a whole model's quantised layers have: steps of stochastic rounding, counts of non-finite blocks."""

from __future__ import annotations

from torch import nn

from bfpemu.torch.base import BFPLayer


def next_step(model: nn.Module) -> None:
    """Give every stochastically rounding layer other random words from now on; call it after each step of training.

    The words of a layer follow from its seed, its number, this count, the operand and the position of an element
    (spec 14.13). The count is a buffer, so a training that is taken up again goes on with it. A
    forward pass that is computed again, as activation checkpointing does, gives the same bits.

    Examples
    --------
    >>> from bfpemu.torch import BFPLinear
    >>> layer = BFPLinear(4, 4, rounding="stochastic")
    >>> next_step(layer)
    >>> layer.rounding_step.item()
    1
    """
    for layer in model.modules():
        if isinstance(layer, BFPLayer) and layer.config.is_stochastic:
            layer.rounding_step += 1


def nonfinite_blocks(model: nn.Module) -> dict[str, int]:
    """Return how many blocks of its input held a NaN or an infinity, for every layer that counts them.

    Examples
    --------
    >>> import torch
    >>> from bfpemu.torch import BFPLinear
    >>> layer = BFPLinear(4, 4, counts_nonfinite=True)
    >>> _ = layer(torch.tensor([1.0, float("inf"), 0.0, 0.0]))
    >>> nonfinite_blocks(layer)
    {'': 1}
    """
    return {
        name: int(layer.nonfinite_blocks)
        for name, layer in model.named_modules()
        if isinstance(layer, BFPLayer) and layer.config.counts_nonfinite
    }
