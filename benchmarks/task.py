"""What is measured: a task joins a kind, a head, its metrics under named protocols, and a recipe per profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from benchmarks.kinds import kind
from benchmarks.recipes import Recipe

Profile = Literal["cpu", "paper"]
Protocol = Literal["standard", "paper", "masked"]


@dataclass(frozen=True, kw_only=True)
class Primary:
    """The one number a task is judged by."""

    metric: str
    protocol: Protocol


@dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to measure.

    `kind` names a module of `benchmarks.kinds` and of `multimae.kinds`. `target`: the modality that a regression
    predicts; other kinds say it by themselves. `head` names a module of `multimae.heads`, and the head it registers;
    what a head needs beyond the numbers of a size is in `head_settings`. `protocols` are the scorings reported.
    """

    name: str
    kind: str
    target: str = ""
    head: str = ""
    head_settings: Mapping[str, Any] = field(default_factory=dict)
    loss: str = ""
    protocols: tuple[Protocol, ...]
    primary: Primary
    recipes: Mapping[Profile, Recipe]

    def __post_init__(self) -> None:
        for name in ("head_settings", "recipes"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        kind(self.kind).check(
            task=self.name, kind=self.kind, target=self.target, head=self.head, recipes=tuple(self.recipes.values())
        )

    def variant(self, name: str, **changes: Any) -> "Task":
        """Return the task under another name with the recipes of all profiles changed."""
        recipes = {profile: replace(recipe, **changes) for profile, recipe in self.recipes.items()}
        return replace(self, name=name, recipes=recipes)
