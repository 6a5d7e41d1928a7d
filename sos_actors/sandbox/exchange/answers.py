"""What a request gets back: the broker's JSON, a page of HTML, or a broken connection."""

from __future__ import annotations

from typing import Any

import msgspec

from sos_actors.messages.base import Word


class AnswerKind(Word):
    """What the server does with an answer.

    JSON: send `body`. TEXT: send `text` as HTML. DROP_BEFORE_ACCEPT, DROP_AFTER_ACCEPT: close the connection without a
    byte; in the first nothing was done, in the second it was.
    """

    JSON = "JSON"
    TEXT = "TEXT"
    DROP_BEFORE_ACCEPT = "DROP_BEFORE_ACCEPT"
    DROP_AFTER_ACCEPT = "DROP_AFTER_ACCEPT"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, to be given `delay_ns` after the request came."""

    kind: AnswerKind = AnswerKind.JSON
    status: int = 200
    body: Any = None
    text: str = ""
    delay_ns: int = 0
    headers: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the request was carried out and said so."""
        return self.kind is AnswerKind.JSON and self.status < 300

    @property
    def code(self) -> str:
        """The first error's code; '' where there is none."""
        errors = self.body.get("errors") if isinstance(self.body, dict) else None
        return str(errors[0]["errorCode"]) if errors else ""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """A request refused on the spot, with the broker's code. `status` is HTTP's."""

    def __init__(
        self, code: str, text: str = "", *, status: int = 400, path: str | None = None, value: object = None
    ) -> None:
        super().__init__(code)
        self.code = f"UDAPI{code}"
        self.text = text or TEXTS.get(code, "Invalid input")
        self.status = status
        self.path = path
        self.value = value

    def row(self) -> dict[str, Any]:
        """One entry of the envelope's `errors`, in both casings."""
        value = None if self.value is None else str(self.value)
        return {
            "errorCode": self.code,
            "message": self.text,
            "propertyPath": self.path,
            "invalidValue": value,
            "error_code": self.code,
            "property_path": self.path,
            "invalid_value": value,
        }

    def answer(self) -> Answer:
        """The whole envelope."""
        return Answer(status=self.status, body={"status": "error", "errors": [self.row()]})


#: What each code means, in our words.
TEXTS = {
    "1003": "Order id is required",
    "1004": "A valid order type is required",
    "1006": "Product is required",
    "1007": "Validity is required",
    "1008": "Price is required",
    "1010": "Order id takes letters, digits and '-' only",
    "1023": "Order id is required",
    "1026": "Instrument key is required",
    "1029": "Price is required",
    "1030": "Price is not taken for this order type",
    "1031": "Price and trigger price are both required",
    "1032": "Only the trigger price is required",
    "1036": "Trigger price is required",
    "1037": "Trigger price must be below the limit price of a buy order",
    "1038": "Trigger price must be above the limit price of a sell order",
    "1039": "Disclosed quantity must be at least 10% of the quantity",
    "1040": "Price must be 0 for MARKET and SL-M orders",
    "1041": "Trigger price is required for SL and SL-M orders",
    "1042": "Trigger price must be 0 for MARKET and LIMIT orders",
    "1043": "Price is required for LIMIT and SL orders",
    "1052": "Quantity cannot be zero",
    "1054": "Product is invalid",
    "1055": "Validity is invalid",
    "1056": "Order type is invalid",
    "1057": "Transaction type is invalid",
    "1108": "Segment is invalid",
    "1109": "There is no open order to cancel",
    "1110": "More open orders than one request may cancel",
    "1111": "There is no open position to exit",
    "1112": "More open positions than one request may exit",
    "1113": "Positions cannot be exited while the market is closed",
    "1114": "The request holds no orders",
    "1115": "Correlation id is required",
    "1116": "Correlation id is too long",
    "1117": "Correlation ids must differ",
    "1118": "Too many orders in one request",
    "1119": "Tag is longer than 40 characters",
    "1154": "Orders are blocked from this address by static IP restrictions",
    "1158": "Market orders are not allowed without market protection",
    "1159": "Market protection cannot be above 25%",
    "1160": "Market protection is invalid",
    "10005": "Too Many Request Sent",
    "100010": "Order not found",
    "100011": "Instrument key is unknown",
    "100036": "Invalid input",
    "100038": "Invalid input",
    "100040": "A cancelled, rejected or complete order cannot be cancelled",
    "100041": "A cancelled, rejected or complete order cannot be modified",
    "100049": "Trading in this segment is disabled",
    "100050": "Invalid token used to access API",
    "100059": "Order id or tag is required",
    "100067": "This API is not open to this kind of token",
    "100072": "Funds are not available between midnight and 05:30",
    "100074": "Orders are not taken between midnight and 05:30",
    "100500": "Something went wrong",
}


def success(data: Any, *, latency_ms: int | None = None, **extra: Any) -> Answer:
    """Give the success envelope around `data`."""
    body: dict[str, Any] = {"status": "success", "data": data, **extra}
    if latency_ms is not None:
        body["metadata"] = {"latency": latency_ms}
    return Answer(body=body)


def page(status: int, title: str) -> Answer:
    """An HTML page, as proxies and firewalls give."""
    text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(kind=AnswerKind.TEXT, status=status, text=text, headers={"Content-Type": "text/html"})
