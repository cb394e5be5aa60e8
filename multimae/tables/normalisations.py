"""How networks of the field want their RGB: shares of 255, minus a mean, divided by a deviation. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from multimae.record.nearest import unknown
from multimae.tables.modalities import IMAGENET_MEAN, IMAGENET_STD

Channels = tuple[float, float, float]
_ALIKE = 2e-3


@dataclass(frozen=True, kw_only=True)
class MeanStd:
    """Hold what is subtracted from red, green and blue in [0, 1], and what the differences are divided by."""

    mean: Channels
    std: Channels


NORMALISATIONS: Mapping[str, MeanStd] = MappingProxyType(
    {
        "imagenet": MeanStd(mean=IMAGENET_MEAN, std=IMAGENET_STD),
        # Google's ViTs: "augreg" and SigLIP in timm, whose name for it is IMAGENET_INCEPTION_MEAN.
        "half": MeanStd(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        "clip": MeanStd(mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)),
        "unit": MeanStd(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    }
)
"""Every normalisation by name; the pipelines here use `imagenet`."""


def normalisation(name: str) -> MeanStd:
    """Look up a normalisation; an unknown name lists the known ones, nearest first."""
    if name not in NORMALISATIONS:
        raise ValueError(unknown("normalisation of pixels", name, NORMALISATIONS))
    return NORMALISATIONS[name]


def name_of(*, mean: Channels, std: Channels) -> str | None:
    """Return the name of a normalisation, None for one that has none; authors round to three digits."""
    given = (*mean, *std)
    for name, known in NORMALISATIONS.items():
        if all(abs(one - other) < _ALIKE for one, other in zip(given, (*known.mean, *known.std), strict=True)):
            return name
    return None
