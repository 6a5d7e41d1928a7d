"""requirements.txt names what the program imports, and nothing else without a reason."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Needed though nothing imports them: data zoneinfo reads, the script of the charts.
NOT_IMPORTED = {"plotly", "tzdata"}


def named(file):
    """Distributions a requirements file names itself."""
    return {plain(name) for name in re.findall(r"^[\w-]+", (ROOT / file).read_text(), re.MULTILINE) if name != "-r"}


def plain(name):
    return name.lower().replace("_", "-")


def imported(folder):
    """Each foreign module imported under a folder, with the distributions that bring it and its own name."""
    modules = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
                modules.add(node.args[0].value.split(".")[0])
    ours = {"sos_actors", *(path.stem for path in (ROOT / folder).rglob("*.py"))}
    bring = packages_distributions()
    return {
        module: {plain(name) for name in (module, *bring.get(module, ()))}
        for module in modules - set(sys.stdlib_module_names) - ours
    }


def test_what_the_program_imports_is_required_and_nothing_else():
    required, modules = named("requirements.txt") - NOT_IMPORTED, imported("sos_actors")
    assert {module: names for module, names in modules.items() if not names & required} == {}
    assert sorted(required - {name for names in modules.values() for name in names}) == []


def test_what_the_tests_import_is_required():
    required = named("requirements.txt") | named("requirements-dev.txt")
    assert {module: names for module, names in imported("tests").items() if not names & required} == {}


def test_every_requirement_has_its_reason():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not re.search(r"# \w", line)] == []
