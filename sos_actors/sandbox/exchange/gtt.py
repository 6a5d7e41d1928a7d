"""Good-till-triggered orders: rules that wait for a price at the broker and then send a limit order.

An ENTRY rule comes first; when its order is complete, TARGET and STOPLOSS wait on the other side, and the one that
fires cancels the other. Codes 1126, 1136, 1137, 1141, 1143, 1151 and 1154-1160 are the broker's; where it has one that
we do not know, the code of another GTT check stands in (1130, 1132, 1135, 1138, 1140, 1142).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sos_actors.market.clocktime import DAY_NS
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Side
from sos_actors.sandbox.exchange.answers import Answer, Refusal, success
from sos_actors.sandbox.exchange.book import Book, paise
from sos_actors.sandbox.exchange.desk import Desk
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.orders import FO_EXCHANGE, Change, Order, Status, Ticket, short_symbol
from sos_actors.sandbox.exchange.risk import market_limit
from sos_actors.sandbox.exchange.stream import EventKind
from sos_actors.sandbox.exchange.user import User, segment_of
from sos_actors.sandbox.exchange.validation import LIMIT, MAX_PROTECTION, PRODUCTS, fields_of, is_number, is_word

ENTRY, TARGET, STOPLOSS = "ENTRY", "TARGET", "STOPLOSS"
SCHEDULED, PENDING, COMPLETED, FAILED, CANCELLED = "SCHEDULED", "PENDING", "COMPLETED", "FAILED", "CANCELLED"
_ENDED = frozenset({COMPLETED, FAILED, CANCELLED})
_YEAR_NS = 365 * DAY_NS


@dataclass(slots=True, eq=False)
class Rule:
    """One rule. Prices in paise. SCHEDULED waits for its price, PENDING for the entry or for its order."""

    strategy: str
    trigger_type: str
    trigger: int
    protection: float
    gap: int
    side: Side
    status: str
    order: Order | None = None
    message: str = ""

    def row(self) -> dict[str, Any]:
        """The rule as the API shows it."""
        return {
            "strategy": self.strategy,
            "status": self.status,
            "trigger_type": self.trigger_type,
            "trigger_price": self.trigger / 100,
            "transaction_type": str(self.side),
            "message": self.message or None,
            "order_id": self.order.order_id if self.order else None,
            "trailing_gap": self.gap / 100 if self.gap else None,
            "market_protection": self.protection,
        }


@dataclass(slots=True, eq=False)
class Gtt:
    """One GTT order. Times in UTC ns."""

    gtt_id: str
    kind: str
    instrument: Instrument
    side: Side
    quantity: int
    product: str
    rules: list[Rule]
    created: int
    expires: int

    @property
    def ended(self) -> bool:
        """Whether no rule waits any more."""
        return all(rule.status in _ENDED for rule in self.rules)

    def row(self) -> dict[str, Any]:
        """The order as the API shows it; times in microseconds."""
        return {
            "type": self.kind,
            "exchange": FO_EXCHANGE[self.instrument.exchange],
            "quantity": self.quantity,
            "product": self.product,
            "rules": [rule.row() for rule in self.rules],
            "trading_symbol": short_symbol(self.instrument),
            "instrument_token": self.instrument.upstox_key,
            "gtt_order_id": self.gtt_id,
            "expires_at": self.expires // 1000,
            "created_at": self.created // 1000,
        }


class GttDesk:
    """GTT orders and the prices they wait for. Requests raise Refusal."""

    def __init__(self, floor: Floor, desk: Desk, user: User) -> None:
        self._floor = floor
        self._desk = desk
        self._user = user
        self._all: dict[str, Gtt] = {}
        self._count = 0

    def place(self, body: object, now: int, latency_ms: int) -> Answer:
        """Take a GTT order; an IMMEDIATE entry fires at once."""
        fields = fields_of(body)
        made = self._read(fields, now)
        self._all[made.gtt_id] = made
        self._say(made, now)
        self.on_price(self._floor.book(made.instrument), now)
        return success({"gtt_order_ids": [made.gtt_id]}, latency_ms=latency_ms)

    def modify(self, body: object, now: int, latency_ms: int) -> Answer:
        """Change the prices of rules that still wait, and the quantity while the entry does."""
        fields = fields_of(body)
        found = self._find(fields.get("gtt_order_id"))
        if found.ended:
            raise Refusal("1140", "The GTT order has ended", path="gtt_order_id", value=found.gtt_id)
        wanted = _rules(fields, found.kind, found.side)
        for rule in found.rules:
            new = next((one for one in wanted if one.strategy == rule.strategy), None)
            if new is not None and rule.order is None and rule.status not in _ENDED:
                rule.trigger, rule.trigger_type = new.trigger, new.trigger_type
                rule.protection, rule.gap = new.protection, new.gap
        if fields.get("quantity") and found.rules[0].order is None:
            found.quantity = _quantity(fields, found.instrument)
        self._say(found, now)
        return success({"gtt_order_ids": [found.gtt_id]}, latency_ms=latency_ms)

    def cancel(self, body: object, now: int, latency_ms: int) -> Answer:
        """Cancel what still waits, and the entry's order if it is open."""
        found = self._find(fields_of(body).get("gtt_order_id"))
        if found.ended:
            raise Refusal("1140", "The GTT order has ended", path="gtt_order_id", value=found.gtt_id)
        self._end(found, CANCELLED, now)
        return success({"gtt_order_ids": [found.gtt_id]}, latency_ms=latency_ms)

    def list(self, gtt_order_id: str | None) -> Answer:
        """One GTT order, or all that are known."""
        if gtt_order_id:
            return success([self._find(gtt_order_id).row()])
        return success([one.row() for one in self._all.values()])

    def on_price(self, book: Book, now: int) -> None:
        """Look at a new last price of an instrument."""
        if not self._all or not self._floor.is_open(book.instrument.exchange, now):
            return
        for one in self._all.values():
            if one.instrument is book.instrument and not one.ended:
                self._step(one, book, now)

    def end_of_day(self, now: int) -> None:
        """Cancel what was for the day, has expired, or waits for a contract that is gone; forget what has ended."""
        for one in self._all.values():
            if not one.ended and (one.product == "I" or one.expires <= now):
                self._end(one, CANCELLED, now)

    def forget(self) -> None:
        """Drop what has ended, as the broker does over night."""
        self._all = {name: one for name, one in self._all.items() if not one.ended}

    def _step(self, one: Gtt, book: Book, now: int) -> None:
        before = [rule.status for rule in one.rules]
        entry, exits = one.rules[0], one.rules[1:]
        if _reached(entry, book.last):
            self._fire(one, entry, book, now)
        elif entry.status == PENDING and _order_ended(entry):
            for rule in exits:
                rule.status = SCHEDULED if entry.status == COMPLETED else CANCELLED
        if entry.status == COMPLETED:
            for rule in exits:
                self._exit_step(one, rule, book, now)
        if before != [rule.status for rule in one.rules]:
            self._say(one, now)

    def _exit_step(self, one: Gtt, rule: Rule, book: Book, now: int) -> None:
        """Let a target or stop see a price: the one that fires cancels the other."""
        if rule.status == SCHEDULED:
            _trail(rule, book.last)
            if _exit_reached(rule, book.last):
                self._fire(one, rule, book, now)
                for other in one.rules[1:]:
                    if other.status == SCHEDULED:
                        other.status = CANCELLED
        elif rule.status == PENDING:
            _order_ended(rule)

    def _fire(self, one: Gtt, rule: Rule, book: Book, now: int) -> None:
        price = rule.trigger
        if rule.protection:
            risk = self._floor.settings.risk
            price = market_limit(risk, one.instrument, rule.side, rule.protection, rule.trigger, book.tick)
        ticket = Ticket(
            instrument=one.instrument,
            side=rule.side,
            quantity=one.quantity,
            product=one.product,
            validity="DAY",
            order_type=LIMIT,
            price=price,
        )
        rule.order = self._desk.accept(ticket, now)[0]
        rule.status = PENDING

    def _end(self, one: Gtt, status: str, now: int) -> None:
        for rule in one.rules:
            if rule.status not in _ENDED:
                rule.status = status
                if rule.order is not None and not rule.order.final:
                    self._desk.ask(rule.order, Change(None), now)
        self._say(one, now)

    def _say(self, one: Gtt, now: int) -> None:
        user = self._floor.settings.account.user_id
        row = {"update_type": "gtt_order", "user_id": user, "userId": user, **one.row()}
        self._floor.stream.send(EventKind.GTT, {**row, "exchange": segment_of(one.instrument)}, now)

    def _find(self, gtt_order_id: object) -> Gtt:
        found = self._all.get(gtt_order_id) if isinstance(gtt_order_id, str) else None
        if found is None:
            raise Refusal("1135", "GTT order not found", path="gtt_order_id", value=gtt_order_id)
        return found

    def _read(self, fields: Mapping[str, Any], now: int) -> Gtt:
        kind = fields.get("type")
        if not is_word(kind, {"SINGLE", "MULTIPLE"}):
            raise Refusal("1126", "The type is SINGLE or MULTIPLE", path="type", value=kind)
        key = fields.get("instrument_token")
        instrument = self._floor.instruments.by_key(key) if isinstance(key, str) else None
        if instrument is None or instrument.kind == "INDEX":
            raise Refusal("100011" if key else "1026", path="instrumentToken", value=key)
        if not is_word(fields.get("product"), PRODUCTS):
            raise Refusal("1054", path="product", value=fields.get("product"))
        if not is_word(fields.get("transaction_type"), {"BUY", "SELL"}):
            raise Refusal("1057", path="transactionType", value=fields.get("transaction_type"))
        self._user.check_segment(instrument)
        side = Side(fields["transaction_type"])
        rules = _rules(fields, kind, side)
        self._count += 1
        return Gtt(
            gtt_id=f"GTT-C26{now // DAY_NS:05d}{self._count:08d}",
            kind=kind,
            instrument=instrument,
            side=side,
            quantity=_quantity(fields, instrument),
            product=fields["product"],
            rules=rules,
            created=now,
            expires=now + _YEAR_NS,
        )


