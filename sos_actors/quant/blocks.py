"""Run an element-wise kernel over large arrays in pieces that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Elements a piece: a few dozen temporaries of 8 bytes each must fit the second-level cache.
BLOCK = 4096


def in_blocks(
    kernel: Callable[..., tuple[Array, ...]],
    outputs: int,
    arguments: Sequence[ArrayLike],
) -> tuple[Array, ...]:
    """Broadcast `arguments`, hand them to `kernel` piece by piece, and put its `outputs` arrays together.

    `kernel` must be element-wise. Every returned array has the broadcast shape, is writable and belongs to the
    caller. Arguments of one element stay scalars, so that what depends on them alone is computed once a piece.
    Floating-point warnings are off within: kernels answer NaN where there is no answer. Raises ValueError where
    the shapes do not broadcast.
    """
    arrays = [_numbers(argument) for argument in arguments]
    together = np.broadcast(*arrays)
    shape, size = together.shape, together.size
    with np.errstate(all="ignore"):
        if size <= BLOCK and shape:
            return tuple(_whole(result, shape) for result in kernel(*arrays))
        flat = [a.reshape(()) if 1 == a.size < size else np.broadcast_to(a, shape).reshape(-1) for a in arrays]
        out = tuple(np.empty(size) for _ in range(outputs))
        for start in range(0, size, BLOCK):
            piece = slice(start, start + BLOCK)
            for column, result in zip(out, kernel(*[a[piece] if a.ndim else a for a in flat]), strict=True):
                column[piece] = result
    return tuple(column.reshape(shape) for column in out)


def _numbers(argument: ArrayLike) -> NDArray[np.float64] | NDArray[np.bool_]:
    """Truth values as they are, everything else in double precision."""
    array = np.asarray(argument)
    return array if array.dtype == np.bool_ else array.astype(np.float64, copy=False)


def _whole(result: Array, shape: tuple[int, ...]) -> Array:
    """Give a kernel's result the full shape: what does not depend on every argument comes out smaller."""
    if result.shape == shape and isinstance(result, np.ndarray):
        return result
    return np.array(np.broadcast_to(result, shape))
