"""The rules of the house, read from the tree itself: floors, determinism, sizes, names, messages."""

import ast
import importlib
import os
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import sos_actors.messages
from sos_actors.messages import Message

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sos_actors"
MODULES = sorted(PACKAGE.rglob("*.py"))

# --- floors: what each package or top module may import, besides itself ----------------------------------

GROUND = {"errors", "decoding", "messages"}
CORE = GROUND | {"market", "quant", "playbook", "trading"}
BELOW_EDGES = CORE | {"runtime", "actors"}
EDGES = {"storage", "sources", "reports", "sandbox", "upstox", "control", "alerts", "metrics", "web"}
FLOORS: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "decoding": set(),
    "logs": GROUND,
    "messages": {"errors", "decoding"},
    "market": GROUND,
    "quant": GROUND | {"market"},
    "playbook": GROUND | {"market", "quant"},
    "trading": GROUND | {"market", "quant"},
    "runtime": GROUND,
    "actors": CORE | {"runtime"},
    "storage": BELOW_EDGES,
    "sandbox": BELOW_EDGES,
    "upstox": BELOW_EDGES | {"logs"},
    "control": GROUND,
    "alerts": BELOW_EDGES | {"logs"},
    "metrics": BELOW_EDGES | {"control"},
    "reports": BELOW_EDGES | {"control"},
    "sources": BELOW_EDGES | {"storage", "sandbox", "upstox"},
    "web": BELOW_EDGES | {"control", "storage", "reports"},
    "config": CORE | {"runtime", "alerts", "metrics", "sandbox", "sources", "upstox", "web", "logs"},
    "assembly": BELOW_EDGES | {"config"},
    "snapshots": BELOW_EDGES | {"sources", "config", "assembly"},
    "backtest": BELOW_EDGES | {"sources", "reports", "config", "assembly"},
    "daemon": BELOW_EDGES | EDGES | {"config", "assembly", "logs", "snapshots"},
    "storm": BELOW_EDGES | {"storage", "sandbox", "upstox", "config", "assembly", "daemon"},
    "cli": BELOW_EDGES | EDGES | {"config", "assembly", "backtest", "snapshots", "daemon", "logs", "storm"},
}

# --- determinism: who may touch the world, and what the others may not name -------------------------------

TOUCH_THE_WORLD = {
    "runtime",
    "storage",
    "sources",
    "sandbox",
    "upstox",
    "control",
    "alerts",
    "metrics",
    "web",
    "daemon",
    "storm",
    "cli",
}
BANNED_MODULES = ("random", "secrets", "threading", "uuid", "numpy.random")
BANNED_NAMES = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "asyncio.sleep",
    "os.urandom",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
#: Of numpy.random only what takes its seed from outside; `default_rng()` without one is caught by itself.
SEEDED = {"numpy.random.Generator", "numpy.random.default_rng", "numpy.random.SeedSequence", "numpy.random.PCG64"}
KEEPS_ORDER = {"list", "tuple", "enumerate", "iter", "map", "filter", "zip", "reversed"}
SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
ESCAPE = re.compile(r"#\s*nondeterministic:\s*\w+")

# --- sizes ------------------------------------------------------------------------------------------------

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
#: Modules that may be longer: path under sos_actors -> reason.
LONG_MODULES: dict[str, str] = {}
#: Functions that may be longer: 'path::name' -> reason.
LONG_FUNCTIONS: dict[str, str] = {}

# --- names ------------------------------------------------------------------------------------------------

NO_SUBJECT = {"utils", "util", "helpers", "helper", "misc", "common"}
#: First words of commands; every other message is an event: past tense, or one of the nouns.
IMPERATIVES = {
    "Advance",
    "Cancel",
    "Check",
    "Flatten",
    "Modify",
    "Read",
    "Reinstate",
    "Send",
    "Set",
    "Settle",
    "Submit",
    "Subscribe",
    "Unsubscribe",
}
NOUNS = {
    "Bar",
    "ChainFrame",
    "ChainSnapshot",
    "ExchangeBar",
    "FeedStatus",
    "Fill",
    "MarketStructure",
    "OrderIntent",
    "OrderUpdate",
    "SessionPhase",
    "Signal",
    "Studies",
    "Tick",
    "TradePlan",
}
IRREGULAR_PAST = (
    "Begun",
    "Chosen",
    "Gone",
    "Held",
    "Kept",
    "Left",
    "Lost",
    "Made",
    "Met",
    "Read",
    "Sent",
    "Set",
    "Won",
)

