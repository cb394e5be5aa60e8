"""Labels of a network as an input beside the data set's own as the target: adapter, start from a checkpoint, files."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.nyuv2 import PRETRAINING
from experiments.plan.planning import Data, make_plan
from experiments.plan.rundirs import prepare
from experiments.plan.suite import SuiteRun
from multimae.backbone import MultiMAE
from multimae.checkpoints.files import write_tensors
from multimae.checkpoints.loading import load_backbone, load_model
from multimae.data.coco import CLASSES
from multimae.data.folder import MultiModalFolder
from multimae.data.labels import FIXED
from multimae.data.pipelines.semseg import SemsegAugmentation
from multimae.data.sample import DataError
from multimae.engine.job import execute
from multimae.engine.signals import StopRequest
from multimae.pretraining import MultiMAEPretraining
from multimae.record.attempt import Attempt
from multimae.tables.modalities import modality
from multimae.transfer import MultiMAETransfer
from tests.made import tiny_dataset
from tests.made.tinydata import SIZE, write_frames

PREFIX = "input_adapters.semseg."
TINY = {"image_size": 64, "dim": 16, "depth": 2, "num_heads": 2, "dim_class_emb": 4}


def backbone(*modalities: str, seed: int = 1, num_classes: int = 133, padding: str = "none") -> MultiMAE:
    torch.manual_seed(seed)
    return MultiMAE(modalities=modalities, num_semseg_classes=num_classes, semseg_padding=padding, **TINY)


def prepared_pretraining(tmp_path: Path) -> Path:
    """Prepare a pre-training of two steps that reads and predicts labels of two classes of COCO, left and right."""
    root = write_frames(tmp_path / "data", num_train=4, num_test=2) / "nyuv2"
    halves = np.full(SIZE, 3, dtype=np.uint8)
    halves[:, SIZE[1] // 2 :] = 132
    for path in list(root.glob("*/rgb/all/*.png")):
        labels = path.parents[2] / "pseudo_semseg" / "all" / path.name
        labels.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(halves).save(labels)
    short = {"input_size": 64, "batch_size": 4, "epochs": 2, "warmup_epochs": 0, "val_ratio": 0.0}
    run = SuiteRun(
        suite="own",
        task=PRETRAINING,
        dataset="nyuv2",
        inputs=("rgb", "pseudo_semseg"),
        checkpoint="scratch",
        seed=0,
        recipe=replace(PRETRAINING.recipes["cpu"], num_visible_tokens=12, **short),
        size="tiny",
        profile="cpu",
    )
    data = Data(name="nyuv2", root=root, fingerprint="0", num_train=4, num_test=2)
    return prepare(make_plan([run], data={"nyuv2": data})[0], suite_dir=tmp_path / "runs")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Pre-trained with COCO's labels as `semseg`, as the published weights are."""
    path = tmp_path / "coco.safetensors"
    state = backbone("rgb", "depth", "semseg", seed=0).state_dict()
    write_tensors(path, {f"backbone.{name}": tensor for name, tensor in state.items()})
    return path


def test_the_table_and_the_names_agree() -> None:
    assert modality("pseudo_semseg").num_classes == len(CLASSES)


def test_the_adapter_has_a_row_of_zeros_for_padding_whatever_the_data_set_is() -> None:
    adapters = backbone("rgb", "pseudo_semseg", "semseg", num_classes=40, padding="extra_class").input_adapters
    assert adapters["pseudo_semseg"].class_emb.weight.shape == (134, 4)
    assert adapters["semseg"].class_emb.weight.shape == (41, 4)
    assert (adapters["pseudo_semseg"].class_emb.weight[133] == 0).all()


def test_the_checkpoints_semseg_adapter_feeds_it(checkpoint: Path) -> None:
    source, model = backbone("rgb", "depth", "semseg", seed=0), backbone("rgb", "depth", "pseudo_semseg")
    report = load_backbone(model, checkpoint)
    state = model.state_dict()
    for name, tensor in source.state_dict().items():
        loaded = state[name.replace(PREFIX, "input_adapters.pseudo_semseg.")]
        assert torch.equal(loaded[: len(tensor)], tensor), name
    assert (state["input_adapters.pseudo_semseg.class_emb.weight"][133] == 0).all()
    assert report.missing == report.unexpected == ()


def test_both_may_start_from_one(checkpoint: Path) -> None:
    model = backbone("semseg", "pseudo_semseg")
    load_backbone(model, checkpoint)
    state = model.state_dict()
    assert torch.equal(state[f"{PREFIX}proj.weight"], state["input_adapters.pseudo_semseg.proj.weight"])


