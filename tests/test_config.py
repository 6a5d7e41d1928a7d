"""config.yaml says all there is to set, with its defaults; and a bad file is one line that names file and key."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from sos_actors.config import Config, load_config
from sos_actors.errors import InputError

FILE = Path(__file__).parents[1] / "config.yaml"


def flat(value, at=""):
    """Every dotted key with its value; lists are values."""
    if not isinstance(value, dict):
        return {at: value}
    parts = [flat(inner, f"{at}.{name}" if at else name) for name, inner in value.items()]
    return {key: one for part in parts for key, one in part.items()}


def defaults():
    return flat(msgspec.to_builtins(Config(), builtin_types=()))


def written():
    return flat(yaml.load(FILE.read_text(), yaml.BaseLoader))


def load(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(path)


def refused(tmp_path, text):
    """What is said about a bad file, without the file's name, which must come first."""
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    name, _, problem = str(caught.value).partition("mine.yaml: ")
    assert name == f"{tmp_path}/"
    assert "\n" not in problem
    return problem


# === the file ===================================================================================================


def test_every_key_stands_in_the_file_and_no_other():
    assert sorted(written()) == sorted(defaults())


def test_the_file_holds_the_defaults():
    assert load_config(FILE) == Config()
    assert load_config(FILE).fingerprint() == load_config(None).fingerprint()
    assert flat(msgspec.to_builtins(load_config(FILE))) == defaults()


def test_every_key_says_what_it_means():
    silent = [
        line
        for line in FILE.read_text().splitlines()
        if re.match(r"\s*\w+: *[^#\s]", line) and "  #" not in line and " # " not in line
    ]
    assert silent == []


def test_a_changed_value_is_read_and_changes_the_fingerprint(tmp_path):
    mine = load(tmp_path, "risk:\n  daily_loss: 0.02\norders:\n  exits: {square_off: null}\n")
    assert (mine.risk.daily_loss, mine.orders.exits.square_off) == (0.02, None)
    assert mine.risk.open_positions == Config().risk.open_positions
    assert mine.fingerprint() != Config().fingerprint()


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n", "---\n", "{}"])
def test_an_empty_file_gives_the_defaults(tmp_path, text):
    assert load(tmp_path, text) == Config()


def test_no_file_gives_the_defaults():
    assert load_config(None) == Config()


