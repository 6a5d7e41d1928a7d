"""What a user can get wrong ends in one clear line and a status, never a traceback, and leaves nothing half-written."""

import hashlib
import json
import resource
import sqlite3
import sys

import pytest
from e2e_helpers import ROOT, command

from sos_actors.cli import main

BARS = "timestamp,open,high,low,close,volume\n"
GOOD = "2025-09-0{}T09:{:02d}:00+05:30,24500,24510,24490,24505,0\n"
DAY = BARS + "".join(GOOD.format(1, minute) for minute in range(15, 60))


@pytest.fixture
def sos(tmp_path, monkeypatch, capsys):
    """Run the command in this process, in a home of its own; gives (status, stdout, lines on stderr)."""
    home = tmp_path / "home"
    monkeypatch.setenv("SOS_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["run_actors.py", *map(str, arguments)])
        status = main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err.splitlines()

    run.home, run.folder = home, tmp_path
    return run


def _refused(sos, *arguments, status=2, says=()):
    """One line, the status, and the words that tell what is wrong."""
    code, out, err = sos(*arguments)
    assert code == status, (out, err)
    assert len(err) == 1, err
    assert out == ""
    assert err[0].startswith("error: ")
    for word in says:
        assert word in err[0], err[0]


def _hash(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- dates, symbols, outputs ------------------------------------------------------------------------------------------

SIMULATED = ("backtest", "--source", "simulated", "--symbol", "NIFTY")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ((*SIMULATED, "--from-date", "2025-09-05", "--to-date", "2025-09-01"), 2, ["--from-date", "after"]),
        ((*SIMULATED, "--from-date", "2025-08-15"), 1, ["closed", "2025-08-15"]),
        ((*SIMULATED, "--from-date", "2025-08-30", "--to-date", "2025-08-31"), 1, ["closed"]),
        ((*SIMULATED, "--from-date", "yesterday"), 2, ["--from-date 'yesterday'", "YYYY-MM-DD"]),
        ((*SIMULATED, "--from-date", "2025-02-30"), 2, ["2025-02-30"]),
        ((*SIMULATED, "--from-date", "1990-01-03"), 2, ["1990"]),
        ((*SIMULATED, "--from-date", "2031-01-03"), 2, ["2031"]),
        (("backtest", "--source", "simulated", "--symbol", "GOLD", "--from-date", "2025-09-01"), 2, ["GOLD", "NIFTY"]),
        (("backtest", "--source", "simulated", "--symbol", "INDIAVIX", "--from-date", "2025-09-01"), 2, ["INDIAVIX"]),
        (("backtest", "--source", "simulated", "--symbol", " , ", "--from-date", "2025-09-01"), 2, ["--symbol"]),
        (("backtest", "--symbol", "NIFTY", "--from-date", "2025-09-01"), 2, ["no market database", "ingest"]),
        ((*SIMULATED, "--from-date", "2025-09-01", "--strategies", "nosuch"), 2, ["nosuch"]),
        ((*SIMULATED, "--from-date", "2025-09-01", "--timeframe", "7m"), 2, ["7m"]),
        ((*SIMULATED, "--from-date", "2025-09-01", "--playbook", "nowhere"), 2, ["nowhere"]),
        ((*SIMULATED, "--from-date", "2025-09-01", "--json", "no/such/folder/x.json"), 2, ["no/such/folder"]),
        ((*SIMULATED, "--from-date", "2025-09-01", "--trades-out", "no/such/x.csv"), 2, ["no/such"]),
        ((*SIMULATED, "--from-date", "2025-09-01", "--trades-out", "x.doc"), 2, [".doc"]),
        (("export", "--what", "bars", *SIMULATED[3:], "--from-date", "2025-09-01", "--out", "x.csv"), 2, ["ingest"]),
        (("sql", "select 1"), 2, ["ingest"]),
        (("ingest", "missing.csv"), 2, ["missing.csv"]),
    ],
)
def test_wrong_arguments(sos, arguments, status, says):
    _refused(sos, *arguments, status=status, says=says)
    assert not list(sos.folder.rglob("x.*"))


def test_an_output_that_cannot_be_written_is_known_before_the_work(sos):
    (sos.folder / "taken").mkdir()
    for option in ("--json", "--trades-out"):
        _refused(sos, *SIMULATED, "--from-date", "2025-09-01", option, "taken", says=["taken", "folder"])


