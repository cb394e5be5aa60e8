"""`--set recipe.lr=3e-4`: one typed field of one or of every recipe, checked before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from benchmarks.kinds import kind, known_scopes
from benchmarks.ranges import check_together
from benchmarks.recipes import Recipe
from benchmarks.task import Profile, Task
from experiments.plan.errors import UsageError, unknown


def resolve_recipes(tasks: Sequence[Task], *, profile: Profile, overrides: Sequence[str]) -> Mapping[str, Recipe]:
    """Return each task's recipe of the profile with the overrides applied, by task name.

    An override is `SCOPE.FIELD=VALUE`, its scope `recipe` (every transfer), `pretraining`, or a task's name.
    """
    recipes = {task.name: _own(task, profile=profile) for task in tasks}
    scopes = {task.name: kind(task.kind).scope for task in tasks}
    changes: dict[str, dict[str, Any]] = {name: {} for name in recipes}
    for override in overrides:
        target, separator, text = override.partition("=")
        scope, dot, field = target.strip().rpartition(".")
        if not separator or not dot:
            raise UsageError(f"--set takes SCOPE.FIELD=VALUE, for example recipe.lr=3e-4; got {override!r}")
        for name in _tasks_of(scope, scopes=scopes):
            changes[name][field] = _parse(text.strip(), recipe=recipes[name], field=field, override=override)
    return {name: _changed(recipes[name], task=name, changes=some) for name, some in changes.items()}


def _own(task: Task, *, profile: Profile) -> Recipe:
    if profile not in task.recipes:
        raise UsageError(f"task {task.name!r} has no recipe for --profile {profile}; it has {', '.join(task.recipes)}")
    return task.recipes[profile]


def _changed(recipe: Recipe, *, task: str, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe with all of the changes, each checked on its own and beside the others."""
    if "lr" in changes and changes.get("base_lr", recipe.base_lr):
        base = changes.get("base_lr", recipe.base_lr)
        raise UsageError(
            f"--set changes lr of {task}, but its base_lr is {base} and wins; --set recipe.base_lr=0 as well, or "
            "change base_lr instead"
        )
    try:
        changed = replace(recipe, **changes)
        check_together(changed)
    except ValueError as error:
        said = ", ".join(f"{name}={value}" for name, value in changes.items())
        raise UsageError(f"{task}{f' with --set {said}' if said else ''}: {error}") from error
    return changed


def _tasks_of(scope: str, *, scopes: Mapping[str, str]) -> list[str]:
    if scope in known_scopes():
        return [name for name, own in scopes.items() if own == scope]
    if scope in scopes:
        return [scope]
    raise unknown("recipe", scope, [*known_scopes(), *scopes])


def _parse(text: str, *, recipe: Recipe, field: str, override: str) -> Any:
    hints = get_type_hints(type(recipe))
    names = [known.name for known in fields(recipe)]
    if field not in names:
        raise unknown(f"field of {type(recipe).__name__}", field, names)
    hint = hints[field]
    if get_origin(hint) is Literal:
        if text in get_args(hint):
            return text
        raise UsageError(f"--set {override}: {field} is one of {', '.join(get_args(hint))}; got {text!r}")
    several = get_origin(hint) is tuple
    of_one = get_args(hint)[0] if several else hint
    try:
        return tuple(of_one(part.strip()) for part in text.split(",") if part.strip()) if several else of_one(text)
    except ValueError as error:
        wanted = f"{of_one.__name__}s with commas between them" if several else f"a {of_one.__name__}"
        raise UsageError(f"--set {override}: {field} takes {wanted}; got {text!r}") from error
