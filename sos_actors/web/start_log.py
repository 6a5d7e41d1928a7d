"""What was logged from the start of the process until it was live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message

#: Lines kept: a start that says more has something wrong with it, and its beginning says what.
_KEPT = 400


class StartLog:
    """Listens to the log until it is closed; secrets are taken out of a line before it comes here (logs.py)."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._sink: int | None = logger.add(self._take, level="INFO", format="{time:HH:mm:ss} {level: <7} {message}")

    def lines(self) -> list[str]:
        """Give the lines so far, oldest first."""
        return list(self._lines)

    def close(self) -> None:
        """Listen no more."""
        if self._sink is not None:
            logger.remove(self._sink)
            self._sink = None

    def _take(self, message: Message) -> None:
        if len(self._lines) < _KEPT:
            self._lines.append(str(message).rstrip())
