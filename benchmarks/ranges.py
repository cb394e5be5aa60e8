"""The ranges of a recipe's fields: declared beside each as `Annotated[float, Gt(0)]`, checked wherever one is made.

The words are those of `annotated_types`, and two more: what a field may be is also said relative to another field.
"""

import math
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le, Lt

from multimae.record.nearest import unknown


@dataclass(frozen=True)
class NotAbove:
    """The value is at most that of another field."""

    field: str


@dataclass(frozen=True)
class Divides:
    """The value is 0, or another field's value is a multiple of it."""

    field: str


@dataclass(frozen=True)
class OneOf:
    """The value is one of these names; `what` they are is for the message."""

    what: str
    known: Container[str]


@dataclass(frozen=True)
class Matches:
    """The text is of this form; `wanted` says of which in words."""

    form: str
    wanted: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """What a field may hold: values of one type, one or a tuple of them, within `limits`."""

    type: Any
    several: bool
    limits: tuple[Any, ...]


_KINDS: Mapping[type, str] = MappingProxyType({int: "a whole number", float: "a number", str: "a text"})


@cache
def fields_of(settings: type) -> Mapping[str, Field]:
    """Return what every field of a class of settings may hold."""
    hints = get_type_hints(settings, include_extras=True)
    return MappingProxyType({name: _field(hint) for name, hint in hints.items()})


def check(settings: Any) -> None:
    """Raise ValueError for the first field that holds what it may not."""
    of: Any = type(settings)  # mypy holds that a type[Any] cannot be hashed
    for said in wrong_values(of, {name: getattr(settings, name) for name in fields_of(of)}):
        raise ValueError(said)


def check_together(settings: Any) -> None:
    """Raise ValueError for the first field that does not fit another.

    Asked of recipes that are to be trained: a variant of a task changes those of all profiles, of which some may then
    not fit.
    """
    values = vars(settings)
    for said in wrong_together(type(settings), lows=values, highs=values):
        raise ValueError(said)


def wrong_values(settings: type, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with each value on its own: what it is, and what was wanted."""
    known = fields_of(settings)
    for name, value in values.items():
        field = known[name]
        if field.several and not isinstance(value, tuple):
            yield f"{name} is {value!r}, wanted a tuple"
            continue
        wrong = (said for one in (value if field.several else (value,)) if (said := _wrong(one, field=field)))
        yield from (f"{name} is {said}" for said in wrong)


def wrong_together(settings: type, *, lows: Mapping[str, Any], highs: Mapping[str, Any]) -> Iterator[str]:
    """Yield which field is wrong beside which other, anywhere between these values; of a recipe, both are its own."""
    for name, field in fields_of(settings).items():
        for limit in field.limits:
            if isinstance(limit, NotAbove) and highs[name] > lows[limit.field]:
                yield f"{name} is {highs[name]}, wanted at most {limit.field}, which is {lows[limit.field]}"
            if isinstance(limit, Divides) and any(_remains(lows[name], of=one[limit.field]) for one in (lows, highs)):
                whole = highs[limit.field] if _remains(lows[name], of=highs[limit.field]) else lows[limit.field]
                yield f"{name} is {lows[name]}, wanted 0 or a divisor of {limit.field}, which is {whole}"


def _field(hint: Any) -> Field:
    if get_origin(hint) is tuple:
        one = _field(get_args(hint)[0])
        return Field(type=one.type, several=True, limits=one.limits)
    if get_origin(hint) is Annotated:
        kind, *declared = get_args(hint)
        return Field(type=kind, several=False, limits=tuple(_unpacked(declared)))
    return Field(type=hint, several=False, limits=())


def _unpacked(declared: list[Any]) -> Iterator[Any]:
    for one in declared:
        if isinstance(one, GroupedMetadata):
            yield from one
        else:
            yield one


def _wrong(value: Any, *, field: Field) -> str:
    """Say what a value is and what was wanted; nothing where it may stay."""
    if get_origin(field.type) is Literal:
        allowed = get_args(field.type)
        return "" if value in allowed else f"{value!r}, wanted one of {', '.join(map(str, allowed))}"
    for limit in field.limits:
        if isinstance(limit, OneOf) and value not in limit.known:
            return f"{value!r}: {unknown(limit.what, str(value), limit.known)}"  # type: ignore[arg-type]
        if isinstance(limit, Matches) and not (isinstance(value, str) and re.fullmatch(limit.form, value)):
            return f"{value!r}, wanted {limit.wanted}"
    if _is_of(field.type, value) and all(_within(value, limit) for limit in field.limits):
        return ""
    bounds = " and ".join(_words(limit) for limit in field.limits if isinstance(limit, BaseMetadata))
    return f"{value!r}, wanted {_KINDS.get(field.type, field.type)} {bounds}".rstrip()


def _is_of(kind: Any, value: Any) -> bool:
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind) if isinstance(kind, type) else True


def _within(value: Any, limit: Any) -> bool:
    match limit:
        case Gt():
            return bool(value > limit.gt)
        case Ge():
            return bool(value >= limit.ge)
        case Lt():
            return bool(value < limit.lt)
        case Le():
            return bool(value <= limit.le)
    return True


def _words(limit: BaseMetadata) -> str:
    match limit:
        case Gt():
            return f"above {limit.gt}"
        case Ge():
            return f"of at least {limit.ge}"
        case Lt():
            return f"below {limit.lt}"
        case Le():
            return f"at most {limit.le}"
    raise TypeError(f"{limit} has no words yet: add them here")


def _remains(divisor: int, *, of: int) -> bool:
    return bool(divisor and of % divisor)