# --- text -------------------------------------------------------------------------------------------------

# Put together here, so that this file does not hold what it looks for.
MACHINE_PATHS = ["/" + name for name in ("work/", "tmp/", "root/")]
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
NOT_OURS = {
    ".git",
    ".venv",
    "var",
    "peers-venvs",
    "peers-data",
    "dist",
    "build",
    "node_modules",
    "__pycache__",
    ".pytest_cache",
    ".hypothesis",
    ".mypy_cache",
    ".ruff_cache",
}
TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".txt",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".sh",
    ".js",
    ".ts",
    ".css",
    ".html",
    ".service",
    ".sql",
    ".cfg",
    ".ini",
    "",
}


def floor_of(path: Path) -> str:
    """Package or top module a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imported(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported; relative imports resolved within `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def upward_imports(source: str, floor: str, package: str) -> list[str]:
    """Imports of ours that the floor does not allow."""
    wrong = []
    for line, name in imported(ast.parse(source), package):
        parts = name.split(".")
        if parts[0] != "sos_actors" or len(parts) < 2 or parts[1] == "__version__":
            continue
        if parts[1] != floor and parts[1] not in FLOORS[floor]:
            wrong.append(f"line {line}: {floor} may not import {name}")
    return wrong


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Local name -> what it stands for, e.g. dt -> datetime."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str:
    """Full name of an expression such as `dt.datetime.now`; '' when it does not start at an import."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in aliases:
        return ""
    return ".".join([aliases[node.id], *reversed(parts)])


def _is_set(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, SET_OPERATORS):
        return _is_set(node.left) or _is_set(node.right)
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    return called or isinstance(node, (ast.Set, ast.SetComp))


def _iterates_a_set(node: ast.AST) -> bool:
    if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        return _is_set(node.iter)
    if isinstance(node, ast.Starred):
        return _is_set(node.value)
    if isinstance(node, ast.Call) and any(map(_is_set, node.args)):
        ordered = isinstance(node.func, ast.Name) and node.func.id in KEEPS_ORDER
        return ordered or (isinstance(node.func, ast.Attribute) and node.func.attr in {"join", "extend"})
    return False


def _banned(node: ast.AST, aliases: dict[str, str]) -> str:
    """What is wrong with a node; '' when nothing is."""
    if _iterates_a_set(node):
        return "iteration over a set has no order: sort it"
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id == "hash":
            return "hash() differs between processes"
        if _dotted(node.func, aliases) == "numpy.random.default_rng" and not (node.args or node.keywords):
            return "numpy.random.default_rng() without a seed"
    if isinstance(node, (ast.Attribute, ast.Name)) and isinstance(node.ctx, ast.Load):
        name = _dotted(node, aliases)
        module = next((module for module in BANNED_MODULES if name.startswith(f"{module}.")), "")
        if name in BANNED_NAMES or (module and not any(f"{name}.".startswith(f"{good}.") for good in SEEDED)):
            return name
    return ""


def nondeterminism(source: str) -> list[str]:
    """Uses of the clock, chance, threads and unordered sets that no `# nondeterministic: reason` explains."""
    tree, lines = ast.parse(source), source.splitlines()
    aliases = _aliases(tree)
    wrong: list[str] = []
    for node in ast.walk(tree):
        reason = _banned(node, aliases)
        place = node.iter if isinstance(node, ast.comprehension) else node
        first = getattr(place, "lineno", 0)
        if reason and not any(ESCAPE.search(line) for line in lines[first - 1 : getattr(place, "end_lineno", first)]):
            wrong.append(f"line {first}: {reason}")
    return wrong


def long_functions(source: str) -> dict[str, int]:
    """Functions over the agreed length and their lines."""
    nodes = ast.walk(ast.parse(source))
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    return {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES}


