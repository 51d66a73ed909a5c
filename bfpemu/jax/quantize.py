"""`bfp_quantize` on JAX arrays, with a straight-through gradient (spec 14)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from bfpemu.adapters.configuration import Estimator, check_finds_exponents, estimator
from bfpemu.adapters.seeds import check_seed
from bfpemu.bitwise import fake_quantize, random_words, saturates
from bfpemu.bitwise.random_words import checked_seed, folded_words
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import DataError, DataTypeError
from bfpemu.formats import Conversion
from bfpemu.formats.preset import Preset
from bfpemu.jax.operations import JaxOperations
from bfpemu.jax.sharding import check_shards

_JAX = JaxOperations()


def bfp_quantize(
    data: ArrayLike,
    format: FormatLike = "bfp8",
    axis: int | None = -1,
    *,
    conversion: Conversion | None = None,
    rounding: str | None = None,
    seed: ArrayLike | None = None,
    exponents: ArrayLike | None = None,
    ste: str = "identity",
    whole_axis: bool = False,
) -> Array:
    """Return `data` rounded to a format; the gradient passes straight through.

    The same bits as `bfpemu.bfp_quantize`, under `jax.jit`, `grad`, `vmap`, `lax.scan`, `checkpoint`,
    `shard_map` and `jax.export`, on every device: all of it is integer operations. There is no forward mode.

    Parameters
    ----------
    data : array
        float32, float16 or bfloat16; float64 in JAX's 64-bit mode.
    format, axis, conversion, rounding
        As for `bfpemu.BFPTensor`.
    seed : int or integer array of no axes, optional
        For ``stochastic`` rounding. Random words follow from the seed and the position of an element, those
        of the array that is seen: inside `vmap` of one example, inside `shard_map` of one shard, whose seed must then
        depend on the device.
    exponents : integer array, optional
        For the rule ``given``.
    ste : str
        ``identity``, or ``clip``: no gradient where a value saturated.
    whole_axis : bool
        Inside `shard_map`, that the blocked axis is not divided among devices.

    Returns
    -------
    array
        Shape and dtype of `data`.

    Raises
    ------
    SpecError
        For the format: ``unknown-format`` and the codes of its fields; ``adapter-format``.
    DataTypeError
        ``data-type``.
    DataError
        ``axis``, ``exponent-given``, ``random-words`` or ``shard``.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> bfp_quantize(jnp.array([1.0, 0.3]), (4, 32)).tolist()
    [1.0, 0.25]
    """
    x = floats(data)
    preset = resolve(format, conversion, rounding)
    words = None if seed is None else words_of(x, key_of(seed))
    check_shards(x, preset.format, axis, whole_axis=whole_axis, words=words)
    given = None if exponents is None else jnp.asarray(exponents)
    return straight_through(x, preset, axis, estimator(ste), words, given)


@dataclass(frozen=True, repr=False)
class BFPQuantizerSTE:
    """A quantiser with straight-through gradient, as a hashable function of an array (spec 14.7).

    Parameters
    ----------
    format, axis, rounding, seed, ste
        As for `bfp_quantize`; a call may bring another seed.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> quantizer = BFPQuantizerSTE(format="bfp4")
    >>> jax.grad(lambda x: jnp.sum(quantizer(x) ** 2))(jnp.array([1.0, 0.3])).tolist()
    [2.0, 0.5]
    """

    format: FormatLike = "bfp8"
    axis: int | None = -1
    _: KW_ONLY
    rounding: str | None = None
    seed: int | None = None
    ste: str = "identity"

    def __post_init__(self) -> None:
        """Resolve the format, so that equal quantisers are equal."""
        preset = resolve(self.format, rounding=self.rounding)
        check_finds_exponents(preset)
        if self.seed is not None:
            check_seed(preset, self.seed)
        object.__setattr__(self, "format", preset)
        object.__setattr__(self, "ste", estimator(self.ste))

    def __call__(self, x: ArrayLike, *, seed: ArrayLike | None = None) -> Array:
        """Return `x` rounded to the format; errors are those of `bfp_quantize`."""
        return bfp_quantize(x, self.format, self.axis, seed=self.seed if seed is None else seed, ste=self.ste)

    def __repr__(self) -> str:
        return f"BFPQuantizerSTE({resolve(self.format).name!r}, axis={self.axis})"


def floats(data: ArrayLike) -> Array:
    """Return an array of real floats.

    Raises
    ------
    DataTypeError
        ``data-type``.
    """
    if getattr(data, "dtype", None) == np.float64 and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise DataTypeError(
            "data-type",
            "float64 data needs JAX's 64-bit mode (spec 14.1), got float64 without it; "
            "switch jax_enable_x64 on, or round the data with .astype(numpy.float32)",
        )
    try:
        x = jnp.asarray(data)
    except (TypeError, ValueError) as error:
        got = type(data).__name__
        raise DataTypeError("data-type", f"data must be an array of floats (spec 14.1), got {got}: {error}") from error
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise DataTypeError(
            "data-type",
            f"data must be float32, float16, bfloat16 or float64 (spec 14.1), got {x.dtype.name}; "
            "convert it first, or encode integers with bfpemu.BFPTensor",
        )
    return x


def key_of(seed: ArrayLike, *streams: ArrayLike) -> Array:
    """Return the seed of a stream of a seed (spec 14.6), as one signed 32-bit integer.

    Raises
    ------
    DataError
        ``random-words``.
    """
    key = _word(seed, "seed")
    for stream in streams:
        key = folded_words(_JAX, key, _word(stream, "step"))
    return key


def _word(number: ArrayLike, name: str) -> Array:
    """Return a seed, or the number of a step, as a signed integer of the same 32 bits."""
    if isinstance(number, int):
        return jnp.asarray(np.uint32(checked_seed(number, name)).view(np.int32))
    found = jnp.asarray(number)
    if found.shape != () or not jnp.issubdtype(found.dtype, jnp.integer):
        raise DataError(
            "random-words",
            f"{name} must be one integer (spec 14.6), got {found.dtype.name} of shape {found.shape}; "
            "jax.random.bits(key) makes one of a key",
        )
    return lax.bitcast_convert_type(found.astype(jnp.uint32), jnp.int32)


@jax.jit
def words_of(x: Array, key: Array) -> Array:
    """Return the random words of an array's elements (spec 14.6)."""
    found: Array = random_words(_JAX, x, key)
    return found


