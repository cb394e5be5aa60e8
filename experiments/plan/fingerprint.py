"""What a run's result depends on besides its settings: the code it imports and the packages that code calls."""

import ast
import hashlib
import importlib.util
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = "multimae"
PACKAGES = ("torch", "torchvision", "timm", "onedl-mmengine", "numpy", "pillow")


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, the same whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def code_hashes(modules: Sequence[str], *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the hash of every `multimae` module that these import, themselves included, by module name.

    `without` names packages whose modules change no number; they and what they alone import are left out. Comments and
    layout count, imports decide: a file nobody imports changes nothing.
    """
    found: dict[str, str] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        path = _path(name)
        if name in found or path is None or name.startswith(tuple(f"{package}." for package in without)):
            continue
        text = path.read_bytes()
        found[name] = hashlib.sha256(text).hexdigest()[:8]
        pending.extend(_imported(path, hashlib.sha256(text).hexdigest()))
        pending.append(name.rpartition(".")[0])  # importing a module runs its packages' __init__ first
    return dict(sorted(found.items()))


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


@cache
def _imported(path: Path, content_hash: str) -> tuple[str, ...]:
    """Name the modules a file imports; `content_hash` makes the cache forget a file that changed."""
    names: list[str] = []
    for node in _executed(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.append(node.module)
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(name for name in names if name.split(".")[0] == PACKAGE)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, leaving out what stands under `if TYPE_CHECKING:` and never runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _executed(node)


@cache
def environment() -> Mapping[str, str]:
    """Return the versions of Python and of the packages that act inside a job."""
    major, minor, _ = platform.python_version_tuple()
    versions = {"python": f"{major}.{minor}"}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "missing"
    return versions
