"""The modalities MultiMAE reads and predicts: one table, free of torch so that a driver can import it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from multimae.record.nearest import unknown

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Modality:
    """Say how one modality is stored, projected and scored.

    `stride_level`: the map is this many times smaller than the RGB image (section 1.3 of the paper's supplement:
    semantic maps enter at a quarter of the resolution). `num_channels` is 0 for integer label maps, whose number of
    classes belongs to the data set unless `num_classes` says that it is the same everywhere. `starts_as`: whose weights
    an adapter starts from where a checkpoint has none of its own. `mean` and `std` normalise 8-bit images, in shares of
    255, one value a channel.
    A domain of Taskonomy is stored in its own codes, of which the first `num_channels` channels count; `full_scale` is
    the code that becomes 1, larger ones are cut (`encode_domain` in data/transforms.py).
    """

    name: str
    kind: Literal["image", "depth", "labels", "normals", "domain"]
    num_channels: int
    stride_level: int = 1
    num_classes: int = 0
    starts_as: str = ""
    loss: Literal["mse", "l1", "cross_entropy"]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    full_scale: float = 0.0


def _domain(name: str, *, num_channels: int = 1, full_scale: float = 65535.0) -> Modality:
    return Modality(name=name, kind="domain", num_channels=num_channels, loss="l1", full_scale=full_scale)


MODALITIES: Mapping[str, Modality] = MappingProxyType(
    {
        modality.name: modality
        for modality in (
            Modality(name="rgb", kind="image", num_channels=3, loss="mse", mean=IMAGENET_MEAN, std=IMAGENET_STD),
            Modality(name="depth", kind="depth", num_channels=1, loss="l1"),
            Modality(name="semseg", kind="labels", num_channels=0, stride_level=4, loss="cross_entropy"),
            # Labels of a network (133 COCO classes), read beside the data set's own.
            Modality(
                name="pseudo_semseg",
                kind="labels",
                num_channels=0,
                stride_level=4,
                num_classes=133,
                starts_as="semseg",
                loss="cross_entropy",
            ),
            Modality(name="normal", kind="normals", num_channels=3, loss="l1", full_scale=255.0),
            # Taskonomy (Zamir et al. 2018); depth in 1/512 m, cut at 15.6 m, texture edges at a quarter of their range.
            _domain("principal_curvature", num_channels=2, full_scale=255.0),
            _domain("depth_zbuffer", full_scale=8000.0),
            _domain("edge_texture", full_scale=0.25 * 65535),
            _domain("edge_occlusion"),
            _domain("keypoints2d"),
            _domain("keypoints3d"),
            _domain("reshading", full_scale=255.0),
        )
    }
)
"""Every modality by name: how it is stored, projected and scored."""


def modality(name: str) -> Modality:
    """Look up a modality; an unknown name lists the known ones, nearest first."""
    if name not in MODALITIES:
        raise ValueError(unknown("modality", name, MODALITIES))
    return MODALITIES[name]
