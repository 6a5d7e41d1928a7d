"""Sandbox exchanges and daemons for the tests of the live daemon; each is ended and judged when its test is over."""

from __future__ import annotations

import contextlib

import pytest
from live_stand import Stand, exchange


@pytest.fixture
def stand(tmp_path):
    """Give a maker of stands: stand(start, speed, **of Stand). At the end each is stopped and judged by the books."""
    with contextlib.ExitStack() as stack:

        def make(start: str, speed: float = 30.0, *, sandbox: dict | None = None, **changes) -> Stand:
            market = stack.enter_context(exchange(start, speed, **(sandbox or {})))
            made = Stand(market, tmp_path / f"s{len(made_all)}", **changes)
            made_all.append(made)
            return made

        made_all: list[Stand] = []
        try:
            yield make
        except BaseException:
            _kill(made_all)
            raise
        try:
            for one in made_all:
                one.close()
        finally:
            _kill(made_all)


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A daemon that trades since 09:16 at speed 30, for tests that let something go wrong and then right again."""
    with exchange("2026-11-20T09:16:00", 30.0) as sandbox:
        stand = Stand(sandbox, tmp_path_factory.mktemp("standing"))
        try:
            stand.start()
            yield stand
            stand.faults(clear=True)
            stand.settled()
            stand.ask("pause")
            stand.ask("flatten")
            stand.wait_flat()
            stand.close()
        finally:
            _kill([stand])


def _kill(stands: list[Stand]) -> None:
    for one in stands:
        if one.process is not None and one.process.poll() is None:
            one.kill()
