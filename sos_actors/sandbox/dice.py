"""Dice for what can go wrong on purpose: a menu of chances, and what strikes when its point is passed."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
import numpy as np

from sos_actors.errors import InputError


class Chance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a fault strikes: the next `count` times its point is passed, then each time with `probability`."""

    probability: float = 0.0
    """Chance at each passing, 0 to 1, when no count is left."""
    count: int = 0
    """How many of the next passings it surely strikes."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0 <= self.probability <= 1 or self.count < 0:
            raise ValueError("a fault's probability is 0 to 1 and its count 0 or more")


NEVER = Chance()
Menu = TypeVar("Menu", bound=msgspec.Struct)


def chances_of(menu: type[msgspec.Struct]) -> tuple[str, ...]:
    """Give the names of a menu's faults; its other fields say more about some of them."""
    return tuple(field.name for field in msgspec.structs.fields(menu) if field.type is Chance)


def check_durations(menu: msgspec.Struct, where: str) -> None:
    """Check that every duration (a field ending in `_s`) is 0 or more; raises ValueError."""
    for name in menu.__struct_fields__:
        if name.endswith("_s") and not getattr(menu, name) >= 0:
            raise ValueError(f"{where}.{name} is {getattr(menu, name)}: write 0 or more seconds")


class Dice(Generic[Menu]):
    """Throws for each fault of a menu at its point.

    Deterministic for an order of points: the generator is handed in, and drawn from only for what has a probability.
    """

    def __init__(self, menu: Menu, rng: np.random.Generator) -> None:
        self._rng = rng
        self._names = chances_of(type(menu))
        self._left: dict[str, int] = {}
        self._none = self.menu = type(menu)()
        #: How often each fault has struck.
        self.struck: dict[str, int] = {}
        self.set(menu)

    def set(self, menu: Menu) -> None:
        """Take another menu. Counts begin anew where the chance changed, and go on elsewhere; an empty one ends all."""
        for name in self._names:
            chance: Chance = getattr(menu, name)
            if chance != getattr(self.menu, name):
                self._left.pop(name, None)
                if chance != NEVER:
                    self._left[name] = chance.count
        if menu == self._none:
            self._left.clear()
        self.menu = menu

    def arm(self, name: str, count: int = 1) -> None:
        """Let a fault strike the next `count` times, whatever the menu says; InputError for an unknown name."""
        if name not in self._names:
            raise InputError(f"fault '{name}': known are {', '.join(self._names)}")
        self._left[name] = self._left.get(name, 0) + count

    def hit(self, name: str) -> bool:
        """Whether the fault strikes here and now; counts it."""
        left = self._left.get(name)
        if left is None:
            return False
        probability = getattr(self.menu, name).probability
        if left > 0:
            self._left[name] = left - 1
        elif not probability or self._rng.random() >= probability:
            return False
        if not self._left[name] and not probability:
            del self._left[name]
        self.struck[name] = self.struck.get(name, 0) + 1
        return True
