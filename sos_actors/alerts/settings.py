"""Settings of alerts."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from sos_actors.messages import AlertLevel


class AlertSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where alerts go and how many. Addresses are secrets: better in $SOS_ALERT_URLS, which decides over `urls`."""

    urls: tuple[str, ...] = ()
    """Addresses in Apprise's form, e.g. tgram://TOKEN/CHAT, mailto://..., slack://..., json://host/path."""
    least: AlertLevel = AlertLevel.WARNING
    """Least level that is sent: INFO, WARNING, CRITICAL."""
    trades: bool = True
    """Send every closed trade, whatever the level."""
    refusals: bool = True
    """Send the first refusal of each reason of a strategy a day, whatever the level."""
    summary: bool = True
    """Send what the day came to after its close."""
    group_s: float = 20.0
    """Seconds in which lines are gathered into one message; a CRITICAL one goes at once, with what waits."""
    per_hour: int = 40
    """Messages an hour at most; what is held back is counted and told with the next. CRITICAL ones may go beyond."""
    retries: int = 4
    """Times a message is tried again where a service does not take it."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.group_s < 0 or self.per_hour < 1 or self.retries < 0:
            raise ValueError("alerts: write group_s and retries of 0 or more, per_hour of 1 or more")

    def addresses(self, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Give the addresses: the environment's, parted by blanks or lines, else the configuration's."""
        env = os.environ if environ is None else environ
        return tuple(env.get("SOS_ALERT_URLS", "").split()) or self.urls