def test_words_the_command_does_not_know(sos):
    """The usage of a command is click's to tell: three lines, the last of which names the fault."""
    for arguments in (("backtest",), ("nosuch",), (*SIMULATED, "--from-date", "2025-09-01", "--resolution", "hour")):
        status, out, err = sos(*arguments)
        assert (status, out) == (2, "")
        assert err[0].startswith("Usage:")
        assert err[-1].startswith("Error: ")


# -- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("risk: {daily_lose: 0.1}\n", ["risk", "daily_lose"]),
        ("riks: {}\n", ["riks"]),
        ("risk: {daily_loss: much}\n", ["risk.daily_loss", "float"]),
        ("risk: {daily_loss: -1}\n", ["daily_loss"]),
        ("account: {capital: 0}\n", ["account.capital"]),
        ("orders: {exits: {square_off: '25:99'}}\n", ["25:99"]),
        ("risk: {daily_loss: 0.1\n", ["YAML"]),
        ("- a\n- b\n", ["c.yaml"]),
        ("risk: !!python/object/apply:os.system ['echo gotcha']\n", ["YAML"]),
    ],
)
def test_configuration(sos, text, says):
    (sos.folder / "c.yaml").write_text(text)
    for arguments in (("validate",), (*SIMULATED, "--from-date", "2025-09-01")):
        _refused(sos, *arguments, "--config", "c.yaml", says=["c.yaml", *says])


def test_no_configuration_there(sos):
    _refused(sos, "validate", "--config", "gone.yaml", says=["gone.yaml"])


# -- strategies -------------------------------------------------------------------------------------------------------

GATE = {
    "pattern_id": "good",
    "phases": [{"id": "P", "conditions": ["close > open"]}],
    "execution": {"side": "BUY", "entry": "close", "sl": "close - 20", "tp": "close + 40", "option_selection": "ATM"},
}
EVIL = {
    "syntax": "close >",
    "name": "close > tomorrow",
    "attribute": "candle.__class__ == 1",
    "dunder": "().__class__.__bases__ == 1",
    "power": "9**9**9 > 1",
    "call": "open('/etc/passwd') == 1",
    "import": "__import__('os') == 1",
}


@pytest.fixture
def playbook(sos):
    """A folder of one good strategy and every bad one."""
    folder = sos.folder / "playbook"
    folder.mkdir()
    (folder / "good.json").write_text(json.dumps(GATE))
    for name, expression in EVIL.items():
        phases = [{"id": "TRIGGER", "conditions": ["close > open", expression]}]
        (folder / f"{name}.json").write_text(json.dumps({**GATE, "pattern_id": name, "phases": phases}))
    (folder / "broken.json").write_text('{"pattern_id": ')
    (folder / "twin.json").write_text(json.dumps(GATE))
    return folder


def test_validate_names_every_fault_in_one_line(sos, playbook):
    status, out, err = sos("validate", playbook)
    assert status == 2
    assert len(err) == len(EVIL) + 2
    assert all(line.startswith("error: ") for line in err)
    for name in EVIL:
        (line,) = [line for line in err if f"{name}.json" in line]
        assert "TRIGGER" in line
    assert out.splitlines()[-1].startswith("1 strategies can run, 9 cannot")


def test_the_others_run(sos, playbook):
    status, out, err = sos(
        *SIMULATED, "--from-date", "2025-09-01", "--playbook", playbook, "--json", "-"
    )  # fmt: skip
    assert status == 0
    assert json.loads(out)["summary"]["strategies"] == ["good"]
    assert json.loads(out)["summary"]["signals"] > 0
    assert len(err) == len(EVIL) + 2
    assert all(line.startswith("warning: strategy left out: ") for line in err)


def test_none_of_them_good(sos, playbook):
    (playbook / "good.json").unlink()
    (playbook / "twin.json").unlink()
    _refused(sos, *SIMULATED, "--from-date", "2025-09-01", "--playbook", playbook, says=[".json", "validate"])
    _refused(sos, *SIMULATED, "--from-date", "2025-09-01", "--playbook", playbook / "name.json", says=["tomorrow"])


# -- files to ingest --------------------------------------------------------------------------------------------------


