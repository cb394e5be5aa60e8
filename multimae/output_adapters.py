"""The light decoders of pre-training, one per output (section 3 of the paper)."""

from collections.abc import Sequence

import torch
from timm.layers import Mlp
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.layers import CrossAttention, FixedPositions, Grid, LayerNorm, fold_patches, make_blocks, new_token
from multimae.masking import Masking
from multimae.shapes import Float


class SpatialOutputAdapter(FixedPositions):
    """Predict every patch of one modality from the encoder's tokens.

    `modality`: what it predicts; if the encoder reads it too, its visible tokens serve as queries at their places.
    `context_modalities`: those for which there is a learned embedding; others get none. Predictions stay patches,
    values channel slowest, then row, then column, so that losses need no maps; `fold` makes maps of them.
    """

    def __init__(
        self,
        *,
        modality: str,
        num_channels: int,
        patch_size: int,
        dim_encoder: int,
        dim: int,
        depth: int,
        num_heads: int,
        context_modalities: Sequence[str],
        grid_size: int,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__(dim=dim, grid_size=grid_size, resize_mode="bilinear")
        self.modality = modality
        self.patch_size = patch_size
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.task_embeddings = nn.ParameterDict({name: new_token(dim) for name in context_modalities})
        self.decoder = CrossAttention(dim=dim, num_heads=num_heads)
        self.context_norm = LayerNorm(dim)
        self.query_norm = LayerNorm(dim)
        self.out_norm = LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.decoder_transformer = make_blocks(dim=dim, depth=depth, num_heads=num_heads, mlp_ratio=mlp_ratio)
        self.out_proj = nn.Linear(dim, num_channels * patch_size**2)
        self.proj_context = nn.Linear(dim_encoder, dim)

    def forward(
        self, encoded: Float[Tensor, "batch visible_and_global dim_encoder"], *, masking: Masking, grid: Grid
    ) -> Float[Tensor, "batch tokens values"]:
        """Predict all patches, visible and hidden, from `MultiMAE.forward_visible`."""
        projected = self.proj_context(encoded)
        visible, global_tokens = projected.tensor_split([masking.num_visible], dim=1)
        context = torch.cat([visible + self._embeddings(masking, grid=grid), global_tokens], dim=1)
        queries = self._queries(visible, masking=masking, grid=grid)
        # No residual from the queries: so is the reference.
        tokens = self.decoder(self.query_norm(queries), context=self.context_norm(context))
        tokens = tokens + self.mlp(self.out_norm(tokens))
        patches: Tensor = self.out_proj(self.decoder_transformer(tokens))
        return patches

    def fold(
        self, patches: Float[Tensor, "batch tokens values"], *, grid: Grid
    ) -> Float[Tensor, "batch channels height width"]:
        """Put predicted patches into maps."""
        return fold_patches(patches, grid=grid, patch_size=self.patch_size)

    def _embeddings(self, masking: Masking, *, grid: Grid) -> Float[Tensor, "batch visible dim"]:
        """Return position plus modality embedding of each visible token."""
        places = masking.ids_keep % grid.num_tokens
        modalities = torch.stack([self._modality_embedding(name) for name in masking.num_tokens])
        numbers = torch.arange(len(modalities), device=places.device)
        # A product with one-hot rows instead of a look-up: its gradient is a product too, not a scatter.
        one_hot = (masking.ids_keep // grid.num_tokens)[:, :, None] == numbers
        return F.embedding(places, self.positions(grid)) + one_hot.to(modalities.dtype) @ modalities

    def _queries(
        self, visible: Float[Tensor, "batch visible dim"], *, masking: Masking, grid: Grid
    ) -> Float[Tensor, "batch tokens dim"]:
        mask_token = self.mask_token.expand(visible.shape[0], 1, -1)
        embedding = self.positions(grid) + self._modality_embedding(self.modality)
        if self.modality not in masking.num_tokens:
            return mask_token + embedding
        start = list(masking.num_tokens).index(self.modality) * grid.num_tokens
        # Places from num_visible on are hidden: they all read the one mask token behind the visible tokens.
        places = masking.ids_restore[:, start : start + grid.num_tokens].clamp(max=masking.num_visible)
        rows = torch.cat([visible, mask_token], dim=1)
        # [batch, tokens] -> [batch, tokens, dim]
        return rows.gather(1, places[:, :, None].expand(-1, -1, rows.shape[-1])) + embedding

    def _modality_embedding(self, name: str) -> Float[Tensor, "dim"]:
        if name in self.task_embeddings:
            embedding: Tensor = self.task_embeddings[name]
            return embedding[0, 0]
        return self.mask_token.new_zeros(self.mask_token.shape[-1])
