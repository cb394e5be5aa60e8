"""Names that mean one thing each: results of two things under one name would be averaged, or one would be lost."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import fields
from typing import Any

from multimae.record.nearest import unknown
from multimae.record.text import printable
from multimae.tables.modalities import MODALITIES

MOST_BYTES = 200
"""File systems take 255; a digest and the names of temporary files are added to a run's."""
TAKEN = {"pseudo-label": "the labellings of `multimae data pseudo-label`", "demo": "the pages of `multimae demo`"}
"""Folders of a runs folder that are no suite's."""


def check_folder_name(name: str, *, what: str) -> None:
    """Raise ValueError unless a folder of the runs folder may be called so."""
    if not name or name.startswith(".") or "/" in name or printable(name) != name or set(name) & {"\n", "\t"}:
        raise ValueError(
            f"{what} {name!r} would be the name of a folder: wanted one without a slash or control character, that "
            "does not begin with a dot"
        )
    if len(name.encode()) > MOST_BYTES:
        raise ValueError(f"{what} {name!r} would be the name of a folder: wanted at most {MOST_BYTES} bytes")
    if name in TAKEN:
        raise ValueError(f"{what} {name!r}: the folder of this name holds {TAKEN[name]}; choose another name")


def check_modalities(names: Sequence[str], *, where: str) -> None:
    """Raise ValueError unless these are different modalities."""
    if isinstance(names, str):
        raise ValueError(f"{where} are {names!r}, wanted a tuple of modalities, such as ({names!r},)")
    if strange := [name for name in names if name not in MODALITIES]:
        raise ValueError(f"{where}: {unknown('modality', strange[0], MODALITIES)}")
    check_different(names, what=where)


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise ValueError unless these are different whole numbers from 0."""
    if len(set(seeds)) != len(seeds) or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ValueError(f"seeds are {seeds}, wanted different whole numbers from 0, such as (0, 1, 2)")


def check_different(names: Iterable[Hashable], *, what: str) -> None:
    """Raise ValueError if anything is named twice."""
    seen: set[Hashable] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what}: {name!r} is there twice")
        seen.add(name)


def check_one_meaning(named: Iterable[tuple[str, Any, str]], *, what: str, remedy: str) -> None:
    """Raise ValueError where one name stands for two things; each comes with its name and where it is."""
    first: dict[str, tuple[Any, str]] = {}
    for name, thing, where in named:
        other, elsewhere = first.setdefault(name, (thing, where))
        if other != thing:
            raise ValueError(
                f"two {what}s are called {name!r}: that of {elsewhere} and that of {where} differ in "
                f"{_difference(other, thing)}; {remedy}"
            )


def _difference(one: Any, other: Any) -> str:
    """Say in which fields two things differ, as `lr (0.001 and 0.002)`."""
    if type(one) is not type(other):
        return f"kind ({type(one).__name__} and {type(other).__name__})"
    found = []
    for field in fields(one):
        mine, its = getattr(one, field.name), getattr(other, field.name)
        if mine == its:
            continue
        if field.name == "recipes":
            shared = [profile for profile in mine if profile in its and mine[profile] != its[profile]]
            found += [_difference(mine[shared[0]], its[shared[0]])] if shared else ["profiles"]
        else:
            found.append(f"{field.name} ({_short(mine)} and {_short(its)})")
    return ", ".join(found)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
