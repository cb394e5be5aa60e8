"""What every data set must do, whatever its files look like."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

import multimae.data.pipelines.regression  # noqa: F401  # registers its pipelines
from multimae.data.folder import MultiModalFolder
from multimae.data.open import find_dataset, find_root
from multimae.data.sample import DataNotFoundError
from multimae.data.spec import DatasetSpec, spec
from multimae.losses import IGNORE_LABEL
from multimae.tables.modalities import MODALITIES

SIZE = 32
"""Pixels a side of the batches that are made."""
PIPELINES: tuple[dict[str, Any], ...] = (
    {"type": "multimae.PretrainingAugmentation"},
    {"type": "multimae.PretrainingEvaluation"},
    {"type": "multimae.SemsegAugmentation"},
    {"type": "multimae.SemsegEvaluation", "protocol": "paper"},
    {"type": "multimae.SemsegEvaluation", "protocol": "standard"},
    {"type": "multimae.DepthAugmentation"},
    {"type": "multimae.DepthEvaluation", "protocol": "paper"},
    {"type": "multimae.DepthEvaluation", "protocol": "standard"},
    {"type": "multimae.RegressionAugmentation", "target": "normal"},
    {"type": "multimae.RegressionAugmentation", "target": "principal_curvature"},
    {"type": "multimae.RegressionEvaluation", "target": "depth_zbuffer", "protocol": "paper"},
    {"type": "multimae.RegressionEvaluation", "target": "edge_occlusion", "protocol": "standard"},
)
TARGETS = {"Semseg": "semseg", "Depth": "depth"}
"""The target of pipelines that do not name it, by the beginning of their name."""


class DatasetContract:
    """Check a data set on disk against its `DatasetSpec`.

    A subclass sets `dataset`, the name of a data set of this package or your own `DatasetSpec`, and a fixture
    `data_root` that returns the folder `--data-root` would name. Two dozen samples of `train` and one of `test` are
    enough. Override a test that cannot hold for your files, and call `pytest.skip` in it with the reason.
    """

    dataset: str | DatasetSpec

    @pytest.fixture
    def data_root(self) -> Path:
        """Return the folder that holds the data set's folder."""
        raise NotImplementedError("override data_root: return the folder that --data-root would name")

    @property
    def described(self) -> DatasetSpec:
        """Return the facts about the data set."""
        return self.dataset if isinstance(self.dataset, DatasetSpec) else spec(self.dataset)

    def folder(self, data_root: Path, **changes: Any) -> MultiModalFolder:
        """Return a split of the data set, by default all of `train`, as it is stored."""
        settings = {
            "root": data_root,
            "dataset": asdict(self.dataset) if isinstance(self.dataset, DatasetSpec) else self.dataset,
            "split": "train",
            "modalities": self.described.modalities,
            "pipeline": lambda sample: sample,
        }
        return MultiModalFolder(**{**settings, **changes})

    def test_spec_describes_itself(self) -> None:
        described = self.described
        assert self.dataset in (described, described.name)
        assert len(set(described.classes)) == described.num_classes != 1
        assert ("semseg" in described.modalities) == (described.num_classes > 0)
        assert len(set(described.palette)) == described.num_classes
        assert described.depth_std_mm > 0
        assert described.depth_mean_mm < 1000 * described.max_depth_m
        assert described.licence
        assert described.how_to_get

    def test_absent_data_says_how_to_get_it(self, tmp_path: Path) -> None:
        with pytest.raises(DataNotFoundError) as raised:
            find_root(tmp_path / "nowhere", self.described)
        assert str(tmp_path / "nowhere" / self.described.folder_names[0]) in str(raised.value)
        assert self.described.how_to_get in str(raised.value)

    def test_train_val_and_test_share_no_sample(self, data_root: Path) -> None:
        whole = self.folder(data_root)
        names = {
            split: _names(self.folder(data_root, split=split, val_ratio=0.3)) for split in ("train", "val", "test")
        }
        if not find_dataset(data_root, self.described).own_val:
            assert names["train"] | names["val"] == _names(whole)
        assert not names["train"] & names["val"]
        assert not names["val"] & names["test"]
        assert not names["test"] & _names(whole)
        assert all(names.values())

    def test_samples_hold_what_the_spec_says(self, data_root: Path) -> None:
        described = self.described
        folder = self.folder(data_root, limit=4)
        for index in range(len(folder)):
            maps = folder.read(index).maps
            assert set(maps) >= set(described.modalities)
            assert {map_.shape[-2:] for map_ in maps.values()} == {torch.Size(folder.read(index).height_width)}
            if "semseg" in maps:
                assert int(maps["semseg"].max()) <= described.num_classes
            if "depth" in maps:
                assert 0 < float(maps["depth"].float().max()) <= 1000 * described.max_depth_m

    def test_depth_constants_fit(self, data_root: Path) -> None:
        described = self.described
        if described.depth_mean_mm == 0:
            pytest.skip("the data set has no depth in metres, or its constants are not known")
        folder = self.folder(data_root, modalities=["depth"], limit=24)
        depth = torch.cat([folder.read(index).maps["depth"].float().flatten() for index in range(len(folder))])
        depth = depth[depth > 0]
        assert abs(float(depth.mean()) - described.depth_mean_mm) < 0.5 * described.depth_std_mm
        assert 0.5 < float(depth.std()) / described.depth_std_mm < 2

    def test_eval_crop_lies_in_every_test_image(self, data_root: Path) -> None:
        crop = self.described.eval_crop
        if crop is None:
            pytest.skip("the data set has no crop of its own")
        height, width = self.folder(data_root, split="test", limit=1).read(0).height_width
        assert 0 <= crop[0] < crop[1] <= height
        assert 0 <= crop[2] < crop[3] <= width

    @pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda p: "-".join([p["type"][9:], *list(p.values())[1:]]))
    def test_batches_fit_the_model(self, data_root: Path, pipeline: dict[str, Any]) -> None:
        described = self.described
        inputs = tuple(name for name in described.modalities if MODALITIES[name].kind != "domain")
        target = pipeline.get("target", next((TARGETS[kind] for kind in TARGETS if kind in pipeline["type"]), "rgb"))
        if target not in described.modalities:
            pytest.skip(f"the data set has no {target}")
        modalities = tuple(dict.fromkeys((*inputs, target)))
        pipeline = {**pipeline, "inputs": inputs, "size": SIZE}
        folder = self.folder(data_root, limit=2, modalities=modalities, pipeline=pipeline)
        batch = next(iter(DataLoader(folder, batch_size=2)))
        check_batch(batch, num_classes=described.num_classes, inputs=inputs)

    def test_every_sample_has_every_modality(self, data_root: Path) -> None:
        opened = find_dataset(data_root, self.described)
        for split in ("train", "test"):
            samples = opened.samples(split, opened.with_validity(split, self.described.modalities))
            assert list(samples.names) == sorted(set(samples.names))
            assert len(samples) > 0


