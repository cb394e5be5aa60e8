"""Who imports whom: no circle between modules, and no file that import-linter does not see."""

import configparser
import subprocess
from pathlib import Path

import grimp
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
SETTINGS = ROOT / ".importlinter"
OTHERS = ("tests/", "docs/")
"""Folders of Python that is no part of the house: nothing imports it."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Imports inside functions count, and those that only a type checker sees."""
    return grimp.build_graph(*linted(), cache_dir=None)


def linted() -> list[str]:
    settings = configparser.ConfigParser()
    settings.read(SETTINGS, "utf-8")
    return settings["importlinter"]["root_packages"].split()


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """List the sets of modules of which each imports each, directly or through others."""
    modules = sorted(graph.modules)
    place = {module: index for index, module in enumerate(modules)}
    arrows = [
        (place[importer], place[imported])
        for importer in modules
        for imported in graph.find_modules_directly_imported_by(importer)
    ]
    rows, columns = np.array(arrows).reshape(-1, 2).T
    matrix = csr_array((np.ones(len(arrows)), (rows, columns)), shape=(len(modules), len(modules)))
    num, label = connected_components(matrix, connection="strong")
    groups = [[module for module, own in zip(modules, label, strict=True) if own == group] for group in range(num)]
    return [group for group in groups if len(group) > 1]


def test_no_modules_import_each_other(graph: grimp.ImportGraph) -> None:
    # import-linter's contract compares siblings: it cannot see a circle between a package and a module inside it.
    found = circles(graph)
    assert not found, "\n".join(f"these import each other: {', '.join(group)}" for group in found)


def test_a_circle_is_found_and_named() -> None:
    changed = grimp.ImportGraph()
    for importer, imported in (("a", "a.b"), ("a.b", "c"), ("c", "a"), ("c", "d")):
        changed.add_import(importer=importer, imported=imported)
    assert circles(changed) == [["a", "a.b", "c"]]


def test_import_linter_sees_every_file(graph: grimp.ImportGraph) -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [path for path in listed.stdout.splitlines() if not path.startswith(OTHERS)]
    assert files
    unseen = [path for path in files if module_of(path) not in graph.modules]
    assert not unseen, f"{unseen[0]} is in no package of {SETTINGS.name}: add an __init__.py beside it, or its folder"


def module_of(path: str) -> str:
    return ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")
