"""Search spaces: Optuna distributions under the names of recipe fields, in modules of `search_spaces/` or any file."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from benchmarks.ranges import wrong_together, wrong_values
from benchmarks.recipes import Recipe
from experiments.plan.errors import UsageError, unknown
from experiments.plan.modules import load_module

SPACES_DIR = Path(__file__).parents[1] / "search_spaces"


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One field of a recipe to search over; `when` maps earlier fields to the values it is searched for."""

    distribution: BaseDistribution
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Say whether the field is searched over, given what was chosen before it."""
        return all(values.get(name) in allowed for name, allowed in self.when.items())


@dataclass(frozen=True, kw_only=True)
class Space:
    """Dimensions in the order they are chosen in; fields that a trial leaves out keep the recipe's value."""

    name: str
    dimensions: Mapping[str, Dimension]

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """Let a trial choose the value of every field that applies."""
        values: dict[str, Any] = {}
        for name, dimension in self.dimensions.items():
            if dimension.applies(values):
                values[name] = _suggest(trial, name, dimension.distribution)
        return values

    def own_values(self, recipe: Recipe) -> dict[str, Any]:
        """Return the recipe's own values, the first trial; those outside of the space are an error."""
        values: dict[str, Any] = {}
        for name, dimension in self.dimensions.items():
            if dimension.applies(values):
                values[name] = _within(getattr(recipe, name), name=name, distribution=dimension.distribution)
        return values


def only_if(distribution: BaseDistribution, **when: Any) -> Dimension:
    """Search over a field only where other fields have these values: `only_if(Int(1, 12), tuning="partial")`."""
    allowed = {name: value if isinstance(value, tuple) else (value,) for name, value in when.items()}
    return Dimension(distribution=distribution, when=MappingProxyType(allowed))


def load_space(name: str, *, recipe: Recipe) -> Space:
    """Return the SPACE of `search_spaces/<name>.py` or of the Python file at that path, checked against the recipe."""
    path = Path(name) if name.endswith(".py") else SPACES_DIR / f"{name.replace('-', '_')}.py"
    known = sorted(file.stem.replace("_", "-") for file in SPACES_DIR.glob("*.py") if file.stem != "__init__")
    if not path.is_file() and not name.endswith(".py"):
        raise unknown("search space", name, known)
    written = getattr(load_module(path, kind="space"), "SPACE", None)
    if not isinstance(written, Mapping) or not written:
        raise UsageError(f"{path} defines no SPACE = {{field: distribution, ...}}; it has {type(written).__name__}")
    dimensions = {
        name: item if isinstance(item, Dimension) else Dimension(distribution=item) for name, item in written.items()
    }
    for position, (field_name, dimension) in enumerate(dimensions.items()):
        earlier = list(dimensions)[:position]
        _check(field_name, dimension, recipe=recipe, earlier=earlier, path=path)
    _check_ranges(dimensions, recipe=recipe, path=path)
    return Space(name=path.stem.replace("_", "-"), dimensions=MappingProxyType(dimensions))


def _check(name: str, dimension: Dimension, *, recipe: Recipe, earlier: list[str], path: Path) -> None:
    known = [known.name for known in fields(recipe)]
    if name not in known:
        raise unknown(f"field of {type(recipe).__name__}", name, known)
    kind = get_type_hints(type(recipe))[name]
    wanted = _wanted(kind)
    if not isinstance(dimension.distribution, wanted):
        got = type(dimension.distribution).__name__
        listed = " or ".join(kind.__name__ for kind in wanted)
        raise UsageError(f"{path}: {name} is a {kind} searched over by a {got}; wanted {listed}")
    if isinstance(dimension.distribution, CategoricalDistribution):
        _check_choices(name, dimension.distribution, kind=kind, path=path)
    if late := [other for other in dimension.when if other not in earlier]:
        raise UsageError(f"{path}: {name} depends on {late[0]!r}, which is not searched over before it")


def _check_ranges(dimensions: Mapping[str, Dimension], *, recipe: Recipe, path: Path) -> None:
    """Raise UsageError where a trial could choose what no recipe may hold, of a field alone or beside another."""
    lows, highs = asdict(recipe), asdict(recipe)
    for name, dimension in dimensions.items():
        lows[name], highs[name] = _reaches(lows[name], dimension)
        for value in _ends(dimension.distribution):
            for said in wrong_values(type(recipe), {name: value}):
                raise UsageError(f"{path}: the space reaches {value!r}: {said}")
    for said in wrong_together(type(recipe), lows=lows, highs=highs):
        raise UsageError(f"{path}: a trial of the space, with the recipe's other values, could not be trained: {said}")


def _reaches(value: Any, dimension: Dimension | None) -> tuple[Any, Any]:
    """Return the lowest and the highest value of a field: the recipe's, or where its dimension ends."""
    if dimension is None:
        return value, value
    ends = _ends(dimension.distribution)
    if not all(isinstance(end, int | float) for end in ends):
        return value, value
    return min(ends), max(ends)


def _ends(distribution: BaseDistribution) -> tuple[Any, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low, distribution.high


def _wanted(kind: Any) -> tuple[type[BaseDistribution], ...]:
    if kind is float:
        return (FloatDistribution, CategoricalDistribution)
    if kind is int:
        return (IntDistribution, CategoricalDistribution)
    return (CategoricalDistribution,)


def _check_choices(name: str, distribution: CategoricalDistribution, *, kind: Any, path: Path) -> None:
    allowed = get_args(kind) if get_origin(kind) is Literal else None
    if allowed is not None and (wrong := [choice for choice in distribution.choices if choice not in allowed]):
        raise UsageError(f"{path}: {name} has no value {wrong[0]!r}; it is one of {', '.join(map(str, allowed))}")


def _within(value: Any, *, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        inside = value in distribution.choices
    else:
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        inside = distribution.low <= value <= distribution.high and math.isfinite(value)
    if not inside:
        raise UsageError(
            f"the recipe's own {name} is {value}, outside of {distribution}; widen the space, so that the recipe is in "
            "the race"
        )
    return value


def _suggest(trial: BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(name, distribution.choices)
