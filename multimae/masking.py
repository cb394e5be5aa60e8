"""Choose which tokens the encoder sees (section 3 of the paper). In every mask True means hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

from multimae.shapes import Bool, Float, Int

NOTHING = 1e-5
"""The concentration, the reference's, of a modality that is to get no share."""


@dataclass(frozen=True, kw_only=True)
class Masking:
    """Say which tokens of a batch are visible.

    Tokens are numbered over all modalities, in the order of `num_tokens`. `ids_keep`: the visible ones, in the order
    the encoder gets them. `ids_restore`: for each token its place among "visible ones first, then hidden ones", so a
    place below `num_visible` is a row of the encoder's output.
    """

    ids_keep: Int[Tensor, "batch visible"]
    ids_restore: Int[Tensor, "batch tokens"]
    mask: Bool[Tensor, "batch tokens"]
    num_tokens: Mapping[str, int]

    @property
    def num_visible(self) -> int:
        return self.ids_keep.shape[1]

    def split(self) -> dict[str, Bool[Tensor, "batch tokens_of_modality"]]:
        """Return the mask of each modality."""
        ends = list(accumulate(self.num_tokens.values()))
        return dict(zip(self.num_tokens, self.mask.tensor_split(ends[:-1], dim=1), strict=True))

    def in_batches(self, sizes: Sequence[int]) -> list["Masking"]:
        """Return the masks of consecutive batches of these sizes."""
        parts = (torch.split(of, list(sizes)) for of in (self.ids_keep, self.ids_restore, self.mask))
        return [
            Masking(ids_keep=keep, ids_restore=restore, mask=mask, num_tokens=self.num_tokens)
            for keep, restore, mask in zip(*parts, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class MaskSampler:
    """Draw masks: shares of the modalities from a Dirichlet distribution, then random tokens within each.

    `alphas`: concentration, one for all or one per modality; 1 makes every division equally likely, less favours few
    modalities, more an even division. `sampling="uniform_subsets"` first draws the set of modalities that may be
    visible at all, each of the 2^T - 1 sets equally likely.
    """

    num_visible_tokens: int
    alphas: float | Sequence[float] = 1.0
    sampling: Literal["dirichlet", "uniform_subsets"] = "dirichlet"

    def __post_init__(self) -> None:
        alphas = [self.alphas] if isinstance(self.alphas, int | float) else self.alphas
        if not alphas or min(alphas) <= 0:
            raise ValueError(f"alphas must be positive, got {self.alphas}")
        if self.num_visible_tokens < 1:
            raise ValueError(f"num_visible_tokens must be at least 1, got {self.num_visible_tokens}")

    def __call__(
        self,
        num_tokens: Mapping[str, int],
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
        generator: torch.Generator | None = None,
        available: Bool[Tensor, "batch modality"] | None = None,
    ) -> Masking:
        """Draw the masks of a batch; exactly `num_visible_tokens` tokens of each sample are visible.

        A generator's draws are made on its own device, so that its masks are the same wherever the model is. Of a
        modality that is not `available` in a sample no token is ever visible; the others share the visible ones.
        """
        _check_number(self.num_visible_tokens, num_tokens=num_tokens, available=available)
        source = torch.device(device) if generator is None else generator.device
        absent = None if available is None else ~available.to(source)
        shares = self._shares(len(num_tokens), batch_size=batch_size, device=source, generator=generator, absent=absent)
        budgets = (shares * self.num_visible_tokens).round().long()
        proposals = [
            _hide_all_but(budget, num_tokens=size, generator=generator)
            for budget, size in zip(budgets.T, num_tokens.values(), strict=True)
        ]
        # Rounded budgets add up to K only roughly. Sorting "visible first" with noise lets the first K be exactly K: a
        # shortfall is filled with hidden tokens of any modality, an excess loses visible ones of any modality.
        hidden = torch.cat(proposals, dim=1)
        noise = torch.rand(hidden.shape, device=source, generator=generator)
        rank = hidden + noise
        if absent is not None:  # behind everything that could be shown
            rank = rank + 2 * _per_token(absent, num_tokens=num_tokens)
        order = rank.argsort(dim=1).to(device)
        return _masking_from_order(order, num_visible=self.num_visible_tokens, num_tokens=num_tokens)

    def _shares(
        self,
        num_modalities: int,
        *,
        batch_size: int,
        device: torch.device,
        generator: torch.Generator | None,
        absent: Bool[Tensor, "batch modality"] | None,
    ) -> Float[Tensor, "batch modality"]:
        alphas = [self.alphas] * num_modalities if isinstance(self.alphas, int | float) else self.alphas
        if len(alphas) != num_modalities:
            raise ValueError(f"{len(alphas)} alphas {list(alphas)} for {num_modalities} modalities; give one for each")
        # Filled on the device: a copy from the host would wait for the device.
        concentration = torch.stack([torch.full((batch_size,), alpha, device=device) for alpha in alphas], dim=1)
        if self.sampling == "uniform_subsets":
            subset = torch.randint(1, 2**num_modalities, (batch_size, 1), device=device, generator=generator)
            chosen = (subset >> torch.arange(num_modalities, device=device)) & 1
            concentration = chosen * concentration + NOTHING
        if absent is not None:
            concentration = concentration.masked_fill(absent, NOTHING)
        return _sample_dirichlet(concentration, generator=generator)


def masking_from_masks(masks: Mapping[str, Bool[Tensor, "batch _"]]) -> Masking:
    """Use given masks, True = hidden, one per modality in the order of the backbone's modalities."""
    mask = torch.cat(list(masks.values()), dim=1)
    visible = (~mask).sum(dim=1).tolist()
    if len(set(visible)) > 1:
        raise ValueError(
            f"the samples of a batch must have equally many visible tokens, got {visible}: change the masks or pass "
            "these samples in separate batches"
        )
    order = mask.int().argsort(dim=1, stable=True)
    num_tokens = {name: of_modality.shape[1] for name, of_modality in masks.items()}
    return _masking_from_order(order, num_visible=visible[0], num_tokens=num_tokens)


def _check_number(
    num_visible: int, *, num_tokens: Mapping[str, int], available: Bool[Tensor, "batch modality"] | None
) -> None:
    """Raise unless every sample has that many tokens.

    Every sample has some modality: where one is enough, the samples are not looked at, and no device waited for.
    """
    if num_visible > sum(num_tokens.values()):
        raise ValueError(
            f"{num_visible} visible tokens wanted, but the inputs have only {dict(num_tokens)}: "
            "lower num_visible_tokens or use larger images"
        )
    if available is None or num_visible <= min(num_tokens.values()):
        return
    sizes = torch.tensor(list(num_tokens.values()), device=available.device)
    fewest = int((available * sizes).sum(dim=1).min())
    if num_visible > fewest:
        raise ValueError(
            f"{num_visible} visible tokens wanted, but a sample of the batch lacks modalities and has only {fewest} "
            "tokens: lower num_visible_tokens or leave such samples out"
        )


def _per_token(
    of_modality: Bool[Tensor, "batch modality"], *, num_tokens: Mapping[str, int]
) -> Bool[Tensor, "batch tokens"]:
    columns = [
        column[:, None].expand(-1, size)
        for column, size in zip(of_modality.unbind(dim=1), num_tokens.values(), strict=True)
    ]
    return torch.cat(columns, dim=1)


def _masking_from_order(
    order: Int[Tensor, "batch tokens"], *, num_visible: int, num_tokens: Mapping[str, int]
) -> Masking:
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    ids_restore = torch.empty_like(order).scatter_(1, order, places)
    return Masking(
        ids_keep=order[:, :num_visible],
        ids_restore=ids_restore,
        mask=ids_restore >= num_visible,
        num_tokens=dict(num_tokens),
    )


def _hide_all_but(
    budget: Int[Tensor, "batch"], *, num_tokens: int, generator: torch.Generator | None
) -> Bool[Tensor, "batch tokens"]:
    noise = torch.rand(budget.shape[0], num_tokens, device=budget.device, generator=generator)
    ranks = noise.argsort(dim=1)  # a uniform random permutation
    return ranks >= budget[:, None]


def _sample_dirichlet(
    concentration: Float[Tensor, "batch modality"], *, generator: torch.Generator | None
) -> Float[Tensor, "batch modality"]:
    """Normalise gamma variates in the log domain: Gamma(a) = Gamma(a + 1) U^(1/a) underflows for small a.

    The private draw is the one behind `torch.distributions.Gamma`, which takes no generator.
    """
    gamma = torch._standard_gamma(concentration + 1, generator=generator)
    uniform = torch.rand(concentration.shape, device=concentration.device, generator=generator)
    # 1 - U lies in (0, 1], so the logarithm is finite.
    return (gamma.log() + torch.log1p(-uniform) / concentration).softmax(dim=1)
