"""Classes on disk, few labels, the classification pipelines, top-1 and top-5."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torch.utils.data import DataLoader
from torchvision import transforms

from multimae.data.dataset import OpenedDataset
from multimae.data.folder import MultiModalFolder
from multimae.data.maps import Sample
from multimae.data.open import open_dataset
from multimae.data.parts import few_of
from multimae.data.pipelines.classification import ClassificationAugmentation, ClassificationEvaluation
from multimae.data.sample import DataError
from multimae.data.spec import spec
from multimae.evaluation.classification import ClassificationMetric, class_counts
from multimae.evaluation.constants import ConstantPredictor
from tests.made import tiny_dataset
from tests.made.coordinates import moved_maps


def opened(root: Path) -> OpenedDataset:
    """Open the folder as it is now."""
    return open_dataset(root, spec("imagenet"))


@pytest.fixture
def by_folder(tmp_path: Path) -> Path:
    """ImageNet's layout: class folders, `val` instead of `test`, RGB and depth under the same names."""
    for split, per_class in (("train", 10), ("val", 2)):
        for number, label in enumerate(("ant", "bee")):
            for index in range(per_class):
                for modality, array in (
                    ("rgb", np.full((40, 48, 3), 40 + 120 * number + index, dtype=np.uint8)),
                    ("depth", np.full((40, 48), 1000 + 1000 * number, dtype=np.uint16)),
                ):
                    path = tmp_path / "nyuv2" / split / modality / label / f"{label}_{index}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(path)
    return tmp_path


def folder(root: Path, **changes: object) -> MultiModalFolder:
    settings = {"root": root, "dataset": "nyuv2", "split": "train", "modalities": ["rgb", "depth"], "labelled": True}
    return MultiModalFolder(**{**settings, "pipeline": lambda sample: sample, **changes})  # type: ignore[arg-type]


def test_class_folders_give_names_pairs_and_numbers(by_folder: Path) -> None:
    root = by_folder / "nyuv2"
    samples = opened(root).samples("test", ("rgb", "depth"))
    assert samples.names == ("ant/ant_0", "ant/ant_1", "bee/bee_0", "bee/bee_1")
    assert samples[2].paths["depth"] == root / "val" / "depth" / "bee" / "bee_0.png"
    assert opened(root).class_names() == ("ant", "bee")
    read = folder(by_folder, split="test")
    assert [read.read(index).label for index in range(4)] == [0, 0, 1, 1]
    assert class_counts(folder(by_folder)).tolist() == [10, 10]


def test_a_table_of_labels_serves_where_there_are_no_class_folders(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path) / "nyuv2"
    with pytest.raises(DataError, match=r"6 samples have no class, such as 0000: use class folders or .*labels\.csv"):
        folder(tmp_path)
    before = opened(root).fingerprint(("train",), ("rgb",))
    (root / "train" / "labels.csv").write_text("name,label\n" + "".join(f"000{i},{'ab'[i % 2]}\n" for i in range(6)))
    (root / "test" / "labels.csv").write_text("name,label\n0100,b\n0101,c\n")
    assert opened(root).fingerprint(("train",), ("rgb",)) != before
    assert [folder(tmp_path).read(index).label for index in range(3)] == [0, 1, 0]
    with pytest.raises(DataError, match=r"lacks 1 samples, such as 0102"):
        folder(tmp_path, split="test")
    (root / "test" / "labels.csv").write_text("name,label\n0100,b\n0101,c\n0102,a\n")
    with pytest.raises(DataError, match=r"'0101' .* is of class 'c', which no training sample is of"):
        folder(tmp_path, split="test").read(1)


def test_few_labels_are_few_of_every_class_and_nested() -> None:
    names = [f"{label}/{index}" for label, count in (("a", 200), ("b", 40), ("c", 3)) for index in range(count)]
    groups = opened(Path("nowhere")).labels("train", names)
    ten = few_of(names, ratio=0.1, seed=0, groups=groups)
    one = few_of(names, ratio=0.01, seed=0, groups=groups)
    assert [sum(name.startswith(label) for name in ten) for label in "abc"] == [20, 4, 1]
    assert [sum(name.startswith(label) for name in one) for label in "abc"] == [2, 1, 1]
    assert set(one) < set(ten)
    assert ten == few_of(names, ratio=0.1, seed=0, groups=groups)
    assert ten != few_of(names, ratio=0.1, seed=1, groups=groups)
    assert few_of(names, ratio=1.0, seed=0, groups=groups) == tuple(names)
    with pytest.raises(ValueError, match=r"train_ratio is 0\.0"):
        few_of(names, ratio=0.0, seed=0, groups=groups)


def test_few_labels_of_a_folder_leave_its_other_splits_whole(by_folder: Path) -> None:
    assert len(folder(by_folder, train_ratio=0.2)) == 4
    assert len(folder(by_folder, train_ratio=0.2, split="test")) == 4
    held_out = folder(by_folder, split="val", val_ratio=0.3).files.names
    assert folder(by_folder, split="val", val_ratio=0.3, train_ratio=0.2).files.names == held_out


@pytest.mark.parametrize("pipeline", [ClassificationAugmentation, ClassificationEvaluation])
def test_batches_hold_a_class_per_sample(by_folder: Path, pipeline) -> None:  # type: ignore[no-untyped-def]
    data = folder(by_folder, pipeline=pipeline(inputs=["rgb", "depth"], size=32))
    batch = next(iter(DataLoader(data, batch_size=20)))  # type: ignore[arg-type]
    assert batch["targets"]["label"].tolist() == [0] * 10 + [1] * 10
    assert batch["inputs"]["rgb"].shape == (20, 3, 32, 32)
    assert batch["inputs"]["depth"].shape == (20, 1, 32, 32)