def our_texts() -> Iterator[Path]:
    """Every text file of the project."""
    for folder, names, files in os.walk(ROOT):
        names[:] = sorted(set(names) - NOT_OURS)
        for file in sorted(files):
            path = Path(folder) / file
            if path.suffix in TEXT_SUFFIXES and file != ".git":  # in a worktree .git is a file
                yield path


def message_classes() -> list[type[Message]]:
    for module in pkgutil.iter_modules(sos_actors.messages.__path__):
        importlib.import_module(f"sos_actors.messages.{module.name}")
    found, todo = [], [Message]
    while todo:
        subclasses = todo.pop().__subclasses__()
        todo += subclasses
        found += [kind for kind in subclasses if kind.__module__.startswith("sos_actors.")]
    return sorted(found, key=lambda kind: kind.__name__)


# === the rules ============================================================================================


def test_imports_point_down():
    wrong = []
    for path in MODULES:
        floor = floor_of(path)
        assert floor in FLOORS, f"{name_of(path)}: give '{floor}' its floor in FLOORS"
        package = ".".join(["sos_actors", *path.relative_to(PACKAGE).parts[:-1]])
        wrong += [f"{name_of(path)} {text}" for text in upward_imports(path.read_text(), floor, package)]
    assert not wrong, "\n".join(wrong)


def test_floors_have_no_circle():
    standing: set[str] = set()
    while len(standing) < len(FLOORS):
        ready = {floor for floor, below in FLOORS.items() if floor not in standing and below <= standing}
        assert ready, f"these import each other: {sorted(set(FLOORS) - standing)}"
        standing |= ready


def test_types_are_decoded_in_one_place():
    """Two threads that are the first to decode a type crash the process, but there."""
    wrong = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            typed = name.endswith("decode") and any(word.arg == "type" for word in call.keywords)
            if name.startswith("msgspec.") and (typed or name.endswith((".convert", ".Decoder"))):
                wrong.append(f"{name_of(path)} line {call.lineno}: {name}")
    assert {text.split()[0] for text in wrong} == {"decoding.py"}, "\n".join(wrong)


def test_nothing_inside_depends_on_clock_chance_threads_or_set_order():
    inside = [path for path in MODULES if floor_of(path) not in TOUCH_THE_WORLD]
    wrong = [f"{name_of(path)} {text}" for path in inside for text in nondeterminism(path.read_text())]
    assert not wrong, "\n".join(wrong)


def test_modules_have_a_size_one_can_read():
    long = {name_of(path) for path in MODULES if len(path.read_text().splitlines()) > MAX_MODULE_LINES}
    assert long - set(LONG_MODULES) == set(), f"over {MAX_MODULE_LINES} lines: split by subject"
    assert set(LONG_MODULES) - long == set(), "no longer long: take them off LONG_MODULES"


def test_functions_fit_a_screen():
    long = {f"{name_of(path)}::{name}" for path in MODULES for name in long_functions(path.read_text())}
    assert long - set(LONG_FUNCTIONS) == set(), f"over {MAX_FUNCTION_LINES} lines: take them apart"
    assert set(LONG_FUNCTIONS) - long == set(), "no longer long: take them off LONG_FUNCTIONS"


def test_every_module_has_a_subject():
    assert [name_of(path) for path in MODULES if path.stem in NO_SUBJECT] == []


def test_no_paths_of_a_machine_and_nothing_unfinished():
    wrong = []
    for path in our_texts():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if any(part in line for part in MACHINE_PATHS) or UNFINISHED.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", message_classes(), ids=lambda kind: kind.__name__)
def test_message(kind):
    config = kind.__struct_config__
    assert config.frozen
    assert config.tag == kind.__name__
    assert config.array_like
    assert "->" in (kind.__dict__.get("__doc__") or ""), "the docstring says: sender -> receiver"
    assert kind.__module__.startswith("sos_actors.messages."), "messages live in sos_actors/messages"
    assert getattr(sos_actors.messages, kind.__name__) is kind
    assert kind.__name__ in sos_actors.messages.__all__


@pytest.mark.parametrize("name", [kind.__name__ for kind in message_classes()])
def test_commands_are_imperative_and_events_past_tense(name):
    first, *_ = re.findall(r"[A-Z][a-z]*", name)
    past = name.endswith(("ed", *IRREGULAR_PAST))
    assert (first in IMPERATIVES) + (name in NOUNS) + (past and first not in IMPERATIVES) == 1


