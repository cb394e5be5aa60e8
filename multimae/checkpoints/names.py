"""The names of our parameters. They begin with `backbone.`, `output_adapters.` (pre-training decoders) or `head.`."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

BACKBONE, HEAD, DECODERS = "backbone.", "head.", "output_adapters."
INPUTS = f"{BACKBONE}input_adapters."
RGB = f"{INPUTS}rgb."
GLOBAL_TOKENS = f"{BACKBONE}global_tokens"
BLOCKS = f"{BACKBONE}encoder."


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Hold parameters under our names.

    `task`: the name under which a reference's file holds a head. `left_out`: the file's names, in its layout, that have
    no place in our models. `said`: what was changed on the way, and which weights of several these are.
    """

    state: Mapping[str, Tensor]
    task: str | None = None
    left_out: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def adapters(state: Mapping[str, Tensor]) -> list[str]:
    """Return the modalities that parameters under our names have input adapters for."""
    return names_below(INPUTS, state)


def decoders(state: Mapping[str, Tensor]) -> list[str]:
    """Return the outputs that parameters under our names have pre-training decoders for."""
    return names_below(DECODERS, state)


def names_below(prefix: str, state: Mapping[str, Tensor]) -> list[str]:
    """Return the words that follow a prefix, sorted."""
    return sorted({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})
