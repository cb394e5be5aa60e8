"""The linear probe: what a single linear layer can read from frozen features (He et al. 2022, section 4.3)."""

from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.checkpoints.initialising import HeadFromFile
from multimae.layers import EncoderOutput
from multimae.registry import MODELS
from multimae.shapes import Float


@MODELS.register_module(name=["ProbeHead", "probe"])
class ProbeHead(HeadFromFile):
    """Normalise features by LayerNorm and BatchNorm, neither of them learned, then map them linearly.

    `output="vector"` reads one feature per sample, pooled as `pool` says: the mean of all tokens, or the last global
    token, which is MAE's choice. `output="map"` reads one per patch and enlarges the outputs to the image. BatchNorm
    trains by the statistics of what a device holds at a time, as MAE's does, so a probe depends on that number.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_main: int,
        num_outputs: int,
        output: Literal["vector", "map"],
        pool: Literal["mean", "global"] = "global",
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.output, self.pool = output, pool
        width = dim if output == "vector" else dim * num_main
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.batch_norm = nn.BatchNorm1d(width, eps=1e-6, affine=False)
        self.linear = nn.Linear(width, num_outputs)
        nn.init.trunc_normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, encoded: EncoderOutput, *, image_size: tuple[int, int]) -> Float[Tensor, "batch outputs *map"]:
        features = encoded.patch_tokens() if self.output == "map" else encoded.pooled(self.pool)
        # [batch, (tokens,) width] -> [batch (* tokens), width]: statistics are over all of them
        flat = self.batch_norm(self.norm(features).flatten(0, -2))
        outputs: Tensor = self.linear(flat).unflatten(0, features.shape[:-1])
        if self.output == "vector":
            return outputs
        return F.interpolate(encoded.as_map(outputs), size=image_size, mode="bilinear", align_corners=False)
