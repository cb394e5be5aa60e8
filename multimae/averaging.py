"""What the losses of a model are means of, so that several batches can count like one."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor

from multimae.shapes import Float

Batch = Mapping[str, Any]
"""What a loader gives: `inputs`, `targets` and `meta`, each by name."""


class AveragedModel(BaseModel):  # type: ignore[misc]  # mmengine is untyped
    """A model whose every loss is a mean, over as many things of a batch as `counts` says.

    That is enough to train by the mean over several batches, on several devices: each batch's mean is weighted by its
    share of what is counted in all of them.
    """

    has_threshold: bool = False
    """Whether a loss depends on the largest error of all that count; `loss` then takes `largest`."""

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Return for each loss over how many things of a batch it is averaged; nothing has been predicted yet."""
        raise NotImplementedError

    def draw(self, batches: Sequence[Batch]) -> list[Batch]:
        """Add to the batches of a step what is random and decides what counts: by default nothing does."""
        return list(batches)

    def minimised(self, losses: Mapping[str, Float[Tensor, ""]]) -> dict[str, Float[Tensor, ""]]:
        """Return the terms whose sum is minimised: the losses, unless a model weights them."""
        return dict(losses)

    def parse_losses(
        self, losses: Mapping[str, Float[Tensor, ""]], weights: Mapping[str, Tensor | float] | None = None
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the sum of what is minimised, and what is logged: the losses as they are.

        `weights`: what a batch's means count in a step of several, by the names of the losses; 1 without.
        """
        terms = self.minimised(losses)
        if weights is not None:
            terms, losses = ({name: term * weights[name] for name, term in of.items()} for of in (terms, losses))
        total: Tensor = sum(terms.values())  # type: ignore[assignment]  # a model without losses is none
        return total, {"loss": total, **losses}