@partial(jax.jit, static_argnums=(1, 2))
def _compiled(x: Array, preset: Preset, axis: int | None, words: Array | None, exponents: Array | None) -> Array:
    """Return `x` quantised, in one program: one by one, a hundred small operations would each be compiled."""
    found: Array = fake_quantize(_JAX, x, preset, axis, exponents=exponents, random_words=words)
    return found


@partial(jax.jit, static_argnums=(1, 2))
def _outside(x: Array, preset: Preset, axis: int | None, words: Array | None, exponents: Array | None) -> Array:
    """Return where `x` saturates (spec 14.7)."""
    found: Array = saturates(_JAX, x, preset, axis, exponents=exponents, random_words=words)
    return found


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def straight_through(
    x: Array, preset: Preset, axis: int | None, ste: Estimator, words: Array | None, exponents: Array | None = None
) -> Array:
    """Return `x` quantised; the gradient is that of the identity, or 0 where a value saturated."""
    found: Array = _compiled(x, preset, axis, words, exponents)
    return found


def _saved(
    x: Array, preset: Preset, axis: int | None, ste: Estimator, words: Array | None, exponents: Array | None
) -> tuple[Array, Array | None]:
    # The function itself, not what it computes with: its derivative has a derivative, too.
    found = straight_through(x, preset, axis, ste, words, exponents)
    if ste is Estimator.IDENTITY:
        return found, None
    return found, _outside(x, preset, axis, words, exponents)


def _backward(
    preset: Preset, axis: int | None, ste: Estimator, outside: Array | None, gradient: Array
) -> tuple[Any, ...]:
    return (gradient if outside is None else jnp.where(outside, 0, gradient)), None, None


straight_through.defvjp(_saved, _backward)