def _bars(sos, name, text):
    path = sos.folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (DAY.replace("close", "last_one"), ["bad.csv"]),
        ("", ["bad.csv"]),
        (BARS, ["bad.csv"]),
        ("nothing of the kind", ["bad.csv"]),
        (
            BARS
            + "".join(f"2025-09-01T{hour:02d}:{m:02d}:00Z,1,1,1,1,0\n" for hour in range(9, 16) for m in range(60)),
            ["bad.csv", "zone"],
        ),
    ],
    ids=["column missing", "empty", "no rows", "not a table", "wrong time zone"],
)
def test_a_file_that_cannot_be_read_leaves_the_database_as_it_was(sos, text, says):
    assert sos("ingest", _bars(sos, "good.csv", DAY), "--symbol", "NIFTY")[0] == 0
    before = _hash(sos.home / "market.db")
    _refused(sos, "ingest", _bars(sos, "bad.csv", text), "--symbol", "NIFTY", says=says)
    assert _hash(sos.home / "market.db") == before


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2025-09-01T10:00:00+05:30,24500,24510,24490,cheap,0\n", "close is not a number"),
        ("2025-09-01T10:00:00+05:30,24500,24510,24490,nan,0\n", "price"),
        ("2025-09-01T10:00:00+05:30,24500,24510,-24490,24500,0\n", "low not positive"),
        ("2025-09-01T10:00:00+05:30,24500,24490,24510,24500,0\n", "high"),
        ("2025-09-01T09:20:00+05:30,24500,24510,24490,24505,0\n", "duplicate"),
        ("2025-09-01T16:20:00+05:30,24500,24510,24490,24505,0\n", "after the close"),
    ],
)
def test_rows_that_are_wrong_are_left_out_and_counted(sos, line, reason):
    status, out, err = sos("ingest", _bars(sos, "some.csv", DAY + line), "--symbol", "NIFTY")
    assert (status, err) == (0, [])
    assert "45 of 46 rows stored" in out
    (rejected,) = [text for text in out.splitlines() if "rejected: 1" in text]
    assert reason in rejected


def test_unsorted_rows_are_sorted(sos):
    head, *rows = DAY.splitlines(keepends=True)
    status, out, _ = sos("ingest", _bars(sos, "some.csv", head + "".join(reversed(rows))), "--symbol", "NIFTY")
    assert status == 0
    assert "45 of 45 rows stored" in out
    assert "out of order, sorted" in out


CHAIN = "timestamp,symbol,expiry,strike,right,open,high,low,close,volume,oi\n"
LADDER = "".join(
    f"2025-09-01T09:{minute}:00+05:30,NIFTY,2025-09-02,{strike},{right},100,101,99,100,75,750\n"
    for minute in (15, 16)
    for strike in range(24000, 25050, 50)
    for right in ("CE", "PE")
)


def test_contracts_that_cannot_be_are_left_out(sos):
    text = CHAIN + LADDER
    text += "2025-09-01T09:15:00+05:30,NIFTY,2025-09-02,24512.5,CE,100,101,99,100,75,750\n"
    text += "2025-09-01T09:15:00+05:30,NIFTY,2025-08-28,24500,CE,100,101,99,100,75,750\n"
    status, out, err = sos("ingest", _bars(sos, "chain.csv", text))
    assert (status, err) == (0, [])
    assert "84 of 86 rows stored" in out
    assert "ladder" in out
    assert "expir" in out


# -- the database and the disk ----------------------------------------------------------------------------------------


def test_a_database_that_is_none(sos):
    sos.home.mkdir()
    (sos.home / "market.db").write_bytes(b"this is no database, but long enough to be read as a page" * 100)
    before = _hash(sos.home / "market.db")
    for arguments in (
        ("backtest", "--symbol", "NIFTY", "--from-date", "2025-09-01"),
        ("ingest", _bars(sos, "good.csv", DAY), "--symbol", "NIFTY"),
        ("sql", "select count(*) from bars"),
        ("export", "--what", "bars", "--symbol", "NIFTY", "--from-date", "2025-09-01", "--out", "x.csv"),
    ):
        _refused(sos, *arguments, status=1, says=["market.db"])
        assert _hash(sos.home / "market.db") == before
    assert not list(sos.folder.glob("x.csv*"))


