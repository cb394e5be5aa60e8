"""Widths and depths of the models, smallest first; free of torch so that a driver can import it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Size:
    """Give the numbers of one encoder and of the decoders and heads that go with it.

    Fields that begin with a head's name are that head's. `convnext_token_dim`: channels of a whole token before it is
    cut into its 16 sub-tokens. `dpt_hooks`: 0-based blocks the DPT head reads, shallowest first. `segmenter_*`: the
    transformer over patches and classes.
    """

    dim: int
    depth: int
    num_heads: int
    decoder_dim: int = 256
    decoder_depth: int = 2
    decoder_heads: int = 8
    convnext_token_dim: int = 6144
    convnext_depth: int = 4
    dpt_hooks: tuple[int, int, int, int]
    dpt_layer_dims: tuple[int, int, int, int]
    dpt_feature_dim: int = 256
    segmenter_decoder_dim: int = 768
    segmenter_num_heads: int = 12


# base and large: MultiMAE (Bachmann et al. 2022), numbers of its code; large's DPT numbers are DPT-Large's (Ranftl et
# al. 2021), as it has none. small has the encoder of DeiT-S (Touvron et al. 2021). tiny is ours: a whole suite of it
# runs on two CPU cores.
SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "tiny": Size(
            dim=128,
            depth=4,
            num_heads=4,
            decoder_dim=64,
            decoder_depth=1,
            decoder_heads=4,
            convnext_token_dim=512,
            convnext_depth=2,
            dpt_hooks=(0, 1, 2, 3),
            dpt_layer_dims=(16, 24, 32, 64),
            dpt_feature_dim=16,
            segmenter_decoder_dim=128,
            segmenter_num_heads=4,
        ),
        "small": Size(
            dim=384,
            depth=12,
            num_heads=6,
            convnext_token_dim=3072,
            dpt_hooks=(2, 5, 8, 11),
            dpt_layer_dims=(48, 96, 192, 384),
            dpt_feature_dim=128,
            segmenter_decoder_dim=384,
            segmenter_num_heads=6,
        ),
        "base": Size(dim=768, depth=12, num_heads=12, dpt_hooks=(2, 5, 8, 11), dpt_layer_dims=(96, 192, 384, 768)),
        "large": Size(
            dim=1024,
            depth=24,
            num_heads=16,
            dpt_hooks=(5, 11, 17, 23),
            dpt_layer_dims=(256, 512, 1024, 1024),
            segmenter_decoder_dim=1024,
            segmenter_num_heads=16,
        ),
    }
)
"""The sizes of models by name: tiny, small, base and large."""
