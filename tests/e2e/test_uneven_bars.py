"""An index of minutes beside contracts of five: each order meets a price later than itself, and entries find one."""

import dataclasses
import datetime as dt

import numpy as np
from e2e_helpers import MINUTE, played, simulated

DAY = dt.date(2025, 9, 2)


class LongContracts:
    """A source whose contracts have bars of five minutes, whatever the index has."""

    name = "simulated"

    def __init__(self, source):
        self._source = source

    def __getattr__(self, name):
        return getattr(self._source, name)

    def load_day(self, underlying, day):
        found = self._source.load_day(underlying, day)
        return found and dataclasses.replace(found, chains=tuple(map(five_minutes, found.chains)))


def five_minutes(chain):
    """Five frames become one: open, high, low, close, volume, and the last of open interest and quotes."""
    count = len(chain.start) // 5
    five = chain.values[: count * 5].reshape(count, 5, *chain.values.shape[1:])
    values = five[:, -1].copy()
    values[:, 0], values[:, 1], values[:, 2] = five[:, 0, 0], five[:, :, 1].max(axis=1), five[:, :, 2].min(axis=1)
    values[:, 4] = np.nansum(five[:, :, 4], axis=1)
    return dataclasses.replace(chain, interval_s=300, start=chain.start[: count * 5 : 5], values=values)


def test_orders_fill_after_they_were_sent_and_entries_are_filled():
    record = played(LongContracts(simulated()), "NIFTY", DAY, warmup=1)
    sent = {order.order_id: order.ts for order in record.orders}
    assert len(record.trades) > 3
    assert any(ts % (5 * MINUTE) for ts in sent.values())
    assert [fill for fill in record.fills if fill.ts < sent[fill.order_id]] == []
