"""Runs that are in a folder already, though a plan would name them otherwise: of earlier versions, or accepted ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from experiments.plan.fingerprint import digest
from experiments.plan.planning import Parts, new_key
from multimae.record.paths import RunDir
from multimae.record.result import Result
from multimae.record.run import PROTOCOL, Run

SCHEMA_1 = Path(__file__).with_name("schema_1.json")


@dataclass(frozen=True, kw_only=True)
class KnownRuns:
    """The runs in a suite's folder.

    With `accept_code`, a finished run stays what it is although the code that trains it has changed since; a user says
    so who knows that the change is of no meaning for it.
    """

    suite_dir: Path
    accept_code: bool = False

    def key_of(self, name: str, parts: Parts) -> str:
        """Return the key of the run of these parts: that of its folder, if it has one, else a new one."""
        key = new_key(name, parts)
        if RunDir(self.suite_dir / key).run.exists():
            return key
        same = [run for run in self._of_name(name) if self._is_same(run, parts=parts)]
        return max(same, key=lambda run: self._finished(run.key), default=Run(key=key, suite="")).key

    def _of_name(self, name: str) -> list[Run]:
        return [run for folder in self._folders.get(name, ()) if (run := Run.read(folder)) is not None]

    @cached_property
    def _folders(self) -> Mapping[str, list[Path]]:
        """List the folders by the name that their runs have without a digest."""
        found: dict[str, list[Path]] = {}
        for folder in sorted(self.suite_dir.iterdir()) if self.suite_dir.is_dir() else ():
            found.setdefault(folder.name.rpartition("-")[0], []).append(folder)
        return found

    def _is_same(self, run: Run, *, parts: Parts) -> bool:
        if any(run.digest.get(part, {}) != now for part, now in parts.items() if part != "code"):
            return False
        code = run.digest.get("code", {})
        if code == parts["code"] or (run.schema == 1 and trained_alike(code, parts["code"])):
            return True
        result = Result.read(self.suite_dir / run.key)
        if result is None:
            return False
        return self.accept_code or code_digest(parts) in {one.code for one in result.accepted}

    def _finished(self, key: str) -> float:
        result = Result.read(self.suite_dir / key)
        return result.finished if result else 0.0


def code_digest(parts: Parts) -> str:
    """Return what stands for all code that trains a run, where a user has accepted it."""
    return digest(parts["code"])[:8]


def trained_alike(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Say whether the code of a run of schema 1 trains as the code of now does.

    Schema 1 hashed whole files. The last release that wrote it trains as the first one after it, to the last bit; the
    table holds the hashes of both.
    """
    table = tables_of_schema_1()
    before, after = table["before"], table["after"]
    return all(before.get(name) == value for name, value in then.items()) and all(
        after.get(name) == value for name, value in now.items()
    )


def first_scoring(now: Mapping[str, str]) -> Mapping[str, str]:
    """Return what scores in the first release of schema 2 as in the last one of schema 1: code, module by module.

    `now` names the modules; those that were not there then are left out. Protocols were not recorded then, and are
    taken to be those of now.
    """
    protocols = {name: value for name, value in now.items() if name.startswith(PROTOCOL)}
    after = tables_of_schema_1()["after"]
    return {name: after[name] for name in now if name in after} | protocols


@cache
def tables_of_schema_1() -> Mapping[str, Mapping[str, str]]:
    """Return the hashes of the modules of the last release that wrote schema 1, and of the first one after it."""
    table: Mapping[str, Mapping[str, str]] = json.loads(SCHEMA_1.read_text("utf-8"))
    return table
