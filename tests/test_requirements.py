"""requirements.txt names what the program imports, and nothing else without a reason."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Needed though nothing imports them: data zoneinfo reads; the broker's SDK and the version of its HTTP library.
NOT_IMPORTED = {"tzdata", "upstox-python-sdk", "urllib3"}


def named(file):
    """Distributions a requirements file names itself."""
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for line in lines if line and not line.startswith("-")}


def imported(*folders):
    """Distributions that the modules under some folders import."""
    modules = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(node.module.split(".")[0])
    foreign = modules - set(sys.stdlib_module_names) - {path.stem for path in ROOT.rglob("*.py")} - {"sos_actors"}
    known = packages_distributions()
    return {name.lower().replace("_", "-") for module in foreign for name in known.get(module, [module])}


def test_what_the_program_imports_is_required():
    assert imported("sos_actors") == named("requirements.txt") - NOT_IMPORTED


def test_what_the_tests_import_is_required():
    wanted = imported("tests")
    assert sorted(wanted - named("requirements.txt") - named("requirements-dev.txt")) == []


def test_every_requirement_has_its_reason():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not re.search(r"# \w", line)] == []
