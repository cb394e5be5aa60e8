"""Images whose every pixel tells where it was, along one axis, in every modality; and what a pipeline made of them."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from multimae.data.maps import Maps, Sample
from multimae.data.pipelines.pipeline import Pipeline
from multimae.data.sets.nyuv2 import SPEC

MODALITIES = ("rgb", "depth", "semseg", "pseudo_semseg", "normal", "keypoints3d", "principal_curvature")
MAX_LENGTH = 110
"""Longer axes do not fit into 8 bits at two levels per pixel."""


def make_sample(height: int, width: int, *, axis: Literal["row", "column"]) -> Sample:
    """Return a sample that holds positions; what interpolating would make of labels is no label (labels are odd)."""
    at = np.mgrid[0:height, 0:width][("row", "column").index(axis)]
    eight = at.astype(np.uint8)
    maps = {
        "rgb": np.stack([2 * eight, 2 * eight, np.full_like(eight, 90)]),
        "depth": (1000 + 10 * at[None]).astype(np.uint16),
        "semseg": 1 + 2 * eight[None],
        "pseudo_semseg": 1 + eight[None],
        "mask_valid": np.where(at[None] % 3, 255, 0).astype(np.uint8),
        "normal": np.stack([10 + eight, 20 + eight, np.full_like(eight, 200)]),
        "keypoints3d": (65535 - 100 * at[None]).astype(np.uint16),
        "principal_curvature": np.stack([eight, 7 + eight]),
    }
    planes = {name: torch.from_numpy(map_.copy()) for name, map_ in maps.items()}
    return Sample(name="0001", spec=SPEC, maps=planes, label=0)


def positions(maps: Maps) -> dict[str, Tensor]:
    """Read the position off every map, [height, width], but for the validity, which tells it only modulo 3."""
    return {
        "rgb": maps["rgb"][0].float() / 2,
        "depth": (maps["depth"][0] - 1000) / 10,
        "semseg": (maps["semseg"][0].float() - 1) / 2,
        "pseudo_semseg": maps["pseudo_semseg"][0].float() - 1,
        "normal": maps["normal"][1].float() - 20,
        "keypoints3d": (65535 - maps["keypoints3d"][0]) / 100,
        "principal_curvature": maps["principal_curvature"][1].float() - 7,
    }


def moved_maps(pipeline: Any, sample: Sample) -> Maps:
    """Return the maps as they are just before they are encoded, without their padding."""
    seen: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "example", lambda self, sample, maps, **told: seen.update(told, maps=maps) or {})
        pipeline(sample)
    height, width = seen["content"]
    return {name: map_.as_subclass(Tensor)[:, :height, :width] for name, map_ in seen["maps"].items()}