def test_lists_of_names_hold_no_strangers():
    names = {kind.__name__ for kind in message_classes()}
    assert not NOUNS - names
    assert [verb for verb in sorted(IMPERATIVES) if not any(name.startswith(verb) for name in names)] == []


def test_settings_are_frozen_and_strict():
    """Every `...Settings` Struct refuses unknown keys, cannot be changed, and has a default for every field."""
    wrong = []
    for path in MODULES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
                module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                kind = getattr(module, node.name)
                config = kind.__struct_config__
                required = [field.name for field in msgspec.structs.fields(kind) if field.required]
                if not (config.frozen and config.forbid_unknown_fields) or required:
                    wrong.append(f"{name_of(path)}::{node.name} {required or 'must be frozen, forbid_unknown_fields'}")
    assert not wrong, "\n".join(wrong)


# === the rules catch what they are there to catch ===========================================================


@pytest.mark.parametrize(
    ("source", "floor"),
    [
        ("from sos_actors.actors.clock import ClockActor", "market"),
        ("import sos_actors.trading.ledger", "playbook"),
        ("from sos_actors import storage", "quant"),
        ("def f():\n    from sos_actors.cli import main", "reports"),
        ("from sos_actors.market.ids import parse_id", "runtime"),
        ("from ..trading import ledger", "market"),
    ],
)
def test_catches_an_upward_import(source, floor):
    assert len(upward_imports(source, floor, f"sos_actors.{floor}")) == 1


@pytest.mark.parametrize(
    ("source", "floor"),
    [
        ("from sos_actors.messages import Bar", "market"),
        ("from sos_actors import __version__", "cli"),
        ("from .ids import parse_id", "market"),
        ("import numpy", "errors"),
    ],
)
def test_allows_a_downward_import(source, floor):
    assert upward_imports(source, floor, f"sos_actors.{floor}") == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\nx = time.time()",
        "from time import time as clock\nx = clock()",
        "import datetime as dt\nx = dt.datetime.now(dt.UTC)",
        "from datetime import date\nx = date.today()",
        "import random\nx = random.random()",
        "from random import choice\nx = choice([1])",
        "import numpy as np\nx = np.random.normal()",
        "import numpy as np\nx = np.random.default_rng()",
        "import uuid\nx = uuid.uuid4()",
        "import threading\nlock = threading.Lock()",
        "import asyncio\nasync def f(): await asyncio.sleep(1)",
        "x = hash('a')",
        "for x in {1, 2}: pass",
        "y = [x for x in set(z)]",
        "y = list({x for x in z})",
        "for x in set(a) - b: pass",
        "y = ','.join(set(a))",
        "y = [*frozenset(a)]",
        "for x in {1, 2}: pass  # nondeterministic:",
    ],
)
def test_catches_nondeterminism(source):
    assert nondeterminism(source)


@pytest.mark.parametrize(
    "source",
    [
        "for x in sorted({1, 2}): pass",
        "y = x in {1, 2}",
        "y = len(set(z))",
        "import numpy as np\nx = np.random.default_rng(7)",
        "import numpy as np\ndef f(rng: np.random.Generator) -> float: return rng.normal()",
        "import datetime as dt\nx = dt.datetime.fromtimestamp(0, dt.UTC)",
        "import time\nx = time.time()  # nondeterministic: only shown to the operator",
        "y = clock.now() + self.time.time()",
    ],
)
def test_allows_what_is_deterministic(source):
    assert nondeterminism(source) == []


def test_catches_a_long_function():
    body = textwrap.indent("x = 1\n" * MAX_FUNCTION_LINES, "    ")
    assert long_functions(f"def f():\n{body}") == {"f": MAX_FUNCTION_LINES + 1}
    assert long_functions("def f():\n    x = 1") == {}


def test_catches_unfinished_work_and_machine_paths():
    assert UNFINISHED.search("# TO" + "DO: later")
    assert not UNFINISHED.search("methodology")
    assert any(part in "see /" + "tmp/x" for part in MACHINE_PATHS)
    assert any(path.name == "pyproject.toml" for path in our_texts())
