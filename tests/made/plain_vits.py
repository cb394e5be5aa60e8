"""Plain ViTs and encoders whose every parameter matters, and comparing what they compute."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from multimae.backbone import MultiMAE

M = TypeVar("M", bound=nn.Module)
State = dict[str, Tensor]
TINY: dict[str, Any] = {"image_size": 64, "dim": 16, "depth": 2, "num_heads": 2}
BACKBONE = {"type": "multimae.MultiMAE", "modalities": ["rgb"], **TINY}


def shaken(model: M, seed: int = 1) -> M:
    """Move every parameter, so that none is at a value that hides what is done with it."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def vit(**changes: Any) -> VisionTransformer:
    settings = {"img_size": 64, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 3, "final_norm": False}
    return shaken(VisionTransformer(**{**settings, **changes}))


def encoder(**changes: Any) -> MultiMAE:
    return MultiMAE(modalities=["rgb"], **{**TINY, **changes}).eval()


def ours(seed: int = 1) -> MultiMAE:
    return shaken(encoder(), seed)


def saved(path: Path, held: Any) -> Path:
    torch.save(held, path)
    return path


def same(model: MultiMAE, source: MultiMAE) -> bool:
    state = source.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def tokens_alike(
    model: MultiMAE, source: VisionTransformer, *, to_theirs: Callable[[Tensor], Tensor] = lambda x: x
) -> None:
    """Compare all of the last block's tokens, theirs with the class token and registers first."""
    source.norm = source.fc_norm = nn.Identity()
    side = model.image_size
    images = torch.rand(2, 3, side, side) * 4 - 2
    with torch.no_grad():
        tokens = model.forward_layers({"rgb": images}).layers[-1]
        expected = source.forward_features(to_theirs(images))
    start = tokens.shape[1] - model.num_global_tokens
    mine = torch.cat([tokens[:, -1:], tokens[:, start:-1], tokens[:, :start]], dim=1)
    torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)


def in_a_model(encoder: MultiMAE) -> State:
    """Name an encoder's parameters as in a model around it."""
    return {f"backbone.{name}": tensor for name, tensor in encoder.state_dict().items()}
