"""Every message crosses the codec unchanged and cannot be changed."""

import datetime as dt
import enum
import functools
import math
import operator
import types
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sos_actors.messages
from sos_actors.messages import (
    CE,
    CHAIN_FIELDS,
    PE,
    AccountMarked,
    Bar,
    Buildup,
    ChainFrame,
    Direction,
    Message,
    Side,
    Subscribe,
    Unsubscribe,
    decode,
    encode,
    encode_all,
)

KINDS = [
    kind
    for kind in (getattr(sos_actors.messages, name) for name in sos_actors.messages.__all__)
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
]
ANY_MESSAGE = functools.reduce(operator.or_, KINDS)


def arrays(dtype: np.dtype) -> st.SearchStrategy:
    """Arrays of one, two or three dimensions, empty ones included, with NaN where the type has it."""
    shapes = st.lists(st.integers(0, 4), min_size=1, max_size=3)
    items = st.floats(width=64) if dtype.kind == "f" else st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return shapes.flatmap(
        lambda shape: st.lists(items, min_size=math.prod(shape), max_size=math.prod(shape)).map(
            lambda values: np.array(values, dtype=dtype).reshape(shape)
        )
    )


def values_of(kind: Any) -> st.SearchStrategy:  # noqa: PLR0911 (one return a kind of field)
    """Values of a field's type; a type not known here is an error, so that a new one gets its round trip."""
    plain = {
        str: st.text(),
        bytes: st.binary(),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(),
        bool: st.booleans(),
        dt.date: st.dates(),
        type(None): st.none(),
    }
    if kind in plain:
        return plain[kind]
    origin, args = get_origin(kind), get_args(kind)
    if hasattr(origin, "__value__"):  # an alias that has kept its name: NDArray of newer NumPy
        return values_of(origin.__value__[args])
    if origin is np.ndarray:
        return arrays(np.dtype(get_args(args[1])[0]))
    if origin is tuple and args[1:] == (...,):
        return st.lists(values_of(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, args))
    if origin is types.UnionType:
        return st.one_of(*map(values_of, args))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return messages_of(kind)
    raise NotImplementedError(f"no values for {kind}")


def messages_of(kind: type[msgspec.Struct]) -> st.SearchStrategy:
    """Messages of a class, or structs inside of one, every field filled, those with a default too."""
    return st.fixed_dictionaries(
        {name: values_of(hint) for name, hint in get_type_hints(kind).items() if name in kind.__struct_fields__}
    ).map(lambda fields: kind(**fields))


def same(a: Any, b: Any) -> bool:
    """Equal in type and value, NaN to NaN, arrays in dtype and shape too."""
    if type(a) is not type(b):
        return False
    if isinstance(a, msgspec.Struct):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__struct_fields__)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


def test_all_are_here():
    assert len(KINDS) >= 27
    assert {kind.__name__ for kind in KINDS} >= {"Bar", "ChainSnapshot", "OrderIntent", "Fill", "ActorFailed"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_round_trip(kind):
    @settings(max_examples=30)
    @given(messages_of(kind))
    def check(message):
        raw = encode(message)
        assert same(decode(raw, kind), message)
        assert same(decode(raw, ANY_MESSAGE), message)
        assert encode(decode(raw, kind)) == raw

    check()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_immutable(kind):
    @settings(max_examples=30)
    @given(messages_of(kind))
    def check(message):
        for name in kind.__struct_fields__:
            with pytest.raises(AttributeError):
                setattr(message, name, getattr(message, name))
            decoded = getattr(decode(encode(message), kind), name)
            assert not (isinstance(decoded, np.ndarray) and decoded.flags.writeable)

    check()


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 65_535, 65_536])
def test_many_at_once_are_what_each_is_one_behind_the_other(count):
    messages = [AccountMarked(n, 2, 3, 4) if n % 2 else Subscribe("NSE|INDEX|NIFTY") for n in range(count)]
    assert encode_all(messages) == b"".join(map(encode, messages))


def test_another_class_is_refused():
    raw = encode(Subscribe("NSE|INDEX|NIFTY"))
    with pytest.raises(msgspec.ValidationError):
        decode(raw, Unsubscribe)


def test_wrong_types_are_refused():
    tag, *fields = msgspec.msgpack.decode(encode(AccountMarked(1, 2, 3, 4)))
    assert tag == "AccountMarked"
    for place in range(len(fields)):
        broken = [tag, *fields]
        broken[place + 1] = "text"
        with pytest.raises(msgspec.ValidationError):
            decode(msgspec.msgpack.encode(broken), AccountMarked)


def test_missing_fields_are_refused():
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode(["AccountMarked", 1, 2]), AccountMarked)


def test_only_known_things_may_be_held():
    with pytest.raises(TypeError, match="may not hold a object"):
        encode(Subscribe(object()))


def test_numpy_scalars_become_plain_numbers():
    bar = Bar("i", 0, 60, np.float64(1.5), np.float64(2), np.float64(1), np.float64(1.25), np.float64("nan"))
    again = decode(encode(bar), Bar)
    assert type(again.open) is float
    assert (again.open, again.close) == (1.5, 1.25)
    assert math.isnan(again.volume)


def test_column_of_a_frame():
    values = np.arange(len(CHAIN_FIELDS) * 2 * 3, dtype=float).reshape(len(CHAIN_FIELDS), 2, 3)
    frame = ChainFrame("NIFTY", dt.date(2025, 9, 2), 0, 60, np.array([1.0, 2.0, 3.0]), values)
    assert frame.column("oi")[CE].tolist() == [30, 31, 32]
    assert frame.column("oi")[PE].tolist() == [33, 34, 35]
    assert np.shares_memory(frame.column("bid"), values)


def test_strided_arrays_keep_their_values():
    values = np.arange(96.0).reshape(8, 2, 6)[:, :, ::2]
    frame = ChainFrame("NIFTY", dt.date(2025, 9, 2), 0, 60, np.array([1.0, 2.0, 3.0]), values)
    assert np.array_equal(decode(encode(frame), ChainFrame).values, values)


def test_enumerations():
    assert (Side.BUY.opposite, Side.SELL.opposite, Side.BUY.sign, Side.SELL.sign) == (Side.SELL, Side.BUY, 1, -1)
    assert (Direction.LONG.sign, Direction.SHORT.sign) == (1, -1)
    assert [item.label for item in Buildup] == [
        "Unknown",
        "Neutral",
        "Long Buildup",
        "Short Covering",
        "Short Buildup",
        "Long Unwinding",
    ]
