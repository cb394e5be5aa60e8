"""The folder data set reads, keeps and refuses what it should; NYUv2 itself follows the contract."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from PIL import Image
from torch.utils.data import DataLoader

from multimae.data.folder import MultiModalFolder
from multimae.data.sample import DataError
from multimae.data.sets.nyuv2 import SPEC
from multimae.registry import DATASETS
from multimae.testing import DatasetContract
from tests.made import tiny_dataset

SHARED = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[3] / "shared"))
Make = Callable[..., MultiModalFolder]


class TestNYUv2(DatasetContract):
    dataset = "nyuv2"

    @pytest.fixture
    def data_root(self) -> Path:
        if not (SHARED / "data" / "nyuv2").is_dir():
            pytest.skip(f"NYUv2 is not at {SHARED}/data")
        return SHARED / "data"


class TestTiny(DatasetContract):
    dataset = "nyuv2"

    @pytest.fixture
    def data_root(self, tmp_path: Path) -> Path:
        return tiny_dataset.write(tmp_path, num_train=8)

    def test_eval_crop_lies_in_every_test_image(self, data_root: Path) -> None:
        pytest.skip("the crop is for 640x480")


def test_pseudo_labels_stand_in_for_a_modality_and_must_be_of_its_classes(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path)
    train = root / "nyuv2" / "train"
    shutil.copytree(train / "depth", train / "pseudo_depth")
    for path in (train / "pseudo_depth" / "all").iterdir():
        Image.fromarray(np.full((tiny_dataset.HEIGHT, tiny_dataset.WIDTH), 77, dtype=np.uint16)).save(path)
    settings = {"root": root, "dataset": "nyuv2", "split": "train", "pipeline": lambda sample: sample}
    read = MultiModalFolder(**settings, modalities=["depth"], folders={"depth": "pseudo_depth"})  # type: ignore[arg-type]
    assert int(read.read(0).maps["depth"].float().max()) == 77
    shutil.copytree(train / "semseg", train / "pseudo_semseg")
    own = {"classes": {str(code): name for code, name in enumerate(SPEC.classes, start=1)}}
    labels = {**settings, "modalities": ["semseg"], "folders": {"semseg": "pseudo_semseg"}}
    (train / "pseudo_semseg" / "manifest.json").write_text(json.dumps(own))
    assert len(MultiModalFolder(**labels)) == 6  # type: ignore[arg-type]
    (train / "pseudo_semseg" / "manifest.json").write_text(json.dumps({"classes": {"0": "person", "1": "bicycle"}}))
    with pytest.raises(DataError, match=r"labels of 2 classes, first \('0', 'person'\); wanted the 40 of nyuv2"):
        MultiModalFolder(**labels)  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path)


@pytest.fixture
def make(root: Path) -> Make:
    def build(**changes: Any) -> MultiModalFolder:
        settings = {
            "root": str(root),
            "dataset": "nyuv2",
            "split": "train",
            "modalities": ["rgb", "depth", "semseg"],
            "pipeline": lambda sample: sample,
        }
        return MultiModalFolder(**{**settings, **changes})

    return build


def file_of(root: Path, modality: str, name: str = "0002") -> Path:
    return root / "nyuv2" / "train" / modality / "all" / f"{name}.png"


def test_samples_are_the_files(make: Make) -> None:
    sample = make().read(2)
    expected = tiny_dataset.maps()
    assert sample.name == "0002"
    assert list(sample.maps) == ["rgb", "depth", "semseg", "mask_valid"]
    for name, map_ in sample.maps.items():
        array = map_.numpy().transpose(1, 2, 0)
        np.testing.assert_array_equal(array if name == "rgb" else array[..., 0], expected[name])


def test_config_and_loader_give_batches(root: Path) -> None:
    folder = DATASETS.build(
        {
            "type": "multimae.MultiModalFolder",
            "root": str(root),
            "dataset": "nyuv2",
            "split": "test",
            "modalities": ["rgb", "depth", "semseg"],
            "pipeline": {"type": "multimae.SemsegEvaluation", "inputs": ["rgb"], "size": 32, "protocol": "standard"},
        }
    )
    batch = next(iter(DataLoader(folder, batch_size=3, collate_fn=default_collate)))
    assert batch["meta"]["name"] == ["0100", "0101", "0102"]
    assert batch["inputs"]["rgb"].shape == (3, 3, 32, 32)
    assert batch["targets"]["semseg"].shape == (3, 48, 64)


def test_memory_cache_reads_files_once(make: Make, root: Path) -> None:
    kept, read_again = make(cache="memory"), make()
    first = kept.read(1)
    shutil.rmtree(root / "nyuv2" / "train")
    assert kept.read(1) is first
    with pytest.raises(DataError, match=r"0001\.png: cannot be decoded as rgb"):
        read_again.read(1)


def test_store_size_shrinks_the_shorter_side_and_never_grows(make: Make) -> None:
    stored = make(store_size=24).read(0).maps
    assert {map_.shape[-2:] for map_ in stored.values()} == {(24, 32)}
    assert stored["rgb"].dtype == torch.uint8
    assert stored["depth"].dtype == torch.uint16
    expected = tiny_dataset.maps()
    np.testing.assert_array_equal(stored["semseg"][0].numpy(), expected["semseg"][1::2, 1::2])
    halves = expected["rgb"].reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(stored["rgb"].permute(1, 2, 0).numpy()[1:-1, 1:-1] - halves[1:-1, 1:-1]).max() <= 1
    assert make(store_size=1000).read(0).height_width == (48, 64)


def test_limit_spreads_over_the_names(make: Make, tmp_path: Path) -> None:
    tiny_dataset.write(tmp_path / "more", num_train=40)
    names = [files.name for files in make(root=tmp_path / "more", limit=8).files]
    assert len(names) == 8
    assert names == sorted(names)
    assert names != [f"{index:04d}" for index in range(8)]
    with pytest.raises(ValueError, match="limit is 0"):
        make(limit=0)


def test_val_without_a_ratio_is_an_error(make: Make) -> None:
    with pytest.raises(ValueError, match=r"val of .* is empty with val_ratio=0\.0"):
        make(split="val")


def test_val_is_the_data_sets_own_where_it_has_one(make: Make, root: Path) -> None:
    shutil.copytree(root / "nyuv2" / "test", root / "nyuv2" / "val")
    assert [files.name for files in make(split="val").files] == ["0100", "0101", "0102"]
    assert len(make(split="train")) == 6
    shutil.rmtree(root / "nyuv2" / "test")
    # The only other split is the one that is reported.
    held_out = {files.name for files in make(split="val", val_ratio=0.5).files}
    assert held_out
    assert held_out < {files.name for files in make(split="train").files}


def test_stored_maps_are_not_shrunk(make: Make) -> None:
    depth = make(store_size=24, cache="memory").stored(0, modality="depth")
    np.testing.assert_array_equal(depth, tiny_dataset.maps()["depth"])


@pytest.mark.parametrize("modality", ["rgb", "depth", "semseg", "mask_valid"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_truncated_file_is_named(make: Make, root: Path, modality: str, share: float) -> None:
    path = file_of(root, modality)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=rf"{modality}/all/0002\.png: cannot be decoded as {modality}: "):
        make()[2]


def test_truncated_jpeg_is_named(make: Make, root: Path) -> None:
    path = file_of(root, "rgb").with_suffix(".jpg")
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    file_of(root, "rgb").unlink()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"0002\.jpg: cannot be decoded as rgb"):
        make()[2]


def test_flipped_bits_are_named(make: Make, root: Path) -> None:
    content = bytearray(file_of(root, "depth").read_bytes())
    content[len(content) // 2] ^= 0x10
    file_of(root, "depth").write_bytes(content)
    with pytest.raises(DataError, match=r"depth/all/0002\.png: cannot be decoded"):
        make()[2]


@pytest.mark.parametrize(
    ("modality", "array", "message"),
    [
        (
            "semseg",
            np.array([[41, 41], [255, 1]], np.uint8),
            r"3 pixels hold the values \[41, 255\]; nyuv2 has",
        ),
        ("semseg", np.zeros((2, 2, 3), np.uint8), r"semseg has image mode RGB, wanted one of \['L', 'P'\]"),
        ("depth", np.ones((2, 2), np.uint8), r"depth has image mode L, wanted one of \['I', 'I;16'\]"),
        (
            "mask_valid",
            np.array([[0, 1], [0, 1]], np.uint8),
            r"2 pixels hold the values \[1\]; a validity mask",
        ),
        ("rgb", np.ones((2, 2), np.uint16), "rgb has image mode I;16"),
        ("rgb", np.ones((96, 128, 3), np.uint8), r"sample '0002': modalities differ in size: .*0002\.png is 128x96, "),
    ],
)
def test_wrong_content_is_named(make: Make, root: Path, modality: str, array: np.ndarray, message: str) -> None:
    Image.fromarray(array).save(file_of(root, modality))
    with pytest.raises(DataError, match=message):
        # Sizes are compared before anything is shrunk to the same size.
        make(store_size=24)[2]


def test_grey_and_transparent_images_become_rgb(make: Make, root: Path) -> None:
    grey = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64).astype(np.uint8)
    for mode in ("L", "RGBA"):
        Image.fromarray(grey).convert(mode).save(file_of(root, "rgb"))
        np.testing.assert_array_equal(make().read(2).maps["rgb"].numpy(), np.stack([grey] * 3))


def test_palette_labels_are_indices(make: Make, root: Path) -> None:
    labels = tiny_dataset.maps()["semseg"]
    image = Image.fromarray(labels)
    image.putpalette([value for index in range(256) for value in (255 - index, index, 7)])
    image.save(file_of(root, "semseg"))
    np.testing.assert_array_equal(make().read(2).maps["semseg"][0].numpy(), labels)
