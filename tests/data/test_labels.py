"""Labels are of the data set's classes, or of a network's that are the same everywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multimae.data.coco import CLASSES
from multimae.data.decode import decode
from multimae.data.labels import label_code
from multimae.data.maps import NearestMap
from multimae.data.sample import DataError
from multimae.data.sets.nyuv2 import SPEC
from multimae.data.spec import spec
from multimae.data.transforms import encode


def test_a_networks_labels_mean_the_same_in_every_data_set() -> None:
    for name in ("nyuv2", "imagenet", "rooms"):
        assert label_code("pseudo_semseg", spec=spec(name)).classes == CLASSES
        assert label_code("semseg", spec=spec(name)).classes == spec(name).classes


@pytest.mark.parametrize(
    ("modality", "stored", "read", "encoded"),
    [("semseg", [0, 1, 40], [0, 1, 40], [40, 0, 39]), ("pseudo_semseg", [255, 0, 132], [0, 1, 133], [133, 0, 132])],
)
def test_both_are_read_into_one_convention(
    modality: str, stored: list[int], read: list[int], encoded: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "labels.png"
    Image.fromarray(np.repeat(np.array([stored], dtype=np.uint8), 4, axis=0).repeat(4, axis=1)).save(path)
    labels = decode(path, modality=modality, spec=SPEC)
    assert labels[0, ::4].tolist() == read
    maps: dict[str, torch.Tensor] = {modality: NearestMap(torch.from_numpy(labels.copy())[None])}
    assert encode(modality, maps, spec=SPEC, map_filter="corner").tolist() == [encoded]


def test_labels_that_no_class_has_are_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.png"
    Image.fromarray(np.full((4, 4), 133, dtype=np.uint8)).save(path)
    with pytest.raises(DataError, match=r"values \[133\]; pseudo_semseg has labels 0 to 132, and 255 for unlabelled"):
        decode(path, modality="pseudo_semseg", spec=SPEC)