def test_labels_of_other_classes_are_no_start(tmp_path: Path) -> None:
    path = tmp_path / "nyu.safetensors"
    state = backbone("rgb", "semseg", num_classes=40, padding="extra_class").state_dict()
    write_tensors(path, {f"backbone.{name}": tensor for name, tensor in state.items()})
    with pytest.raises(ValueError, match=r"lacks 4 of the model's parameters: input_adapters\.pseudo_semseg"):
        load_backbone(backbone("rgb", "pseudo_semseg"), path)
    report = load_backbone(backbone("rgb", "pseudo_semseg"), path, new_modalities=["pseudo_semseg"])
    assert all(name.startswith("input_adapters.pseudo_semseg.") for name in report.missing)


def test_its_own_weights_come_first(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    model = MultiMAETransfer(
        backbone={"type": "multimae.MultiMAE", "modalities": ["semseg", "pseudo_semseg"], **TINY},
        head={"type": "linear", "num_outputs": 3},
        loss="l1",
    )
    write_tensors(path, model.state_dict())
    kept = model.state_dict()["backbone.input_adapters.pseudo_semseg.proj.weight"].clone()
    torch.nn.init.zeros_(model.backbone.input_adapters["pseudo_semseg"].proj.weight)
    load_model(model, path)
    assert torch.equal(model.backbone.input_adapters["pseudo_semseg"].proj.weight, kept)


def test_it_can_be_predicted_beside_the_data_sets_own() -> None:
    torch.manual_seed(0)
    model = MultiMAEPretraining(
        backbone={"type": "multimae.MultiMAE", "modalities": ["rgb"], "num_semseg_classes": 5, **TINY},
        outputs=["semseg", "pseudo_semseg"],
        decoder_dim=8,
        decoder_depth=1,
        decoder_heads=2,
        num_visible_tokens=4,
    )
    targets = {"semseg": torch.randint(5, (2, 16, 16)), "pseudo_semseg": torch.randint(5, 133, (2, 16, 16))}
    unlabelled = {**targets, "pseudo_semseg": torch.full((2, 16, 16), 133)}
    inputs = {"rgb": torch.randn(2, 3, 64, 64)}
    known, unknown = (model.loss(inputs, targets=labels) for labels in (targets, unlabelled))
    assert 4 < known["loss_pseudo_semseg"] < 6  # about ln(133)
    assert unknown["loss_pseudo_semseg"] == 0


def test_a_pretraining_that_predicts_it_runs_to_its_pictures(tmp_path: Path) -> None:
    run_dir = prepared_pretraining(tmp_path)
    attempt = Attempt(run_dir=run_dir, number=1)
    attempt.start()
    execute(attempt, stop=StopRequest())
    result = json.loads((run_dir / "result.json").read_text())
    constants = {row["metric"]: row["value"] for row in result["baselines"]}
    # Two classes out of 133, each in half of the pixels: the best constant loses ln(2).
    assert constants["loss_pseudo_semseg"] == pytest.approx(math.log(2), abs=0.05)
    picture = next((run_dir / "artifacts" / "predictions").glob("*/pseudo_semseg.png"))
    code = FIXED["pseudo_semseg"]
    with Image.open(picture) as image:
        assert {colour for _, colour in image.getcolors()} == {code.palette[3], code.palette[132]}
    index = json.loads((run_dir / "artifacts" / "reconstruction" / "index.json").read_text())
    (column,) = (column for column in index["columns"] if column["name"] == "pseudo_semseg")
    assert {CLASSES[3], CLASSES[132]} <= {entry["name"] for entry in column["classes"]}


def test_files_of_other_classes_are_named(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path)
    for split, names in (("train", range(6)), ("test", range(100, 103))):
        folder = root / "nyuv2" / split / "pseudo_semseg" / "all"
        folder.mkdir(parents=True)
        for name in names:
            Image.fromarray(np.full((48, 64), 132, dtype=np.uint8)).save(folder / f"{name:04d}.png")
    pipeline = SemsegAugmentation(inputs=("rgb", "pseudo_semseg"), size=32, scale_min=0.5, scale_max=0.5)
    settings = {"root": root, "dataset": "nyuv2", "split": "train", "pipeline": pipeline}
    wanted = ["rgb", "semseg", "pseudo_semseg"]
    example = MultiModalFolder(**settings, modalities=wanted)[0]
    assert example["inputs"]["pseudo_semseg"].unique().tolist() == [132, 133]
    manifest = root / "nyuv2" / "train" / "pseudo_semseg" / "manifest.json"
    manifest.write_text(json.dumps({"classes": dict(enumerate(CLASSES))}))
    assert len(MultiModalFolder(**settings, modalities=wanted)) == 6
    manifest.write_text(json.dumps({"classes": {"0": "wall"}}))
    with pytest.raises(
        DataError, match=r"labels of 1 classes.*wanted the 133 of pseudo_semseg, first \('0', 'person'\)"
    ):
        MultiModalFolder(**settings, modalities=wanted)
