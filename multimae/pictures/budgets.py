"""How many tokens of each modality a reader can choose to show a model: the settings behind two sliders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

NUMBER_RATIOS = (1 / 20, 1 / 10, 1 / 6, 1 / 3, 1 / 2, 1.0)
"""Numbers of visible tokens on offer, as shares of all tokens; 1/6 is the paper's 98 of 588."""

MAX_STEPS = 4
MAX_COMPOSITIONS = 15

Budget = tuple[int, ...]
Shares = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings on offer, with values per modality in the order of `modalities`.

    `given`: those that may be visible. `numbers`: how many visible tokens may be asked for. `shares`: how they may be
    divided. `budgets`: the different numbers of visible tokens per modality that follow; `places[number][shares]` says
    which of them.
    """

    modalities: tuple[str, ...]
    given: tuple[str, ...]
    numbers: tuple[int, ...]
    shares: tuple[Shares, ...]
    budgets: tuple[Budget, ...]
    places: tuple[tuple[int, ...], ...]


def make_settings(num_tokens: Mapping[str, int], *, given: Sequence[str], num_visible_tokens: int) -> Settings:
    """Offer a grid of settings in which only `given` modalities are ever visible, among them the trained number."""
    available = sum(num_tokens[name] for name in given)
    wanted = [num_visible_tokens, *(max(1, round(ratio * sum(num_tokens.values()))) for ratio in NUMBER_RATIOS)]
    numbers = tuple(sorted({min(number, available) for number in wanted}))
    shares = tuple(_spread(own, given=given, modalities=num_tokens) for own in shares_among(len(given)))
    sizes = tuple(num_tokens.values())
    table = [[apportion(number, shares=own, sizes=sizes) for own in shares] for number in numbers]
    budgets = tuple(dict.fromkeys(budget for row in table for budget in row))
    return Settings(
        modalities=tuple(num_tokens),
        given=tuple(given),
        numbers=numbers,
        shares=shares,
        budgets=budgets,
        places=tuple(tuple(budgets.index(budget) for budget in row) for row in table),
    )


def shares_among(num_modalities: int) -> tuple[Shares, ...]:
    """Return evenly spaced points of the simplex, its corners first to last among them, and its centre.

    The step is the smallest, down to a quarter, that keeps their number within `MAX_COMPOSITIONS`.
    """
    fitting = (step for step in range(MAX_STEPS, 1, -1) if _num_compositions(step, num_modalities) <= MAX_COMPOSITIONS)
    steps = next(fitting, 1)
    shares = [tuple(part / steps for part in parts) for parts in _compositions(steps, num_parts=num_modalities)]
    centre = (1 / num_modalities,) * num_modalities
    return tuple(shares if centre in shares else [*shares, centre])


def apportion(number: int, *, shares: Shares, sizes: Sequence[int]) -> Budget:
    """Divide `number` tokens by `shares`; what does not fit into a modality goes to the others that have a share.

    One token at a time goes to whom it is owed most (Sainte-Laguë), so that a larger number only ever adds tokens:
    rounding the products would take some away here and there.
    """
    budget = [0] * len(shares)
    for _ in range(number):
        open_to = [place for place, share in enumerate(shares) if share > 0 and budget[place] < sizes[place]]
        if not open_to:
            break
        budget[max(open_to, key=lambda place: shares[place] / (2 * budget[place] + 1))] += 1
    return tuple(budget)


def _spread(own: Shares, *, given: Sequence[str], modalities: Mapping[str, int]) -> Shares:
    by_name = dict(zip(given, own, strict=True))
    return tuple(by_name.get(name, 0.0) for name in modalities)


def _num_compositions(total: int, num_parts: int) -> int:
    return comb(total + num_parts - 1, num_parts - 1)


def _compositions(total: int, *, num_parts: int) -> list[tuple[int, ...]]:
    """List every way to write `total` as an ordered sum of `num_parts` numbers from 0, the first largest first."""
    if num_parts == 1:
        return [(total,)]
    return [
        (first, *rest)
        for first in range(total, -1, -1)
        for rest in _compositions(total - first, num_parts=num_parts - 1)
    ]