def check_batch(batch: dict[str, dict[str, Any]], *, num_classes: int, inputs: tuple[str, ...]) -> None:
    """Check types, shapes and ranges of a batch of two samples as a model gets it."""
    assert set(batch) == {"inputs", "targets", "meta"}
    assert tuple(batch["inputs"]) == inputs
    assert len({map_.shape[-2] * MODALITIES[name].stride_level for name, map_ in batch["inputs"].items()}) == 1
    check_inputs(batch["inputs"], num_classes=num_classes)
    check_targets(batch["targets"], num_classes=num_classes)
    assert len(batch["meta"]["name"]) == 2
    assert batch["meta"]["original_hw"].shape == batch["meta"]["content_hw"].shape == (2, 2)


def check_inputs(inputs: dict[str, torch.Tensor], *, num_classes: int) -> None:
    """Check each modality that is there."""
    for name, map_ in inputs.items():
        facts = MODALITIES[name]
        assert type(map_) is torch.Tensor
        if facts.kind == "labels":
            assert map_.dtype == torch.int64
            assert 0 <= int(map_.min()) <= int(map_.max()) <= (facts.num_classes or num_classes)
        else:
            assert map_.dtype == torch.float32
            assert map_.shape[1] == facts.num_channels
            assert bool(map_.isfinite().all())
        if facts.kind == "normals":
            assert float(map_.abs().max()) <= 1


def check_targets(targets: dict[str, torch.Tensor], *, num_classes: int) -> None:
    """Check the labels, the depth or the domain, whichever is there."""
    if "semseg" in targets:
        assert targets["semseg"].dtype == torch.int64
        labelled = targets["semseg"][targets["semseg"] != IGNORE_LABEL]
        assert 0 <= int(labelled.min()) <= int(labelled.max()) < num_classes
    if "depth" in targets:
        assert targets["depth"].dtype == torch.float32
        assert targets["mask_valid"].dtype == torch.bool
        assert targets["depth"].shape == targets["mask_valid"].shape
        assert (targets["depth"][~targets["mask_valid"]] == 0).all()
    if "target" in targets:
        assert targets["target"].dtype == torch.float32
        assert targets["mask_valid"].dtype == torch.bool
        assert 0 <= float(targets["target"].min()) <= float(targets["target"].max()) <= 1
        assert targets["target"].shape[2:] == targets["mask_valid"].shape[2:]


def _names(folder: MultiModalFolder) -> set[str]:
    return {files.name for files in folder.files}
