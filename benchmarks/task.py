"""What is measured: a task joins a kind, a head, its metrics under named protocols, and a recipe per profile."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import multimae
from benchmarks.kinds import kind
from benchmarks.recipes import Recipe
from multimae.named import modules_in
from multimae.record.nearest import unknown
from multimae.tables.metrics import METRICS

Profile = Literal["cpu", "paper"]
Protocol = Literal["standard", "paper", "masked"]

LIBRARY = Path(multimae.__file__).parent


@cache
def known_heads() -> tuple[str, ...]:
    """Name the heads, the modules of `multimae.heads`."""
    return tuple(modules_in(LIBRARY / "heads"))


@cache
def known_losses() -> tuple[str, ...]:
    """Name the losses of transfers; reads the text of the modules that register them, which would load torch."""
    files = (LIBRARY / "transfer.py", *(LIBRARY / "kinds").glob("*.py"), *(LIBRARY / "heads").glob("*.py"))
    texts = (file.read_text("utf-8") for file in sorted(files))
    return tuple(name for text in texts for name in re.findall(r"^@named_loss\(\s*\"(\w+)\"", text, re.MULTILINE))


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
        for what, wanted, known in (
            ("head", (self.head,) if self.head else (), known_heads()),
            ("loss", (self.loss,) if self.loss else (), known_losses()),
            ("protocol", self.protocols, get_args(Protocol)),
            ("protocol of its own", (self.primary.protocol,), self.protocols),
            ("metric", (self.primary.metric,), METRICS),
        ):
            if strange := [name for name in wanted if name not in known]:
                raise ValueError(f"task {self.name!r}: {unknown(what, strange[0], known)}")

    def variant(self, name: str, **changes: Any) -> "Task":
        """Return the task under another name with the recipes of all profiles changed."""
        recipes = {profile: replace(recipe, **changes) for profile, recipe in self.recipes.items()}
        return replace(self, name=name, recipes=recipes)
