"""Any thread may be the first to decode a type."""

import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from sos_actors.decoding import converted, from_json, from_msgpack, msgpack_decoder

ROOT = Path(__file__).parents[1]


class Inner(msgspec.Struct):
    x: int


class Outer(msgspec.Struct):
    inner: Inner
    more: list[Inner] = []


def test_what_is_read_and_what_is_refused():
    outer = Outer(Inner(1), [Inner(2)])
    assert from_json(msgspec.json.encode(outer), Outer) == outer
    assert from_msgpack(msgspec.msgpack.encode(outer), Outer) == outer
    assert from_msgpack(msgspec.msgpack.encode([1, "a"]), tuple[int, str]) == (1, "a")
    assert converted({"inner": {"x": 1}, "more": [{"x": 2}]}, Outer) == outer
    assert msgpack_decoder(Outer | None).decode(msgspec.msgpack.encode(None)) is None
    with pytest.raises(msgspec.ValidationError, match=r"\$.inner.x"):
        from_json(b'{"inner": {"x": "one"}}', Outer)


def test_threads_that_are_the_first_to_decode_a_type_all_get_it():
    """With msgspec alone this process dies within a few types."""
    code = """
        import sys, threading, typing, msgspec
        from sos_actors.decoding import converted, from_json, from_msgpack
        sys.setswitchinterval(1e-6)
        fields = [(f"f{n}", typing.Optional[int], None) for n in range(20)]
        given = {f"f{n}": n for n in range(20)}
        ways = [
            (from_json, msgspec.json.encode(given)), (from_msgpack, msgspec.msgpack.encode(given)), (converted, given),
        ]
        for number in range(150):
            kind = msgspec.defstruct(f"T{number}", fields)
            at_once, found = threading.Barrier(6), []
            def work(read, raw):
                at_once.wait()
                found.append(read(raw, kind))
            threads = [threading.Thread(target=work, args=way) for way in ways * 2]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert found == [kind(**given)] * 6
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
