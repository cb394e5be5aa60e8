"""The ConvNeXt head for segmentation (supplement of the paper; blocks of Liu et al. 2022)."""

from math import isqrt
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.checkpoints.initialising import HeadFromFile
from multimae.layers import EncoderOutput, LayerNorm, initialise
from multimae.registry import MODELS
from multimae.shapes import Float


class ConvNeXtBlock(nn.Module):
    """Mix places depthwise, then channels; no layer scale and no drop path."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = LayerNorm(dim)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)

    def forward(self, features: Float[Tensor, "batch dim height width"]) -> Float[Tensor, "batch dim height width"]:
        # channels last for the norm and the linear layers, and back
        mixed = self.norm(self.dwconv(features).permute(0, 2, 3, 1))
        mixed = self.pwconv2(F.gelu(self.pwconv1(mixed)))
        residual: Tensor = mixed.permute(0, 3, 1, 2)
        return features + residual


@MODELS.register_module(name=["ConvNeXtHead", "convnext"])
class ConvNeXtHead(HeadFromFile):
    """Cut each token into `num_sub_tokens` in a square, run ConvNeXt blocks on that finer map, predict, resize.

    `token_dim`: channels of a whole token before it is cut; a sub-token has `token_dim / num_sub_tokens`.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_main: int,
        num_outputs: int,
        token_dim: int = 6144,
        depth: int = 4,
        num_sub_tokens: int = 16,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.side = isqrt(num_sub_tokens)
        if self.side**2 != num_sub_tokens or token_dim % num_sub_tokens:
            raise ValueError(f"num_sub_tokens={num_sub_tokens} must be a square that divides token_dim={token_dim}")
        sub_dim = token_dim // num_sub_tokens
        self.proj_dec = nn.Linear(dim * num_main, token_dim)
        self.blocks = nn.Sequential(*(ConvNeXtBlock(sub_dim) for _ in range(depth)))
        self.final_layer = nn.Conv2d(sub_dim, num_outputs, kernel_size=1)
        initialise(self)

    def forward(
        self, encoded: EncoderOutput, *, image_size: tuple[int, int]
    ) -> Float[Tensor, "batch outputs height width"]:
        rows, columns = encoded.grid
        tokens = self.proj_dec(encoded.patch_tokens())
        sub_tokens = tokens.unflatten(1, (rows, columns)).unflatten(-1, (self.side, self.side, -1))
        # [batch, rows, columns, side, side, channels] -> [batch, channels, rows * side, columns * side]
        features = sub_tokens.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        maps = self.final_layer(self.blocks(features))
        return F.interpolate(maps, size=image_size, mode="bilinear", align_corners=False)
