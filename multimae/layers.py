"""Parts shared by encoder, decoders and heads: patch grid, fixed positions, blocks, cross-attention, initialisation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.shapes import Float, Int

LayerNorm = partial(nn.LayerNorm, eps=1e-6)
FEW_TOKENS = 512


class Grid(NamedTuple):
    """Count the patches of an image, downwards and across."""

    height: int
    width: int

    @property
    def num_tokens(self) -> int:
        return self.height * self.width


@dataclass(frozen=True, kw_only=True)
class EncoderOutput:
    """Hold the tokens after every block: the modalities' in order, each row by row, then the global tokens.

    All modalities share one `grid`. `out_modalities`: those that heads read.
    """

    layers: tuple[Float[Tensor, "batch tokens dim"], ...]
    modalities: tuple[str, ...]
    out_modalities: tuple[str, ...]
    grid: Grid
    num_global_tokens: int

    def tokens_of(self, name: str, *, layer: int = -1) -> Float[Tensor, "batch tokens_of_modality dim"]:
        """Return the tokens of one modality after a block (0-based)."""
        start = self.modalities.index(name) * self.grid.num_tokens
        return self.layers[layer][:, start : start + self.grid.num_tokens]

    def patch_tokens(self, *, layer: int = -1) -> Float[Tensor, "batch patches channels"]:
        """Return one vector per place: the tokens of the `out_modalities` there, one after the other."""
        return torch.cat([self.tokens_of(name, layer=layer) for name in self.out_modalities], dim=-1)

    def feature_map(self, *, layer: int = -1) -> Float[Tensor, "batch channels height width"]:
        """Return `patch_tokens` as a map."""
        return self.as_map(self.patch_tokens(layer=layer))

    def as_map(self, vectors: Float[Tensor, "batch patches channels"]) -> Float[Tensor, "batch channels height width"]:
        """Put one vector per place where it belongs."""
        # [batch, height * width, channels] -> [batch, channels, height, width]
        return vectors.transpose(1, 2).reshape(vectors.shape[0], -1, self.grid.height, self.grid.width)

    def pooled(self, pool: Literal["mean", "global"]) -> Float[Tensor, "batch dim"]:
        """Return one vector per sample: the mean of all of the last block's tokens, or its last global token."""
        tokens = self.layers[-1]
        if pool == "mean":
            return tokens.mean(dim=1)
        if not self.num_global_tokens:
            raise ValueError("pool='global' reads the last global token, but the encoder has none: use pool='mean'")
        return tokens[:, -1]


def unfold_patches(
    maps: Float[Tensor, "batch channels height width"] | Int[Tensor, "batch channels height width"], *, patch_size: int
) -> Float[Tensor, "batch tokens values"] | Int[Tensor, "batch tokens values"]:
    """Cut maps into patches, row by row; a patch lists its values channel slowest, then row, then column."""
    batch, channels, height, width = maps.shape
    rows, columns = height // patch_size, width // patch_size
    patches = maps.reshape(batch, channels, rows, patch_size, columns, patch_size)
    # [batch, channels, rows, p, columns, p] -> [batch, rows * columns, channels * p * p]
    return patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, channels * patch_size**2)


def fold_patches(
    patches: Float[Tensor, "batch tokens values"], *, grid: Grid, patch_size: int
) -> Float[Tensor, "batch channels height width"]:
    """Put patches back into maps; the inverse of `unfold_patches`."""
    batch = patches.shape[0]
    maps = patches.reshape(batch, grid.height, grid.width, -1, patch_size, patch_size)
    # [batch, rows, columns, channels, p, p] -> [batch, channels, rows * p, columns * p]
    return maps.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, grid.height * patch_size, grid.width * patch_size)


