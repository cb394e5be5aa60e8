"""Pictures of a pre-training's predictions: of what it reads, of what it only predicts, of nothing that is missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from PIL import Image

from multimae.pictures.predictions import save_predictions
from multimae.pictures.reconstruction import HIDDEN, draw_reconstructions
from multimae.record.spool import Spool
from multimae.registry import MODELS
from tests.made.pretrained import job_config, model_config
from tests.made.tinydata import write_frames


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"), num_train=1, num_test=2)


def pictures(data: Path, *, inputs: list[str], outputs: list[str], to: Path, **dataset: Any) -> dict[str, set[str]]:
    """Return which pictures there are of each sample."""
    torch.manual_seed(0)
    model = MODELS.build(model_config(inputs=inputs, outputs=outputs))
    job = ConfigDict(job_config(data, inputs=inputs, **dataset))
    saved = save_predictions(model, job, draw=draw_reconstructions, artifacts=to / "artifacts", spool=Spool(None))
    assert all((to / path).is_file() for entry in saved for path in entry.images.values())
    return {entry.name: set(entry.images) for entry in saved}


def three(name: str) -> set[str]:
    return {name, f"{name}_masked", f"{name}_prediction"}


def test_what_is_predicted_without_being_read_is_hidden_everywhere(data: Path, tmp_path: Path) -> None:
    pipeline = job_config(data, inputs=["rgb"])["evaluations"][0]["dataloader"]["dataset"]["pipeline"]
    pipeline = {**pipeline, "targets": ["depth"]}
    found = pictures(
        data,
        inputs=["rgb"],
        outputs=["rgb", "depth", "norm_rgb"],
        to=tmp_path,
        modalities=["rgb", "depth"],
        pipeline=pipeline,
    )
    assert found == dict.fromkeys(("1000", "1001"), three("rgb") | three("depth"))
    with Image.open(tmp_path / "artifacts" / "predictions" / "1000" / "depth_masked.png") as image:
        assert (np.asarray(image) == HIDDEN).all()


def test_a_missing_modality_has_no_picture(data: Path, tmp_path: Path) -> None:
    incomplete = write_frames(tmp_path / "data", num_train=1, num_test=2)
    (incomplete / "nyuv2" / "test" / "depth" / "all" / "1001.png").unlink()
    both = ["rgb", "depth"]
    found = pictures(incomplete, inputs=both, outputs=both, to=tmp_path, missing="allow")
    assert found == {"1000": three("rgb") | three("depth"), "1001": three("rgb")}
