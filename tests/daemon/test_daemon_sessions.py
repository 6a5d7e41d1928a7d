"""A daemon's life as a session: begun or not, it trades; what it keeps of its start, and what it must not."""

import os
from pathlib import Path

import msgspec
import pytest

from sos_actors.alerts.settings import AlertSettings
from sos_actors.config import Config
from sos_actors.daemon.sessions import (
    LIVE,
    LiveFacts,
    adopt,
    began_of,
    begin_recording,
    beginning,
    facts_of,
    tag_prefix,
    tidy,
)
from sos_actors.errors import SosError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.playbook.loader import build_playbook, load_playbook
from sos_actors.runtime.journal.deliveries import RecordedRun
from sos_actors.runtime.journal.reader import JournalReader
from sos_actors.runtime.journal.recording import RecordingSettings

ROOT = Path(__file__).parents[2]


def facts(**journal):
    config = Config(journal=RecordingSettings(**journal), alerts=AlertSettings(urls=("tgram://secret-token/1",)))
    playbook = load_playbook([ROOT / "strategies"])
    return facts_of(("NIFTY",), "paper", 1.0, config, playbook, real=False)


def test_two_lives_of_one_second_have_names_of_their_own(tmp_path):
    told = []
    names = []
    for _ in range(2):
        recording, name = begin_recording(tmp_path, "2026-11-20-091500", facts(), lambda: 7, told.append)
        recording.close()
        names.append(name)
    assert names == ["2026-11-20-091500", "2026-11-20-091500-2"]
    assert told == []


def test_what_cannot_be_recorded_is_told_and_trades(tmp_path):
    (tmp_path / "sessions").write_text("a file where the folder should be")
    told = []
    assert begin_recording(tmp_path, "s", facts(), lambda: 7, told.append) == (None, "s")
    (text,) = told
    assert text.startswith("the session is not recorded, trading goes on: ")


def test_recording_can_be_switched_off(tmp_path):
    told = []
    assert begin_recording(tmp_path, "s", facts(enabled=False), lambda: 7, told.append) == (None, "s")
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_a_session_holds_its_start_whole_and_no_secret(tmp_path):
    given = facts()
    recording, name = begin_recording(tmp_path, "s", given, lambda: 7, lambda _: None)
    recording.close()
    header = JournalReader(tmp_path / "sessions" / name).header
    assert "secret-token" not in header.facts[LIVE]
    read = msgspec.json.decode(header.facts[LIVE], type=LiveFacts)
    assert read == given
    again = build_playbook(read.playbook)
    assert again.errors == ()
    assert [one.id for one in again.strategies] == [one.pattern_id for one, _ in given.playbook]
    assert again.studies == build_playbook(given.playbook).studies


def test_old_sessions_go_after_the_close_not_the_one_under_way(tmp_path):
    for name in ("old", "now"):
        recording, _ = begin_recording(tmp_path, name, facts(), lambda: 7, lambda _: None)
        recording.close()
    for name in ("old", "now"):
        os.utime(tmp_path / "sessions" / name / "00001.journal", ns=(1, 1))
    tidy(tmp_path, RecordingSettings(keep_days=1), spare="now")
    assert [path.name for path in (tmp_path / "sessions").iterdir()] == ["now"]


def test_a_session_brings_its_calendar():
    rows = [{"date": "2026-11-20", "closed_exchanges": ["NFO", "BFO"], "open_exchanges": []}]
    before = TradingCalendar()
    try:
        INDIA.become(before.with_holidays(rows))
        began = beginning(5, 100)
        INDIA.become(before)
        assert INDIA.sessions("NSE", began.calendar[0][1])
        adopt(began)
        assert INDIA.sessions("NSE", began.calendar[0][1]) == ()
        assert INDIA.years == before.years
    finally:
        INDIA.become(before)


def test_a_daemon_that_never_put_its_cast_together_says_so(tmp_path):
    recording, name = begin_recording(tmp_path, "s", facts(), lambda: 7, lambda _: None)
    recording.close()
    run = RecordedRun(JournalReader(tmp_path / "sessions" / name), [], [], [])
    with pytest.raises(SosError, match="session s: the daemon ended before it had put its cast together"):
        began_of(run)


def test_tags_of_a_start_begin_with_its_second():
    assert tag_prefix(1_795_146_404_000_000_000) == "S" + tag_prefix(1_795_146_404_999_999_999)[1:]
    assert tag_prefix(36 * 1_000_000_000) == "S10"
