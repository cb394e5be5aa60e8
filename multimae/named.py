"""Find a module by its name in a folder of modules, and say which ones there are where it is none of them. No torch."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from multimae.record.nearest import unknown


def modules_in(folder: Path) -> list[str]:
    """Name the modules that lie in a folder."""
    return [module.name for module in iter_modules([str(folder)])]


def module_named(name: str, *, package: str, folder: Path, what: str) -> ModuleType:
    """Import the module `name` of a package; an unknown name is an error that lists the known ones, nearest first."""
    known = modules_in(folder)
    if name not in known:
        raise ValueError(unknown(what, name, known))
    return import_module(f"{package}.{name}")
