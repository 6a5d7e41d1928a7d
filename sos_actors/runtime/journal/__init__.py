"""The journal of a session: what happened, in order, on disk, readable up to the last whole record after a crash."""

from sos_actors.runtime.journal.format import JournalError, SegmentHeader, SessionEnd
from sos_actors.runtime.journal.reader import JournalReader, Torn
from sos_actors.runtime.journal.writer import JournalSettings, JournalWriter

__all__ = [
    "JournalError",
    "JournalReader",
    "JournalSettings",
    "JournalWriter",
    "SegmentHeader",
    "SessionEnd",
    "Torn",
]
