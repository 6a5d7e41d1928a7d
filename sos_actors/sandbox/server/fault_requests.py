"""Changes of what goes wrong: from a file, or at run time; at once or at a time of the sandbox's clock."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import yaml

from sos_actors.decoding import converted
from sos_actors.errors import InputError
from sos_actors.sandbox.exchange.faults import FAULTS, FaultMenu
from sos_actors.sandbox.server.feed_faults import FEED_FAULTS, FeedFaultMenu
from sos_actors.sandbox.server.world import World

Menu = TypeVar("Menu", FaultMenu, FeedFaultMenu)


class FaultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A change of what goes wrong, from both menus: first `clear`, then `set`, then `arm`."""

    at: str = ""
    """Sandbox time at which it takes effect, ISO 8601; '' is at once."""
    clear: bool = False
    """Whether nothing shall go wrong any more."""
    set: dict[str, Any] = {}
    """Fields of the menus: a chance {"probability": 0.1, "count": 2}, a number of seconds, a code."""
    arm: dict[str, int] = {}
    """Faults that strike the next so many times."""


def read_requests(raw: bytes) -> list[FaultRequest]:
    """Read one request or a list of them, JSON or YAML; raises InputError."""
    try:
        value = yaml.safe_load(raw)
        rows = value if isinstance(value, list) else [value]
        return [converted(row, FaultRequest) for row in rows]
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InputError(f"faults: {' '.join(str(error).split())}") from None


def apply_faults(world: World, request: FaultRequest) -> None:
    """Change the menus; raises InputError for an unknown name or a wrong value, and then changes nothing."""
    dice, feed = world.exchange.faults, world.dice
    known = {**dict.fromkeys(FaultMenu.__struct_fields__, 0), **dict.fromkeys(FeedFaultMenu.__struct_fields__, 1)}
    names = [*request.set, *request.arm]
    wrong = [name for name in names if name not in known]
    wrong += [name for name in request.arm if name not in (*FAULTS, *FEED_FAULTS)]
    if wrong:
        raise InputError(f"fault '{wrong[0]}': unknown; GET /sandbox/faults shows the menu")
    parts = [{name: value for name, value in request.set.items() if known[name] == menu} for menu in (0, 1)]
    orders = _changed(FaultMenu() if request.clear else dice.menu, parts[0])
    feeds = _changed(FeedFaultMenu() if request.clear else feed.menu, parts[1])
    if request.clear or parts[0]:
        dice.set(orders)
    if request.clear or parts[1]:
        feed.set(feeds)
    for name, count in request.arm.items():
        (feed if known[name] else dice).arm(name, count)


def _changed(menu: Menu, part: dict[str, Any]) -> Menu:
    try:
        return converted({**msgspec.to_builtins(menu), **part}, type(menu))
    except msgspec.ValidationError as error:
        raise InputError(f"faults: {error}") from None
