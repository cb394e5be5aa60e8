"""The code and the packages that a run's result depends on, besides its settings.

Code that trains names a run. Code that scores has a digest of its own: when it changes, kept weights are scored again
under the same name. Code that only records, draws or reports changes nothing.
"""

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from multimae.record.versions import python_version, versions

PACKAGE = "multimae"
SCORING = ("multimae.evaluation", "multimae.inference")
"""The rooms of what only scores: entered for the digest of scoring, never for that of training."""
NEUTRAL = (
    "multimae.record",
    "multimae.pictures",
    "multimae.train",
    "multimae.named",
    "multimae.options",
    "multimae.shapes",
    "multimae.tables.metrics",
    "multimae.engine.coming_back",
    "multimae.engine.failures",
    "multimae.engine.places",
    "multimae.engine.ranks",
    "multimae.engine.results",
    "multimae.engine.signals",
)
"""The rooms of what changes neither weights nor scores: how a job starts and ends, what it writes down and draws."""
NAMES_ONLY = ("multimae", "multimae.kinds")
"""Packages whose own file only lists or finds what lies in them."""
DIRECTIONS = "multimae.tables.metrics"
"""Which way a metric is better: of meaning to a training that selects its weights by one."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """The hashes of the modules that train a run and of those that only score it, by module name."""

    training: Mapping[str, str]
    scoring: Mapping[str, str]


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, the same whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def code_of(modules: Sequence[str], *, scores_train: bool = False) -> Code:
    """Return the code behind the modules that a job imports by name.

    With `scores_train` what scores counts as training: where weights are chosen, or a search goes on, by a score.
    """
    everything = _closure(modules, without=NEUTRAL)
    training = _closure(modules, without=(*NEUTRAL, *SCORING))
    if scores_train:
        return Code(training=_hashes([*everything, DIRECTIONS]), scoring={})
    return Code(training=_hashes(training), scoring=_hashes(sorted(set(everything) - set(training))))


def _closure(modules: Sequence[str], *, without: Sequence[str]) -> list[str]:
    """Name the modules of the library that these import, themselves included, leaving rooms out.

    Imports decide: a file nobody imports changes nothing.
    """
    found: set[str] = set()
    pending = list(modules)
    while pending:
        name = pending.pop()
        path = _path(name)
        if name in found or path is None or any(name == room or name.startswith(f"{room}.") for room in without):
            continue
        found.add(name)
        pending.extend(_look(path, _stamp(path)).imports)
        pending.append(name.rpartition(".")[0])  # importing a module runs its packages' __init__ first
    return sorted(found - set(NAMES_ONLY))


def _hashes(modules: Sequence[str]) -> dict[str, str]:
    paths = {name: path for name in sorted(modules) if (path := _path(name)) is not None}
    return {name: _look(path, _stamp(path)).meaning for name, path in paths.items()}


@cache
def _path(name: str) -> Path | None:
    if name.split(".")[0] != PACKAGE:
        return None
    place = _package_root().joinpath(*name.split(".")[1:])
    candidates = [place / "__init__.py"] if name == PACKAGE else [place.with_suffix(".py"), place / "__init__.py"]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@cache
def _package_root() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {PACKAGE} is not importable here")
    return Path(spec.origin).parent


@dataclass(frozen=True, kw_only=True)
class _File:
    """The modules a file imports, and a hash of its meaning: comments, docstrings and layout left out."""

    imports: tuple[str, ...]
    meaning: str


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@cache
def _look(path: Path, stamp: tuple[int, int]) -> _File:
    """Read a file; `stamp` makes the cache forget one that has changed."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    names: list[str] = []
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.append(node.module)
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
    imports = tuple(name for name in names if name.split(".")[0] == PACKAGE)
    meaning = hashlib.sha256(ast.dump(_without_docstrings(tree)).encode()).hexdigest()[:8]
    return _File(imports=imports, meaning=meaning)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, leaving out what stands under `if TYPE_CHECKING:` and never runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _executed(node)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Take out of a tree every string that stands for itself: docstrings, and texts below what they describe."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                setattr(node, field, [entry for entry in body if not _is_text(entry)])
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def environment() -> Mapping[str, str]:
    """Return the versions of Python and of the packages that act inside a job."""
    return {"python": python_version(), **versions()}