def _quantity(fields: Mapping[str, Any], instrument: Instrument) -> int:
    value = fields.get("quantity")
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise Refusal("1052", path="quantity", value=value)
    if value % max(1, instrument.lot_size):
        raise Refusal("100036", "Quantity must be a multiple of the lot", path="quantity", value=value)
    return value


def _rules(fields: Mapping[str, Any], kind: str, side: Side) -> list[Rule]:
    """Read and check the rules; the entry comes first."""
    rows = fields.get("rules")
    rows = rows if isinstance(rows, list) else []
    if kind == "SINGLE" and len(rows) != 1:
        raise Refusal("1136", "A SINGLE order has exactly one rule", path="rules", value=len(rows))
    if kind == "MULTIPLE" and len(rows) not in {2, 3}:
        raise Refusal("1137", "A MULTIPLE order has two or three rules", path="rules", value=len(rows))
    rules = [_rule(row, side) for row in rows]
    names = [rule.strategy for rule in rules]
    if ENTRY not in names:
        raise Refusal("1141", "An ENTRY rule is required", path="rules")
    if any(names.count(name) > 1 for name in names):
        raise Refusal("1138", "Each strategy can stand there once", path="rules")
    return sorted(rules, key=lambda rule: rule.strategy != ENTRY)


def _rule(row: object, side: Side) -> Rule:
    if not isinstance(row, Mapping) or not is_word(row.get("strategy"), {ENTRY, TARGET, STOPLOSS}):
        raise Refusal("1132", "The strategy is ENTRY, TARGET or STOPLOSS", path="rules.strategy")
    strategy, kind, price = row["strategy"], row.get("trigger_type"), row.get("trigger_price")
    if not is_word(kind, {"ABOVE", "BELOW", "IMMEDIATE"}):
        raise Refusal("1130", "The trigger type is ABOVE, BELOW or IMMEDIATE", path="rules.trigger_type", value=kind)
    if strategy != ENTRY and kind != "IMMEDIATE":
        raise Refusal("1143", "Only ENTRY takes another trigger type than IMMEDIATE", path="rules.trigger_type")
    if not is_number(price) or not 0 < price < 1e9:
        raise Refusal("1142", "The trigger price is above 0", path="rules.trigger_price", value=price)
    gap, protection = row.get("trailing_gap") or 0, row.get("market_protection") or 0
    if not is_number(gap) or gap < 0 or (gap and strategy != STOPLOSS):
        raise Refusal("1151", "The trailing gap is above 0, and of a STOPLOSS", path="rules.trailing_gap", value=gap)
    if not is_number(protection) or (protection < 0 and protection != -1):
        raise Refusal("1160", path="rules.market_protection", value=protection)
    if protection > MAX_PROTECTION:
        raise Refusal("1159", path="rules.market_protection", value=protection)
    return Rule(
        strategy=strategy,
        trigger_type=kind,
        trigger=paise(price),
        protection=float(protection),
        gap=paise(gap),
        side=side if strategy == ENTRY else side.opposite,
        status=SCHEDULED if strategy == ENTRY else PENDING,
    )


def _order_ended(rule: Rule) -> bool:
    """Whether the rule's order is final; the rule then says how it ended."""
    order = rule.order
    if order is None or not order.final:
        return False
    rule.status = COMPLETED if order.status is Status.COMPLETE else FAILED
    rule.message = order.message
    return True


def _reached(rule: Rule, last: int) -> bool:
    """Whether an entry fires at a last price."""
    if rule.status != SCHEDULED or not last:
        return False
    return rule.trigger_type == "IMMEDIATE" or (
        last >= rule.trigger if rule.trigger_type == "ABOVE" else last <= rule.trigger
    )


def _exit_reached(rule: Rule, last: int) -> bool:
    """Whether a target or stop fires at a last price; `rule.side` is the closing side."""
    gained = (last - rule.trigger) * -rule.side.sign
    return bool(last) and (gained >= 0 if rule.strategy == TARGET else gained <= 0)


def _trail(rule: Rule, last: int) -> None:
    """Let a trailing stop follow the price, never back."""
    if rule.gap and last:
        trailed = last + rule.side.sign * rule.gap
        rule.trigger = max(rule.trigger, trailed) if rule.side is Side.SELL else min(rule.trigger, trailed)
