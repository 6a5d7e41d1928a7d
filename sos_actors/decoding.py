"""Bytes and plain data to Structs, on any thread.

What msgspec must know of a Struct it works out when the type is first decoded. A second thread that decodes the type
meanwhile reads what is half worked out, and the process dies of it (a segmentation fault in msgspec 0.22: two answers
of the broker at once, the first of their kind). So every type is worked out once, under one lock, before anything is
decoded into it, and nothing in the package decodes into a type but through here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")

_lock = threading.Lock()  # nondeterministic: only in which thread works a type out, which comes to the same
#: Types that are worked out, with all that is in them.
_known: set[Any] = set()

#: Makes what msgspec does not know itself: (type, plain data) -> value.
Hook = Callable[[Any, Any], Any]


@overload
def from_json(raw: bytes | str, kind: type[T]) -> T: ...
@overload
def from_json(raw: bytes | str, kind: Any) -> Any: ...
def from_json(raw: bytes | str, kind: Any) -> Any:
    """Read JSON as a `kind`; raises msgspec.DecodeError, UnicodeDecodeError."""
    _work_out(kind)
    return msgspec.json.decode(raw, type=kind)


@overload
def from_msgpack(raw: bytes, kind: type[T], hook: Hook | None = None) -> T: ...
@overload
def from_msgpack(raw: bytes, kind: Any, hook: Hook | None = None) -> Any: ...
def from_msgpack(raw: bytes, kind: Any, hook: Hook | None = None) -> Any:
    """Read MessagePack as a `kind`; raises msgspec.DecodeError."""
    _work_out(kind)
    return msgspec.msgpack.decode(raw, type=kind, dec_hook=hook)


@overload
def converted(value: Any, kind: type[T], builtin_types: tuple[type, ...] = ()) -> T: ...
@overload
def converted(value: Any, kind: Any, builtin_types: tuple[type, ...] = ()) -> Any: ...
def converted(value: Any, kind: Any, builtin_types: tuple[type, ...] = ()) -> Any:
    """Make a `kind` of plain data, in which `builtin_types` may be as well; raises msgspec.ValidationError."""
    _work_out(kind)
    return msgspec.convert(value, kind, builtin_types=builtin_types)


@overload
def msgpack_decoder(kind: type[T]) -> msgspec.msgpack.Decoder[T]: ...
@overload
def msgpack_decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]: ...
def msgpack_decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """Give a decoder of MessagePack, for what is read often."""
    _work_out(kind)
    return msgspec.msgpack.Decoder(kind)


def _work_out(kind: Any) -> None:
    if kind not in _known:
        with _lock:
            msgspec.msgpack.Decoder(kind)
            _known.add(kind)