def sincos_positions(*, dim: int, size: int) -> Float[Tensor, "1 dim size size"]:
    """Make the fixed table of 2-D sine-cosine positions of MAE and MultiMAE.

    With omega_k = 10000^(-4k/dim) the channels are sin(row omega), cos(row omega), sin(column omega), cos(column
    omega), dim / 4 each. Square only: other grids are interpolated from a square table.
    """
    if dim % 4:
        raise ValueError(f"a table of 2-D sine-cosine positions has 4 equal parts, dim={dim} does not divide by 4")
    omega = 10000 ** (-torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    angles = omega[:, None] * torch.arange(size, dtype=torch.float64)
    waves = torch.cat([angles.sin(), angles.cos()])
    rows = waves[:, :, None].expand(-1, -1, size)
    columns = waves[:, None, :].expand(-1, size, -1)
    return torch.cat([rows, columns])[None].float()


class FixedPositions(nn.Module):
    """Hold a table of positions as the untrained parameter `pos_emb` and resize it to an input's grid."""

    def __init__(self, *, dim: int, grid_size: int, resize_mode: Literal["bicubic", "bilinear"]) -> None:
        super().__init__()
        self.resize_mode = resize_mode
        self.pos_emb = nn.Parameter(sincos_positions(dim=dim, size=grid_size), requires_grad=False)
        self._resized: dict[Grid, Tensor] = {}

    def positions(self, grid: Grid) -> Float[Tensor, "tokens dim"]:
        """Return one position per token of the grid, row by row."""
        # A compiled graph owns the memory of what it computes: nothing of it may be kept for the next step.
        if torch.compiler.is_compiling():
            return self._resize(grid)
        if grid not in self._resized:
            # What is kept must serve training too, even where it is first asked for in inference mode.
            with torch.inference_mode(mode=False):
                self._resized[grid] = self._resize(grid)
        return self._resized[grid]

    @torch.no_grad()
    def _resize(self, grid: Grid) -> Float[Tensor, "tokens dim"]:
        table: Tensor = self.pos_emb
        if tuple(table.shape[-2:]) != tuple(grid):
            table = F.interpolate(table, size=tuple(grid), mode=self.resize_mode, align_corners=False)
        # [1, dim, rows, columns] -> [rows * columns, dim]
        return table[0].flatten(1).T.contiguous()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FixedPositions":
        self._resized.clear()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._resized.clear()
        super()._load_from_state_dict(*args, **kwargs)


def make_blocks(
    *, dim: int, depth: int, num_heads: int, mlp_ratio: float = 4.0, drop_path_rate: float = 0.0
) -> nn.Sequential:
    """Stack pre-norm transformer blocks; drop path grows linearly from 0 to `drop_path_rate`."""
    rates = [drop_path_rate * index / max(1, depth - 1) for index in range(depth)]
    blocks = [Block(dim, num_heads, mlp_ratio, qkv_bias=True, drop_path=rate, norm_layer=LayerNorm) for rate in rates]
    for block in blocks:
        block.attn = SelfAttention(dim=dim, num_heads=num_heads)
    return nn.Sequential(*blocks)


def attend(
    query: Float[Tensor, "batch heads queries channels"],
    *,
    key: Float[Tensor, "batch heads context channels"],
    value: Float[Tensor, "batch heads context channels"],
) -> Float[Tensor, "batch heads queries channels"]:
    """Average values by the softmax of scaled dot products.

    On a CPU in bfloat16 torch's fused kernel is slower than the plain form for few tokens: a step of pre-training takes
    a fifth longer with it (base size, 99 tokens; benchmarks/speed/pretraining.py).
    """
    in_bfloat16 = query.dtype == torch.bfloat16 and query.device.type == "cpu"
    if in_bfloat16 and key.shape[-2] <= FEW_TOKENS and not torch.compiler.is_compiling():
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        mixed: Tensor = scores.softmax(dim=-1) @ value
        return mixed
    attended: Tensor = F.scaled_dot_product_attention(query, key, value)
    return attended


class SelfAttention(nn.Module):
    """Let tokens attend to each other; parameters bear timm's names, which are the reference's."""

    def __init__(self, *, dim: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim={dim} does not divide into num_heads={num_heads}")
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "batch tokens dim"], **_: Any) -> Float[Tensor, "batch tokens dim"]:
        """Mix the tokens; timm's block passes options of its own attention, all of them off."""
        # [batch, tokens, 3 * dim] -> query, key and value, each [batch, heads, tokens, dim / heads]
        query, key, value = self.qkv(tokens).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        # [batch, heads, tokens, dim / heads] -> [batch, tokens, dim]
        mixed: Tensor = self.proj(attend(query, key=key, value=value).transpose(1, 2).flatten(2))
        return mixed


class CrossAttention(nn.Module):
    """Let queries attend to a context."""

    def __init__(self, *, dim: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim={dim} does not divide into num_heads={num_heads}")
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, queries: Float[Tensor, "batch queries dim"], *, context: Float[Tensor, "batch context dim"]
    ) -> Float[Tensor, "batch queries dim"]:
        # [batch, tokens, dim] -> [batch, heads, tokens, dim / heads]
        query = self.q(queries).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        # [batch, tokens, 2 * dim] -> key and value, each [batch, heads, tokens, dim / heads]
        key, value = self.kv(context).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        attended = attend(query, key=key, value=value)
        # [batch, heads, tokens, dim / heads] -> [batch, tokens, dim]
        projected: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return projected


def initialise(module: nn.Module) -> None:
    """Initialise every Linear and LayerNorm under a module as the reference does; other parameters stay as they are.

    Xavier-uniform, where the rows of a fused `qkv` or `kv` projection count as those of 3 or 2 separate ones. This
    overwrites smaller initial weights that a head may have chosen for itself, and so does the reference.
    """
    for name, child in module.named_modules():
        if isinstance(child, nn.Linear):
            num_fused = 3 if name.endswith("qkv") else 2 if name.endswith("kv") else 1
            bound = (6 / (child.out_features / num_fused + child.in_features)) ** 0.5
            nn.init.uniform_(child.weight, -bound, bound)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.LayerNorm):
            nn.init.ones_(child.weight)
            nn.init.zeros_(child.bias)


def new_token(dim: int, *, num_tokens: int = 1) -> nn.Parameter:
    """Make learned tokens, truncated normal with standard deviation 0.02."""
    return nn.Parameter(nn.init.trunc_normal_(torch.zeros(1, num_tokens, dim), std=0.02))
