"""Which of a file's weights are meant, and their names without the wrappers of training; free of torch.

A file may hold one set of weights alone, sets by name (`model`, `model_ema`), or sets below the first word of their
names (Lightning's `model.`, DINO's `teacher.`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from multimae.checkpoints.reading import Which

T = TypeVar("T")

TRAINED = ("model", "state_dict", "model_state_dict", "student", "net", "network", "module")
AVERAGED = ("model_ema", "ema_model", "state_dict_ema", "ema_state_dict", "model_ema_state_dict", "ema", "teacher")
# What compiling, parallel training and recomputed activations put into the names of a saved model, anywhere.
_SHELLS = frozenset(
    {
        "module",
        "_orig_mod",
        "_checkpoint_wrapped_module",
        "_fsdp_wrapped_module",
        "_fpw_module",
        "_forward_module",
    }
)
# What averages count beside their weights.
_COUNTERS = ("steps", "n_averaged")


@dataclass(frozen=True, kw_only=True)
class Chosen(Generic[T]):
    """Hold one set of weights by name, what to say of the choice, and the names of what is of no set."""

    state: Mapping[str, T]
    said: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Candidate(Generic[T]):
    label: str
    averaged: bool
    state: Mapping[str, T]
    left_out: tuple[str, ...] = ()


def choose(held: Any, *, weights: Which, is_tensor: Callable[[Any], bool]) -> Chosen[Any]:
    """Return the weights that are meant among those a file holds; ValueError says what there is instead."""
    candidates = [
        candidate
        for label, state in _sets(held, is_tensor=is_tensor).items()
        for candidate in _groups(unwrapped(state), label=label, averaged=_is_average(label, held=held))
    ]
    averaged = [candidate for candidate in candidates if candidate.averaged]
    trained = [candidate for candidate in candidates if not candidate.averaged]
    wanted = {"auto": [*averaged, *trained], "ema": averaged, "model": trained}[weights]
    if not wanted:
        there = ", ".join(candidate.label or "one set of weights without a name" for candidate in candidates)
        kind = "an average over the training" if weights == "ema" else "weights that are no average"
        raise ValueError(f"weights={weights!r} asks for {kind}, but there is only: {there}")
    taken = wanted[0]
    others = [candidate for candidate in candidates if candidate is not taken]
    return Chosen(state=taken.state, said=_said(taken, others=others), left_out=taken.left_out)


def unwrapped(state: Mapping[str, T]) -> dict[str, T]:
    """Remove the wrappers of training wherever they stand in a name, and what averages count."""
    renamed: dict[str, T] = {}
    first: dict[str, str] = {}
    for name, tensor in state.items():
        bare = ".".join(part for part in name.split(".") if part not in _SHELLS)
        if bare in renamed:
            raise ValueError(
                f"{first[bare]!r} and {name!r} are both {bare!r} without the wrappers of training: write the weights "
                "that are meant alone"
            )
        renamed[bare], first[bare] = tensor, name
    return {name: tensor for name, tensor in renamed.items() if name not in _COUNTERS}


def _sets(held: Any, *, is_tensor: Callable[[Any], bool]) -> dict[str, Mapping[str, Any]]:
    def is_state(value: Any) -> bool:
        return isinstance(value, Mapping) and bool(value) and all(is_tensor(item) for item in value.values())

    names = [name for name in (*TRAINED, *AVERAGED) if isinstance(held, Mapping) and name in held]
    sets = {name: held[name] for name in names if is_state(held[name])}
    if sets:
        return sets
    if not names and is_state(held):
        return {"": held}
    got = held[names[0]] if names else held
    where = f"under {names[0]!r} " if names else ""
    what = f"the keys {list(got)[:5]}" if isinstance(got, Mapping) else f"a {type(got).__name__}"
    raise ValueError(f"wanted named tensors, alone or under one of {[*TRAINED, *AVERAGED]}, got {where}{what}")


def _is_average(label: str, *, held: Any) -> bool:
    # mmengine's EMAHook saves the average as the model, and what was trained in the average's place.
    meta = held.get("meta") if isinstance(held, Mapping) else None
    swapped = isinstance(meta, Mapping) and "mmengine_version" in meta and "ema_state_dict" in held
    return (label == "state_dict") if swapped else label in AVERAGED


def _groups(state: Mapping[str, T], *, label: str, averaged: bool) -> list[_Candidate[T]]:
    """Part a set by the first word of its names, where that says what the set is of."""
    parts = {name: name.partition(".") for name in state}
    words = dict.fromkeys(first for first, _, rest in parts.values() if rest and first in (*TRAINED, *AVERAGED))
    if not words:
        return [_Candidate(label=label, averaged=averaged, state=state)]
    # A module between others, such as a criterion, belongs to no set.
    stray = tuple(name for name, (first, _, rest) in parts.items() if first not in words or not rest)
    groups = []
    for word in words:
        below = {rest: state[name] for name, (first, _, rest) in parts.items() if first == word and rest}
        inner = f"{label}: {word}.*" if label else f"{word}.*"
        groups += [
            _Candidate(
                label=group.label,
                averaged=group.averaged,
                state=group.state,
                left_out=(*stray, *(f"{word}.{name}" for name in group.left_out)),
            )
            for group in _groups(below, label=inner, averaged=averaged or word in AVERAGED)
        ]
    return groups


def _said(taken: _Candidate[T], *, others: list[_Candidate[T]]) -> str:
    if not others and not taken.averaged:
        return ""
    what = f"weights: {taken.label}, {'an average over the training' if taken.averaged else 'as they were trained'}"
    if not others:
        return what
    beside = ", ".join(other.label for other in others)
    choice = "; weights='model' or 'ema' chooses" if any(o.averaged != taken.averaged for o in others) else ""
    return f"{what}; beside them: {beside}{choice}"
