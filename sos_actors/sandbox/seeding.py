"""Random streams named by what they are for, so that what is drawn never depends on the order of questions."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """Make the generator for a seed and a name, e.g. `stream(7, 'oi', 'NIFTY', day.toordinal())`."""
    words = [part if isinstance(part, int) else zlib.crc32(part.encode()) for part in name]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
