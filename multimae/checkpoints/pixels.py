"""Weights that were trained on pixels normalised in another way: the first projection takes the difference up."""

from collections.abc import Mapping

import torch
from torch import Tensor

from multimae.checkpoints.names import RGB
from multimae.checkpoints.reading import OWN_PIXELS
from multimae.tables.normalisations import normalisation

_WEIGHT, _BIAS = f"{RGB}proj.weight", f"{RGB}proj.bias"


def folded(state: Mapping[str, Tensor], *, pixels: str) -> dict[str, Tensor]:
    """Return weights under our names that do with our pixels what they did with theirs.

    With our mean m, deviation s and theirs m', s', their pixel is (s x + m - m') / s', affine in ours, x: exact, as
    patches are not padded.
    """
    if pixels == OWN_PIXELS or _WEIGHT not in state:
        return dict(state)
    ours, theirs = normalisation(OWN_PIXELS), normalisation(pixels)
    our_mean, our_std = torch.tensor(ours.mean).double(), torch.tensor(ours.std).double()
    mean, std = torch.tensor(theirs.mean).double(), torch.tensor(theirs.std).double()
    weight, bias = state[_WEIGHT], state[_BIAS]
    slope, shift = our_std / std, (our_mean - mean) / std
    # [dim, 3, p, p] times one number a channel
    scaled = weight.double() * slope[:, None, None]
    moved = bias.double() + (weight.double() * shift[:, None, None]).sum(dim=(1, 2, 3))
    return {**state, _WEIGHT: scaled.float(), _BIAS: moved.float()}


def said_of(state: Mapping[str, Tensor], *, pixels: str) -> tuple[str, ...]:
    """Say what `folded` changes."""
    if pixels == OWN_PIXELS or _WEIGHT not in state:
        return ()
    theirs = normalisation(pixels)
    return (f"pixels {pixels!r} (mean {theirs.mean}, std {theirs.std}): folded into input_adapters.rgb.proj",)
