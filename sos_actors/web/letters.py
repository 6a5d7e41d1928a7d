"""Dead letters as plain data, without anything secret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sos_actors.market.clocktime import ist_plain
from sos_actors.runtime.dead_letters import DeadLetter
from sos_actors.web.redact import redacted

#: How much of a message's text is shown: a chain's arrays are long.
_CONTENT = 500


def letters_of(
    kept: Iterable[DeadLetter], secrets: Sequence[str], *, path: str = "", most: int = 100
) -> list[dict[str, Any]]:
    """Give the last `most` dead letters of an actor, or of all, the newest first.

    `at` is Indian time, `message` its type, `content` its text, cut; `traceback` is '' unless it raised.
    """
    found = [letter for letter in kept if path in {"", letter.path}]
    letters = [
        {
            "at": ist_plain(letter.ts),
            "actor": letter.path,
            "message": type(letter.message).__name__,
            "content": repr(letter.message),
            "reason": letter.reason,
            "traceback": letter.traceback,
        }
        for letter in reversed(found[-most:])
    ]
    clean: list[dict[str, Any]] = redacted(letters, secrets)
    for letter in clean:  # cut after it is clean: half a secret is not recognised
        letter["content"] = letter["content"][:_CONTENT]
    return clean
