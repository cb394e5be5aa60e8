"""Turn maps into tokens: one projection per modality plus fixed positions (section 3 of the paper)."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.layers import FixedPositions, Grid, unfold_patches
from multimae.shapes import Bool, Float, Int
from multimae.tables.modalities import modality


class InputAdapter(FixedPositions, ABC):
    """Project the patches of one modality; there is no embedding of the modality besides its own weights."""

    proj: nn.Conv2d

    def __init__(
        self, *, dim: int, grid_size: int, patch_size: int, resize_mode: Literal["bicubic", "bilinear"]
    ) -> None:
        super().__init__(dim=dim, grid_size=grid_size, resize_mode=resize_mode)
        self.dim = dim
        self.patch_size = patch_size

    @abstractmethod
    def patches(self, maps: Tensor) -> Tensor:
        """Cut maps into flat patches, [batch, tokens, values]."""

    @abstractmethod
    def project(self, patches: Tensor) -> Tensor:
        """Map flat patches [..., values] to tokens [..., dim], without positions."""

    def grid(self, maps: Tensor) -> Grid:
        """Return the patch grid of some maps, which must divide into patches."""
        height, width = maps.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"a map of {height}x{width} does not divide into patches of {self.patch_size}x{self.patch_size}: "
                "resize or pad the input"
            )
        return Grid(height // self.patch_size, width // self.patch_size)

    def forward(self, maps: Tensor) -> Float[Tensor, "batch tokens dim"]:
        tokens: Tensor = self.project(self.patches(maps)) + self.positions(self.grid(maps))
        return tokens

    def forward_visible(
        self, maps: Tensor, *, hidden: Bool[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Make the tokens of a masked input; what stands at hidden places is unspecified and must not be used."""
        if hidden.device.type != "cpu" or torch.compiler.is_compiling():
            # Picking a number of rows that only the device knows would make the host wait for it.
            tokens: Tensor = self(maps)
            return tokens
        visible = ~hidden
        positions = self.positions(self.grid(maps)).expand(*hidden.shape, self.dim)
        projected = self.project(self.patches(maps)[visible]) + positions[visible]
        return projected.new_zeros(*hidden.shape, self.dim).index_put((visible,), projected)


class ImageInputAdapter(InputAdapter):
    """Project patches of a map of numbers; its positions are resized bicubically, as in the reference."""

    def __init__(self, *, num_channels: int, patch_size: int, dim: int, grid_size: int) -> None:
        super().__init__(dim=dim, grid_size=grid_size, patch_size=patch_size, resize_mode="bicubic")
        self.proj = _patch_projection(num_channels, dim=dim, patch_size=patch_size)

    def patches(self, maps: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch tokens values"]:
        return unfold_patches(maps, patch_size=self.patch_size)

    def project(self, patches: Float[Tensor, "*tokens values"]) -> Float[Tensor, "*tokens dim"]:
        # [dim, channels, p, p] -> [dim, channels * p * p]: a convolution whose stride is its size is a matrix product
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class LabelInputAdapter(InputAdapter):
    """Embed class labels, then project patches of them; positions are resized bilinearly, as in the reference.

    `padding="extra_class"` takes label `num_classes` for "unknown": it embeds as zeros and is not trained.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        patch_size: int,
        dim: int,
        grid_size: int,
        padding: Literal["none", "extra_class"] = "none",
        dim_class_emb: int = 64,
    ) -> None:
        super().__init__(dim=dim, grid_size=grid_size, patch_size=patch_size, resize_mode="bilinear")
        num_rows, padding_idx = (num_classes + 1, num_classes) if padding == "extra_class" else (num_classes, None)
        self.class_emb = nn.Embedding(num_rows, dim_class_emb, padding_idx=padding_idx)
        nn.init.trunc_normal_(self.class_emb.weight, std=0.02)
        if padding_idx is not None:
            with torch.no_grad():
                self.class_emb.weight[padding_idx].zero_()
        self.proj = _patch_projection(dim_class_emb, dim=dim, patch_size=patch_size)

    def patches(self, maps: Int[Tensor, "batch height width"]) -> Int[Tensor, "batch tokens values"]:
        return unfold_patches(maps[:, None], patch_size=self.patch_size)

    def project(self, patches: Int[Tensor, "*tokens values"]) -> Float[Tensor, "*tokens dim"]:
        try:
            embedded = self.class_emb(patches)
        except IndexError as error:
            raise ValueError(
                f"labels lie between {int(patches.min())} and {int(patches.max())}, but the class embedding has "
                f"{self.class_emb.num_embeddings} rows: set num_semseg_classes, and semseg_padding='extra_class' if "
                "there are unlabelled pixels"
            ) from error
        # [dim, channels, p, p] -> [dim, p * p * channels]: the order in which the embedded patch lies in memory
        weight = self.proj.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(embedded.flatten(-2), weight, self.proj.bias)


def build_input_adapter(
    name: str,
    *,
    image_size: int,
    patch_size: int,
    dim: int,
    num_classes: int,
    padding: Literal["none", "extra_class"],
    dim_class_emb: int,
) -> InputAdapter:
    """Build the adapter of a modality from the table of modalities; sizes are those of the full-resolution image."""
    facts = modality(name)
    if patch_size % facts.stride_level:
        raise ValueError(
            f"patch_size={patch_size} does not divide by {facts.stride_level}, {name}'s reduction of resolution"
        )
    own_patch_size, grid_size = patch_size // facts.stride_level, image_size // patch_size
    if facts.kind == "labels":
        return LabelInputAdapter(
            num_classes=facts.num_classes or num_classes,
            patch_size=own_patch_size,
            dim=dim,
            grid_size=grid_size,
            # A network labels every pixel of an image, but none of what it is padded with.
            padding="extra_class" if facts.num_classes else padding,
            dim_class_emb=dim_class_emb,
        )
    return ImageInputAdapter(num_channels=facts.num_channels, patch_size=own_patch_size, dim=dim, grid_size=grid_size)


def _patch_projection(num_channels: int, *, dim: int, patch_size: int) -> nn.Conv2d:
    """Hold a patch's weights in the shape the checkpoints have; the bias keeps the convolution's own start."""
    projection = nn.Conv2d(num_channels, dim, kernel_size=patch_size, stride=patch_size)
    with torch.no_grad():
        nn.init.xavier_uniform_(projection.weight.flatten(1))  # a view: fan-in is the whole patch
    return projection
