"""The dense prediction transformer head (Ranftl et al. 2021), for regression and segmentation.

Parameters bear the reference's names. It stores some of them twice, under aliases (`scratch.layer_rn.*`,
`act_postprocess.*`); we do not, `checkpoints.py` adds and drops them.
"""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.checkpoints.initialising import HeadFromFile
from multimae.layers import EncoderOutput, initialise
from multimae.registry import MODELS
from multimae.shapes import Float


class ResidualUnit(nn.Module):
    """Add two convolutions, each after a ReLU, to the input."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, kernel_size=3, padding=1)

    def forward(self, features: Float[Tensor, "batch dim height width"]) -> Float[Tensor, "batch dim height width"]:
        residual: Tensor = self.conv2(F.relu(self.conv1(F.relu(features))))
        return features + residual


class FusionBlock(nn.Module):
    """Refine features of one level, add them to those from the next coarser level, refine again and enlarge."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.resConfUnit1 = ResidualUnit(dim)
        self.resConfUnit2 = ResidualUnit(dim)
        self.out_conv = nn.Conv2d(dim, dim, kernel_size=1)

    def forward(
        self,
        lateral: Float[Tensor, "batch dim height width"],
        *,
        coarser: Float[Tensor, "batch dim height width"] | None,
        size: tuple[int, int],
    ) -> Float[Tensor, "batch dim new_height new_width"]:
        """Enlarge to `size`; the coarsest level has nothing coarser, and its first unit never runs."""
        features = lateral if coarser is None else coarser + self.resConfUnit1(lateral)
        fused: Tensor = self.out_conv(_enlarge(self.resConfUnit2(features), size=size))
        return fused


@MODELS.register_module(name=["DPTHead", "dpt"])
class DPTHead(HeadFromFile):
    """Bring the tokens of four blocks to 1/4, 1/8, 1/16 and 1/32 of the image (for patches of 16) and fuse them.

    `hooks`: 0-based blocks, shallowest first. `task="regression"` ends without an activation.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_main: int,
        num_outputs: int,
        task: Literal["regression", "semseg"],
        hooks: Sequence[int] = (2, 5, 8, 11),
        layer_dims: Sequence[int] = (96, 192, 384, 768),
        feature_dim: int = 256,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if len(hooks) != 4 or len(layer_dims) != 4:
            raise ValueError(f"DPT reads four blocks, got hooks={list(hooks)} and layer_dims={list(layer_dims)}")
        self.hooks = tuple(hooks)
        for level, layer_dim in enumerate(layer_dims, start=1):
            self.add_module(f"act_{level}_postprocess", _reassemble(level, num_in=dim * num_main, num_out=layer_dim))
        self.scratch = nn.ModuleDict(
            {f"layer{level}_rn": _conv3x3(width, feature_dim) for level, width in enumerate(layer_dims, start=1)}
            | {f"refinenet{level}": FusionBlock(feature_dim) for level in range(1, 5)}
        )
        # Kept for the checkpoints' sake; frozen because a parameter that never gets a gradient stops distributed
        # training unless it searches for such parameters at every step.
        self.scratch["refinenet4"].resConfUnit1.requires_grad_(False)
        self.head = (
            _regression_end(feature_dim, num_outputs) if task == "regression" else _semseg_end(feature_dim, num_outputs)
        )
        initialise(self)

    def forward(
        self, encoded: EncoderOutput, *, image_size: tuple[int, int]
    ) -> Float[Tensor, "batch outputs height width"]:
        laterals = [self._lateral(encoded, level=level) for level in range(1, 5)]
        finest = laterals[0].shape[-2:]
        # Each level is enlarged to the next finer one: twice the size, except where a coarse map had an odd size.
        sizes = [(2 * finest[0], 2 * finest[1]), *(tuple(lateral.shape[-2:]) for lateral in laterals[:-1])]
        features = None
        for level in (4, 3, 2, 1):
            fuse = self.scratch[f"refinenet{level}"]
            features = fuse(laterals[level - 1], coarser=features, size=sizes[level - 1])
        maps: Tensor = self.head(features)
        return maps if maps.shape[-2:] == image_size else _enlarge(maps, size=image_size)

    def _lateral(self, encoded: EncoderOutput, *, level: int) -> Float[Tensor, "batch dim height width"]:
        tokens = encoded.feature_map(layer=self.hooks[level - 1])
        lateral: Tensor = self.scratch[f"layer{level}_rn"](self.get_submodule(f"act_{level}_postprocess")(tokens))
        return lateral


def _reassemble(level: int, *, num_in: int, num_out: int) -> nn.Sequential:
    """Make maps of 4, 2, 1 and 1/2 times the patch grid, for levels 1 to 4."""
    reassemble = nn.Sequential(nn.Conv2d(num_in, num_out, kernel_size=1))
    if level in (1, 2):
        scale = {1: 4, 2: 2}[level]
        reassemble.append(nn.ConvTranspose2d(num_out, num_out, kernel_size=scale, stride=scale))
    elif level == 4:
        reassemble.append(nn.Conv2d(num_out, num_out, kernel_size=3, stride=2, padding=1))
    return reassemble


def _conv3x3(num_in: int, num_out: int) -> nn.Conv2d:
    return nn.Conv2d(num_in, num_out, kernel_size=3, padding=1, bias=False)


def _regression_end(dim: int, num_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(dim, dim // 2, kernel_size=3, padding=1),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        nn.Conv2d(dim // 2, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, num_outputs, kernel_size=1),
    )


def _semseg_end(dim: int, num_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        _conv3x3(dim, dim),
        nn.Identity(),  # the place of the reference's optional batch norm, which keeps the names of what follows
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Conv2d(dim, num_outputs, kernel_size=1),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    )


def _enlarge(
    features: Float[Tensor, "batch dim height width"], *, size: tuple[int, int]
) -> Float[Tensor, "batch dim new_height new_width"]:
    return F.interpolate(features, size=size, mode="bilinear", align_corners=True)
