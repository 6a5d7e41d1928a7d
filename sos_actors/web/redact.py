"""What must never leave: values under a secret's name, and secrets that are known, wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

HIDDEN = "(hidden)"
#: Parts of a name whose value is hidden: too much is better than too little.
_SECRET_NAME = re.compile(r"secret|token|passw|api_?key|credential|authori[sz]ation|cookie|totp|\bpin\b", re.IGNORECASE)
#: What tokens look like: JSON web tokens, as the broker gives them, and bearer headers.
_SECRET_TEXT = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|[Bb]earer\s+\S+")
#: Names that sound like a secret and hold none.
_HARMLESS = frozenset({"token_until", "token_needed"})


def redacted(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Give plain data without anything secret; `secrets` are texts that are hidden wherever they stand."""
    known = tuple(one for one in secrets if one)
    return _clean(value, known)


def _clean(value: Any, known: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {name: _named(str(name), inner, known) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(inner, known) for inner in value]
    if isinstance(value, str):
        text = _SECRET_TEXT.sub(HIDDEN, value)
        for one in known:
            text = text.replace(one, HIDDEN)
        return text
    return value


def _named(name: str, value: Any, known: tuple[str, ...]) -> Any:
    if value and isinstance(value, (str, bytes)) and name not in _HARMLESS and _SECRET_NAME.search(name):
        return HIDDEN
    return _clean(value, known)
