"""The linear head for classification (section 4 of the paper)."""

from typing import Any, Literal

from torch import Tensor, nn

from multimae.checkpoints.initialising import HeadFromFile
from multimae.layers import EncoderOutput, LayerNorm, initialise
from multimae.registry import MODELS
from multimae.shapes import Float


@MODELS.register_module(name=["LinearHead", "linear"])
class LinearHead(HeadFromFile):
    """Pool the last block's tokens into one vector, normalise it, predict.

    `pool="mean"` averages all tokens, those of every modality and the global ones; `"global"` takes the last global
    token. So `num_main` changes nothing. The classifier starts Xavier-uniform: the reference means to scale its first
    weights by 0.001, but initialises them again afterwards.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_main: int = 1,
        num_outputs: int,
        pool: Literal["mean", "global"] = "mean",
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.pool = pool
        self.norm = LayerNorm(dim)
        self.head = nn.Linear(dim, num_outputs)
        initialise(self)

    def forward(self, encoded: EncoderOutput, *, image_size: tuple[int, int]) -> Float[Tensor, "batch outputs"]:
        """Return one value per output, whatever the size of the image."""
        outputs: Tensor = self.head(self.norm(encoded.pooled(self.pool)))
        return outputs
