"""The account's owner at the broker: profile, registered addresses, kill switch."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import Any

from sos_actors.market.clocktime import SECOND_NS, ist_date
from sos_actors.market.instruments import Instrument
from sos_actors.sandbox.exchange.answers import Answer, Refusal, success
from sos_actors.sandbox.exchange.desk import Desk
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.orders import Change, stamp
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.exchange.stream import EventKind
from sos_actors.sandbox.exchange.validation import is_word

SEGMENTS = ("NSE_EQ", "NSE_FO", "BSE_EQ", "BSE_FO", "MCX_FO")
_COOLING_NS = 12 * 3600 * SECOND_NS


class User:
    """Who the account belongs to and what is switched off."""

    def __init__(self, settings: ExchangeSettings, floor: Floor, desk: Desk) -> None:
        account = settings.account
        self._account = account
        self._floor = floor
        self._desk = desk
        self._ips = [account.primary_ip, account.secondary_ip]
        self._ip_days: list[dt.date | None] = [None, None]
        self._ip_stamps: list[str | None] = [None, None]
        #: Segments switched off, with the instant.
        self._off: dict[str, int] = {}

    def addresses(self) -> tuple[str, ...]:
        """The registered addresses."""
        return tuple(ip for ip in self._ips if ip)

    def check_segment(self, instrument: Instrument) -> None:
        """Refuse an order in a segment that the kill switch has switched off."""
        if f"{instrument.exchange}_FO" in self._off:
            raise Refusal("100049", path="instrumentToken", value=instrument.upstox_key)

    def profile(self) -> Answer:
        """Give the profile."""
        return success(
            {
                "email": self._account.email,
                "exchanges": ["NSE", "NFO", "BSE", "BFO"],
                "products": ["D", "I"],
                "broker": "UPSTOX",
                "user_id": self._account.user_id,
                "user_name": self._account.user_name,
                "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
                "user_type": "individual",
                "poa": False,
                "is_active": True,
            }
        )

    def kill_switch(self) -> Answer:
        """Give every segment's state."""
        return success([self._segment(name) for name in SEGMENTS])

    def set_kill_switch(self, body: object, now: int) -> Answer:
        """Switch segments off (pending orders are cancelled) or, 12 hours later, on; all or none."""
        rows = self._switches(body, now)
        for row in rows:
            segment = row["segment"]
            if row["action"] == "ENABLE":
                self._off.pop(segment, None)
            elif segment not in self._off:
                self._off[segment] = now
                for order in list(self._floor.live.values()):
                    if segment_of(order.instrument) == segment:
                        self._desk.ask(order, Change(None), now)
        return success([self._segment(row["segment"]) for row in rows])

    def static_ip(self) -> Answer:
        """Give the registered addresses."""
        return success(self._ip_row(died=False))

    def set_static_ip(self, body: object, now: int) -> Answer:
        """Register addresses, each once a calendar week; every access token dies by it."""
        if not isinstance(body, dict) or not body.get("primary_ip"):
            raise Refusal("1182", "The primary address is required", path="primary_ip")
        wanted = [str(body["primary_ip"]), str(body.get("secondary_ip") or "")]
        for name, ip in zip(("primary_ip", "secondary_ip"), wanted, strict=True):
            if ip and not _is_address(ip):
                raise Refusal("1183", "The address is neither IPv4 nor IPv6", path=name, value=ip)
        if wanted[0] == wanted[1]:
            raise Refusal("1184", "The two addresses must differ", path="secondary_ip", value=wanted[1])
        day = ist_date(now)
        changed = [index for index in (0, 1) if wanted[index] != self._ips[index]]
        for index in changed:
            before = self._ip_days[index]
            if before is not None and before.isocalendar()[:2] == day.isocalendar()[:2]:
                raise Refusal("1185", "An address can be changed once a week", path="primary_ip", value=wanted[index])
        for index in changed:
            self._ips[index], self._ip_days[index], self._ip_stamps[index] = wanted[index], day, stamp(now)
        if changed:
            self._floor.stream.signal(EventKind.TOKENS_DIED, now)
        return success(self._ip_row(died=bool(changed)))

    def _ip_row(self, *, died: bool) -> dict[str, Any]:
        return {
            "user_id": self._account.user_id,
            "primary_ip": self._ips[0] or None,
            "secondary_ip": self._ips[1] or None,
            "primary_ip_updated_at": self._ip_stamps[0],
            "secondary_ip_updated_at": self._ip_stamps[1],
            "access_tokens_invalidated": died,
        }

    def _segment(self, name: str) -> dict[str, Any]:
        status = "ACTIVE" if name in {"NSE_FO", "BSE_FO"} else "INACTIVE"
        return {"segment": name, "segment_status": status, "kill_switch_enabled": name in self._off}

    def _switches(self, body: object, now: int) -> list[dict[str, Any]]:
        """Check every row before any is carried out."""
        if not isinstance(body, list) or not body or not all(isinstance(row, dict) for row in body):
            raise Refusal("100038", "The body is a list of segment and action")
        for row in body:
            segment, action = row.get("segment"), row.get("action")
            if not is_word(segment, SEGMENTS):
                raise Refusal("1186", "The segment does not exist", path="segment", value=segment)
            if not is_word(action, {"ENABLE", "DISABLE"}):
                raise Refusal("1188", "The action is ENABLE or DISABLE", path="action", value=action)
            if action == "DISABLE" and self._open_positions(segment):
                raise Refusal("1184", "Close all positions of the segment first", path="segment", value=segment)
            if action == "ENABLE" and segment in self._off and now < self._off[segment] + _COOLING_NS:
                raise Refusal("1185", "The segment cannot be switched on yet", path="segment", value=segment)
        return body

    def _open_positions(self, segment: str) -> bool:
        held = self._floor.account.positions.values()
        return any(one.net and segment_of(one.instrument) == segment for one in held)


def segment_of(instrument: Instrument) -> str:
    """The broker's segment of a contract: what stands before the bar of its key."""
    return instrument.upstox_key.split("|")[0]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