def test_beside_other_modalities_rand_augment_moves_nothing(tmp_path: Path) -> None:
    data = folder(tiny_dataset.write(tmp_path), labelled=False, modalities=["rgb", "semseg"])
    sample = data.read(0)
    object.__setattr__(sample, "label", 0)
    kinds = {"alone": ["rgb"], "beside": ["rgb", "semseg"]}
    operations = {
        kind: {op.name for op in made.ops}
        for kind, inputs in kinds.items()
        if (
            made := ClassificationAugmentation(inputs=inputs, size=32, rand_augment="rand-m9-mstd0.5-inc1").rand_augment
        )
    }
    assert len(operations["alone"]) == 15
    assert operations["alone"] - operations["beside"] == {
        *("Rotate", "ShearX", "ShearY", "TranslateXRel", "TranslateYRel")
    }
    augmented = ClassificationAugmentation(inputs=["rgb"], size=32, rand_augment="rand-m9-mstd0.5-inc1")
    torch.manual_seed(0)
    assert augmented(sample)["inputs"]["rgb"].shape == (3, 32, 32)


def test_rand_augment_is_what_timm_builds_for_the_reference() -> None:
    described = "rand-m9-mstd0.5-inc1"
    settings = {"color_jitter": None, "auto_augment": described, "interpolation": "bicubic", "re_prob": 0.0}
    theirs = next(
        step for step in create_transform(224, is_training=True, **settings).transforms if hasattr(step, "ops")
    )
    ours = ClassificationAugmentation(inputs=["rgb"], size=224, rand_augment=described).rand_augment
    assert ours is not None
    assert (ours.num_layers, ours.choice_weights) == (theirs.num_layers, theirs.choice_weights) == (2, None)
    fields = ("name", "prob", "magnitude", "magnitude_std", "magnitude_max", "kwargs", "aug_fn")
    for mine, other in zip(ours.ops, theirs.ops, strict=True):
        # Ours keeps Pillow from refusing to keep no bit at all; the rest is timm's.
        same = [field for field in fields if field != "aug_fn" or mine.name != "PosterizeIncreasing"]
        assert [getattr(mine, field) for field in same] == [getattr(other, field) for field in same]
    assert ours.ops[0].kwargs == {"fillcolor": (124, 116, 104), "resample": Image.Resampling.BICUBIC}
    assert {operation.prob for operation in ours.ops} == {0.5}
    assert {"PosterizeIncreasing", "SolarizeIncreasing", "SharpnessIncreasing"} < {op.name for op in ours.ops}


@pytest.mark.parametrize("size", [(375, 500), (300, 500), (281, 300), (500, 334), (224, 224), (57, 91)])
def test_evaluation_sees_what_torchvision_shows(size: tuple[int, int]) -> None:
    height, width = size
    stored = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    steps = [transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224)]
    theirs = np.asarray(transforms.Compose(steps)(Image.fromarray(stored)))
    planes = torch.from_numpy(stored).permute(2, 0, 1)
    sample = Sample(name="a/0", spec=spec("imagenet"), maps={"rgb": planes}, label=0)
    ours = moved_maps(ClassificationEvaluation(inputs=["rgb"], size=224), sample)["rgb"].permute(1, 2, 0).numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_a_sample_without_a_class_is_an_error(tmp_path: Path) -> None:
    data = folder(tiny_dataset.write(tmp_path), labelled=False)
    with pytest.raises(DataError, match="'0000' has no class"):
        ClassificationEvaluation(inputs=["rgb"], size=32)(data.read(0))


def test_top_1_and_top_5_against_a_plain_count() -> None:
    rng = np.random.default_rng(0)
    logits, true = rng.normal(size=(50, 12)), rng.integers(12, size=50)
    metric = ClassificationMetric()
    for part in (slice(0, 20), slice(20, 50)):
        metric.process({"targets": {"label": torch.tensor(true[part])}}, list(torch.tensor(logits[part])))
    ranks = np.argsort(-logits, axis=1)
    expected = {
        "top1": 100 * np.mean(ranks[:, 0] == true),
        "top5": 100 * np.mean([label in row[:5] for row, label in zip(ranks, true, strict=True)]),
    }
    assert metric.evaluate(50) == pytest.approx(expected)


def test_diverged_logits_have_no_score() -> None:
    metric = ClassificationMetric()
    metric.process(
        {"targets": {"label": torch.tensor([0, 1])}}, [torch.tensor([1.0, 0.0]), torch.tensor([torch.nan, 0.0])]
    )
    assert np.isnan(metric.evaluate(2)["top1"])


def test_the_constant_predictor_says_the_most_frequent_class() -> None:
    constant = ConstantPredictor(ClassificationMetric(), constant=torch.tensor([1.0, 7.0, 2.0, 0.0, 0.0, 0.0, 5.0]))
    constant.process({"targets": {"label": torch.tensor([1, 1, 0, 5, 6])}})
    scores = constant.evaluate(5)
    assert scores["top1"] == 40
    assert scores["top5"] >= 80


def test_the_highest_magnitude_of_posterizing_leaves_black() -> None:
    pipeline = ClassificationAugmentation(inputs=("rgb",), size=8, rand_augment="rand-m10-inc1-p1")
    assert pipeline.rand_augment is not None
    (operation,) = (one for one in pipeline.rand_augment.ops if one.name == "PosterizeIncreasing")
    operation.magnitude_std = 0.0
    image = Image.new("RGB", (4, 4), (200, 100, 50))
    operation.magnitude = 10
    assert operation(image).getpixel((0, 0)) == (0, 0, 0)
    operation.magnitude = 6
    assert operation(image).getpixel((0, 0)) == (192, 64, 0)  # two bits
