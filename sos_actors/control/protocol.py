"""What passes over the control socket: one JSON object a line, a reply a request.

The socket lies in the home folder and only its owner may open it (mode 0600): who can is allowed everything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from sos_actors.errors import InputError, SosError

#: Longest path a Unix socket may have on Linux, with the closing zero (unix(7)).
_LONGEST = 107
#: Longest request line; an answer may be longer.
LONGEST_REQUEST = 64 * 1024


class ControlError(SosError):
    """The daemon did not do what it was asked: it is not there, does not answer, or says why not.

    `of_the_line`: the connection is of no use any more; a new one may be. `late`: the daemon took too long, and will
    on another. `wrong`: what was asked is at fault.
    """

    def __init__(self, text: str, *, of_the_line: bool = True, late: bool = False, wrong: bool = False) -> None:
        super().__init__(text)
        self.of_the_line = of_the_line
        self.late = late
        if wrong:
            self.exit_status = InputError.exit_status


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question or order: the command's name and its arguments."""

    do: str
    args: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True):
    """What came of it. `error` is one line, empty when all went well."""

    data: Any = None
    error: str = ""
    wrong: bool = False
    """Whether what was asked is at fault: a name that is not there, say."""


def plain(value: Any) -> Any:
    """Make plain data of a value JSON has no form for: an array becomes its list, anything else its text."""
    listed = getattr(value, "tolist", None)
    return listed() if listed is not None else str(value)


def socket_path(home: Path) -> Path:
    """Give the place of the control socket of a home folder; raises InputError where its path is too long."""
    path = home.absolute() / "control.sock"
    if len(str(path).encode()) > _LONGEST:
        raise InputError(f"{home}: too long a path for a socket in it (over {_LONGEST} bytes): choose a shorter --home")
    return path