def test_a_database_of_a_newer_version(sos):
    assert sos("ingest", _bars(sos, "good.csv", DAY), "--symbol", "NIFTY")[0] == 0
    path = sos.home / "market.db"
    with sqlite3.connect(path) as database:
        database.execute("pragma user_version = 99")
    database.close()
    before = _hash(path)
    _refused(sos, "backtest", "--symbol", "NIFTY", "--from-date", "2025-09-01", status=1, says=["99", "market.db"])
    _refused(sos, "ingest", sos.folder / "good.csv", "--symbol", "NIFTY", status=1, says=["99"])
    assert _hash(path) == before


def test_a_day_whose_bytes_were_damaged(sos):
    """The day is named; the command does not go on with half of it."""
    assert sos("ingest", _bars(sos, "good.csv", DAY), "--symbol", "NIFTY")[0] == 0
    path = sos.home / "market.db"
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for _, name, kind, *_ in list(database.execute(f"pragma table_info({table})")):
                if kind.upper() == "BLOB":
                    database.execute(f"update {table} set {name} = zeroblob(length({name}))")
    database.close()
    _refused(sos, "backtest", "--symbol", "NIFTY", "--from-date", "2025-09-01", status=1, says=["2025-09-01"])


def test_what_was_stored_before_a_bad_file_is_reported(sos):
    (sos.folder / "a_good.csv").write_text(DAY)
    (sos.folder / "b_bad.csv").write_text("a,b\n1,2\n")
    status, out, err = sos("ingest", "--symbol", "NIFTY", sos.folder / "a_good.csv", sos.folder / "b_bad.csv")
    assert (status, len(err)) == (2, 1)
    assert "b_bad.csv" in err[0]
    assert out.startswith(f"{sos.folder / 'a_good.csv'}: 45 of 45 rows stored")
    status, out, _ = sos("sql", "SELECT count(*) FROM bars WHERE symbol = 'NIFTY'")
    assert "45" in out


def test_a_full_disk_while_ingesting_leaves_the_database_whole(tmp_path):
    """The child may write no file beyond some size, as on a full disk: what was stored stays, of the rest nothing."""
    home = tmp_path / "home"
    good = tmp_path / "good.csv"
    good.write_text(DAY)
    assert command("ingest", good, "--symbol", "NIFTY", home=home).returncode == 0
    count = ("sql", "select count(*), sum(close) from bars")
    before = command(*count, home=home).stdout
    size = (home / "market.db").stat().st_size
    more = tmp_path / "more.csv"
    rows = (
        f"2024-{1 + day // 28:02d}-{1 + day % 28:02d}T{9 + (15 + m) // 60:02d}:{(15 + m) % 60:02d}:00+05:30,"
        f"{20000 + (m * 7919 + day) % 977},22000,19000,{20000 + (m * 104729 + day) % 997},{m * 31337 % 1009}\n"
        for day in range(200)
        for m in range(375)
    )
    more.write_text(BARS + "".join(rows))

    def little_room():
        import signal  # noqa: PLC0415 - in the child

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40_000, size + 40_000))

    failed = command("ingest", more, "--symbol", "NIFTY", home=home, preexec_fn=little_room)
    assert failed.returncode == 1, failed.stdout
    assert "Traceback" not in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert "market.db" in failed.stderr
    assert command(*count, home=home).stdout == before
    assert command("ingest", more, "--symbol", "NIFTY", home=home).returncode == 0  # and with room it goes on


def test_a_home_that_cannot_be_made(tmp_path):
    """A file stands where the folder should be (rights do not stop a privileged user, this does)."""
    (tmp_path / "file").write_text("")
    good = tmp_path / "good.csv"
    good.write_text(DAY)
    done = command("ingest", good, "--symbol", "NIFTY", home=tmp_path / "file" / "home")
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    import subprocess  # noqa: PLC0415

    line = f"{sys.executable} {ROOT / 'run_actors.py'} validate | head -c 1; echo ${{PIPESTATUS[0]}} >&2"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_strategies_that_a_time_frame_leaves_out_are_named(tmp_path):
    done = command(
        "backtest", "--source", "simulated", "--symbol", "NIFTY", "--from-date", "2025-09-02", "--timeframe", "5m",
        "--strategies", "ema_8_21_one_sided_long,ema_cross_long", home=tmp_path,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert done.returncode == 0
    assert line.startswith("warning: strategy left out: ")
    assert "ema_8_21_one_sided_long.json" in line
