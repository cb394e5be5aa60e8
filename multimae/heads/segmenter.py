"""The mask transformer of Segmenter (Strudel et al. 2021), a head for segmentation."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from multimae.checkpoints.initialising import HeadFromFile
from multimae.layers import EncoderOutput, LayerNorm, initialise, make_blocks, new_token
from multimae.registry import MODELS
from multimae.shapes import Float


@MODELS.register_module(name=["SegmenterHead", "segmenter"])
class SegmenterHead(HeadFromFile):
    """Let one learned token per class attend to the patches; a class's mask is its cosine with each patch.

    The cosines of a patch are normalised over the classes, then resized. Drop path grows from 0 to `drop_path_rate`
    over the blocks. Class tokens start truncated normal with standard deviation 0.02; all projections start
    Xavier-uniform, as in the reference, which overwrites the truncated normal it first gives them.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_main: int,
        num_outputs: int,
        decoder_dim: int = 768,
        depth: int = 2,
        num_heads: int = 12,
        drop_path_rate: float = 0.1,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if decoder_dim % num_heads:
            raise ValueError(f"decoder_dim={decoder_dim} does not divide into num_heads={num_heads}")
        self.num_outputs = num_outputs
        self.cls_emb = new_token(decoder_dim, num_tokens=num_outputs)
        self.proj_dec = nn.Linear(dim * num_main, decoder_dim)
        self.blocks = make_blocks(dim=decoder_dim, depth=depth, num_heads=num_heads, drop_path_rate=drop_path_rate)
        self.decoder_norm = LayerNorm(decoder_dim)
        self.patch_proj = nn.Linear(decoder_dim, decoder_dim, bias=False)
        self.classes_proj = nn.Linear(decoder_dim, decoder_dim, bias=False)
        self.mask_norm = LayerNorm(num_outputs)
        initialise(self)

    def forward(
        self, encoded: EncoderOutput, *, image_size: tuple[int, int]
    ) -> Float[Tensor, "batch outputs height width"]:
        patches = self.proj_dec(encoded.patch_tokens())
        tokens = torch.cat([patches, self.cls_emb.expand(patches.shape[0], -1, -1)], dim=1)
        patches, classes = self.decoder_norm(self.blocks(tokens)).tensor_split([-self.num_outputs], dim=1)
        patches = F.normalize(self.patch_proj(patches), dim=-1)
        classes = F.normalize(self.classes_proj(classes), dim=-1)
        masks = encoded.as_map(self.mask_norm(patches @ classes.mT))
        return F.interpolate(masks, size=image_size, mode="bilinear", align_corners=False)