# === bad files ==================================================================================================


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("risk:\n  dayly_loss: 0.03", "risk.dayly_loss: unknown key; did you mean daily_loss?"),
        ("rsk: {}", "rsk: unknown key; did you mean risk?"),
        ("zzz: 1", "zzz: unknown key; config.yaml of the project lists the keys"),
        (
            "orders:\n  exits:\n    breakeven_at: 1",
            "orders.exits.breakeven_at: unknown key; did you mean break_even_at?",
        ),
    ],
)
def test_unknown_key(tmp_path, text, problem):
    assert refused(tmp_path, text) == problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("risk:\n  daily_loss: three", "risk.daily_loss: Expected `float`, got `str`"),
        ("risk:\n  open_positions: 1.5", "risk.open_positions: Expected `int`, got `float`"),
        ("risk:\n", "risk: Expected `object`, got `null`"),
        ("backtest: [1, 2]", "backtest: Expected `object`, got `array`"),
        ("just words", "Expected `object`, got `str`"),
        ("debounce: {mode: swing}", "debounce.mode: Invalid enum value 'swing'"),
        ("debounce: {seconds: [30]}", "debounce.seconds: Expected `array` of length 2, got 1"),
        (
            "orders: {exits: {square_off: 15:15}}",
            'orders.exits.square_off: Expected `str | null`, got `int`; put it in quotes, e.g. "15:15"',
        ),
        ("simulated_market: {anchor: yesterday}", "simulated_market.anchor: Expected `date`, got `str`"),
    ],
)
def test_wrong_type(tmp_path, text, problem):
    assert refused(tmp_path, text) == problem


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("account: {capital: 0}", "account.capital"),
        ("backtest: {warmup_days: -1}", "backtest: write warmup_days"),
        ("bars: {hole_s: -1}", "bars.hole_s"),
        ("chain: {wall_strikes: 0}", "chain.wall_strikes"),
        ("chain: {gap_minutes: -1}", "chain.gap_minutes"),
        ("chain: {matrix: {hold: 2.0}}", "chain.matrix.hold"),
        ("chain: {regime: {pcr_full: 0.9}}", "chain.regime.pcr_full"),
        ("chain: {regime: {sideways: 0.5}}", "chain.regime: write 0 < sideways"),
        ("structure: {pivot_left: 0}", "structure: pivot_left"),
        ("selection: {max_spread: -0.1}", "selection.max_spread"),
        ("selection: {levels: {premium_stop: [0.1, 1.5]}}", "selection.levels.premium_stop"),
        ("selection: {ranking: {steps: [-1, 3]}}", "selection.ranking.steps"),
        ("sizing: {risk_cap: -1}", "sizing.risk_cap"),
        ("sizing: {risk_fraction: 1.5}", "sizing.risk_fraction"),
        ("debounce: {seconds: [-1, 2]}", "debounce.seconds"),
        ("risk: {cooldown_s: -1}", "risk.cooldown_s"),
        ("risk: {daily_loss: 3}", "risk.daily_loss"),
        ("risk: {last_entry: '25:00'}", "risk.last_entry: time of day '25:00'"),
        ("orders: {entry_order: STOP}", "orders.entry_order"),
        ("orders: {entry_patience_s: -1}", "orders.entry_patience_s"),
        ("orders: {exits: {time_stop_min: 0}}", "orders.exits.time_stop_min"),
        ("orders: {exits: {square_off: 'noon'}}", "orders.exits.square_off: time of day 'noon'"),
        ("paper: {slippage_ticks: -1}", "paper.slippage_ticks"),
        ("paper: {volume_cap: 10}", "paper.volume_cap"),
        ("charges: {brokerage_per_order: -20}", "charges.brokerage_per_order"),
        ("simulated_market: {trend_days: 1.5}", "simulated_market.trend_days"),
        ("simulated_market: {trend_days: 0.8}", "simulated_market: trend_days and range_days"),
        ("simulated_market: {strikes_each_side: 0}", "simulated_market.strikes_each_side"),
        ("simulated_market: {vix_vol: -1}", "simulated_market.vix_vol"),
        ("simulated_market: {indices: {DAX: {}}}", "simulated_market.indices ['DAX']"),
        ("simulated_market: {indices: {NIFTY: {loading: 2}}}", "simulated_market.indices[...]: loading is 2.0"),
        ("risk: {daily_loss: .nan}", "risk.daily_loss is nan: write a finite number"),
        ("sizing: {risk_cap: .inf}", "sizing.risk_cap is inf: write a finite number"),
        ("selection: {ranking: {max_spread: [0.1, .inf]}}", "selection.ranking.max_spread is inf"),
    ],
)
def test_value_that_makes_no_sense(tmp_path, text, key):
    assert refused(tmp_path, text).startswith(key)


def test_invalid_yaml_names_the_line(tmp_path):
    assert re.match("not valid YAML: .*line 2", refused(tmp_path, "risk:\n\tdaily_loss: 0.03\n"))
    assert refused(tmp_path, b"\xff\xfe\xff").startswith("not valid YAML")
    assert refused(tmp_path, "a: &a [*a]").startswith("not valid YAML")
    assert refused(tmp_path, "risk: {}\n---\nrisk: {}").startswith("not valid YAML")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("risk: {daily_loss: 0.01}\nsizing: {}\nrisk: {}\n", "'risk' stands in line 1 and again in line 3: keep one"),
        ("risk:\n  cooldown_s: 1\n  cooldown_s: 2\n", "'cooldown_s' stands in line 2 and again in line 3: keep one"),
    ],
)
def test_a_key_written_twice(tmp_path, text, problem):
    assert refused(tmp_path, text) == problem


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none.yaml: cannot be read: No such file or directory; give .* --config"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
