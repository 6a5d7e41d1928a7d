"""Many strategy files to one playbook; a bad file is reported and never stops the others."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sos_actors.playbook.compiler import CompiledStrategy, compile_strategy
from sos_actors.playbook.errors import StrategyError
from sos_actors.playbook.schema import StrategyFile, parse_strategy, seconds_of
from sos_actors.quant.studies import StudySpec, StudyTable

MAX_FILE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Playbook:
    """Strategies that can run, and what was wrong with the others.

    `studies` are the studies of all strategies by time frame in seconds, in the order of their slots: a
    `StudyBook(playbook.studies[60])` computes what every one-minute strategy reads. `ignored` are those of the warnings
    that name what is written in a file and has no effect.
    """

    strategies: tuple[CompiledStrategy, ...]
    errors: tuple[StrategyError, ...]
    warnings: tuple[str, ...]
    studies: Mapping[int, tuple[StudySpec, ...]]
    ignored: tuple[str, ...] = ()

    def select(self, ids: Iterable[str]) -> Playbook:
        """Compile only the named strategies (any case), with slots for their studies alone; raises StrategyError."""
        wanted = {one.strip().lower() for one in ids}
        known = {one.id.lower() for one in self.strategies}
        for name in sorted(wanted - known):
            raise StrategyError(f"no strategy '{name}'; there are {', '.join(sorted(known)) or 'none'}")
        chosen = [(one.definition, one.file) for one in self.strategies if one.id.lower() in wanted]
        return build_playbook(chosen)

    def on_timeframe(self, timeframe: str) -> Playbook:
        """Compile the same strategies for bars of another length; raises StrategyError for an unknown one.

        A confirming time frame that is then no longer the longer one falls away.
        """
        seconds = seconds_of(timeframe)
        return build_playbook(
            (
                msgspec.structs.replace(
                    one.definition,
                    timeframe=timeframe,
                    confirm_timeframe=one.definition.confirm_timeframe if one.confirm_timeframe > seconds else "",
                ),
                one.file,
            )
            for one in self.strategies
        )


def build_playbook(definitions: Iterable[tuple[StrategyFile, str]]) -> Playbook:
    """Compile parsed strategies (with the name of the file each came from) into one playbook."""
    tables: dict[int, StudyTable] = {}
    strategies: dict[str, CompiledStrategy] = {}
    errors: list[StrategyError] = []
    warnings: list[str] = []
    for definition, file in definitions:
        # a file that fails half-way must leave no studies behind, so it is compiled on tables of its own first
        found: list[str] = []
        try:
            compile_strategy(definition, file, {}, found)
            twin = strategies.get(definition.pattern_id.lower())
            if twin:
                raise StrategyError(f"pattern_id '{definition.pattern_id}' is taken by {twin.file}", file)
            strategies[definition.pattern_id.lower()] = compile_strategy(definition, file, tables)
        except StrategyError as error:
            errors.append(error)
            continue
        warnings += [f"{file}: {one}" for one in dict.fromkeys(found)]
    studies = {seconds: table.specs for seconds, table in tables.items()}
    return Playbook(tuple(strategies.values()), tuple(errors), tuple(warnings), studies)


def load_playbook(paths: Iterable[str | Path]) -> Playbook:
    """Load files and folders (their *.json, by name). Errors and warnings are collected, not raised."""
    definitions: list[tuple[StrategyFile, str]] = []
    errors: list[StrategyError] = []
    warnings: list[str] = []
    for path in _files(paths, errors):
        file = str(path)
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise StrategyError(f"larger than {MAX_FILE_BYTES // 1024} KiB; this is no strategy", file)
            definition, found = parse_strategy(path.read_bytes().removeprefix(codecs.BOM_UTF8), file)
        except StrategyError as error:
            errors.append(error)
            continue
        except OSError as error:
            errors.append(StrategyError(f"cannot be read: {error.strerror}", file))
            continue
        warnings += [f"{file}: {one}" for one in found]
        definitions.append((definition, file))
    built = build_playbook(definitions)
    said = (*warnings, *built.warnings)
    return Playbook(built.strategies, (*errors, *built.errors), said, built.studies, tuple(warnings))


def _files(paths: Iterable[str | Path], errors: list[StrategyError]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(path.glob("*.json"))
        elif path.exists():
            found.append(path)
        else:
            errors.append(StrategyError("there is no such file or folder", str(path)))
    return list(dict.fromkeys(found))
