"""What users are told when something is wrong: each row is damage, a command, its exit code and its words."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import multimae.cli
from multimae.prepare import command as prepare_command
from multimae.prepare import conversion
from tests.made import tiny_dataset
from tests.made.error_table import TABLE, Row
from tests.made.published_files import nyu_frame, write_nyu

ROOT = Path(__file__).parents[2]
PLACES = {"DATA": "data", "FROM": "published", "OUT": "out", "RUNS": "runs", "SUITE": "one.py", "FILE": "mine.pth"}
SUITE = """\
from benchmarks.nyuv2 import SEMSEG
from experiments.plan.suite import Suite, Transfer

SHORT = SEMSEG.variant(SEMSEG.name, epochs=1, warmup_epochs=0, num_evaluations=1, input_size=64, batch_size=4)
SUITE = Suite(
    name="one", title="One", dataset="nyuv2", transfers=(Transfer(task=SHORT, inputs=("rgb",)),),
    checkpoints=("scratch",), seeds=(0,), sizes={"cpu": "tiny", "paper": "base"},
)
"""
Patch = pytest.MonkeyPatch
Act = Callable[[Path], object]


def overwrite(path: str, array: Any) -> Act:
    return lambda place: Image.fromarray(array).save(place / "data" / "nyuv2" / path)


def flat(value: int, dtype: type = np.uint8) -> Any:
    return np.full((tiny_dataset.HEIGHT, tiny_dataset.WIDTH), value, dtype)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def truncate_all_labels(place: Path) -> None:
    for path in (place / "data/nyuv2/train/semseg/all").iterdir():
        truncate(path)


def rename_photograph(place: Path, suffix: str) -> None:
    path = place / "data/nyuv2/train/rgb/all/0002.png"
    path.rename(path.with_suffix(suffix))


def empty_test_split(place: Path) -> None:
    for path in (place / "data/nyuv2/test").glob("*/all/*"):
        path.unlink()


def name_it_mask(place: Path) -> None:
    for split in ("train", "test"):
        (place / "data/nyuv2" / split / "mask_valid").rename(place / "data/nyuv2" / split / "mask")


def scale_depth(place: Path) -> None:
    for path in (place / "data/nyuv2").glob("*/depth/all/*"):
        Image.fromarray((tiny_dataset.maps()["depth"] * 6.5536).astype(np.uint16)).save(path)


def repeat_in_test(place: Path) -> None:
    for modality in tiny_dataset.maps():
        shutil.copy(
            place / f"data/nyuv2/train/{modality}/all/0002.png", place / f"data/nyuv2/test/{modality}/all/0002.png"
        )


def sort_into_classes(place: Path) -> None:
    """Make an ImageNet of RGB alone, whose test images are of a class of their own."""
    for split, label in (("train", "n01"), ("test", "n02")):
        (place / "data/nyuv2" / split / "rgb/all").rename(place / "data/nyuv2" / split / f"rgb/{label}")
        for modality in ("depth", "semseg", "mask_valid", "normal"):
            shutil.rmtree(place / "data/nyuv2" / split / modality)
    (place / "data/nyuv2").rename(place / "data/imagenet")


def list_labels(place: Path) -> None:
    names = {"train": (0, 1, 3, 4, 5), "test": (100, 101, 102)}
    for split, numbers in names.items():
        listed = "".join(f"{number:04d},bedroom\n" for number in numbers)
        (place / f"data/nyuv2/{split}/labels.csv").write_text(f"name,label\n{listed}")


def label_by_another_network(place: Path) -> None:
    for split in ("train", "test"):
        home = place / "data/nyuv2" / split
        shutil.copytree(home / "semseg", home / "pseudo_semseg")
        (home / "pseudo_semseg/manifest.json").write_text(json.dumps({"classes": {"0": "person"}}))


def save_weights_without_one(place: Path) -> None:
    from multimae import SIZES, MultiMAE

    size = SIZES["tiny"]
    backbone = MultiMAE(modalities=["rgb"], image_size=64, dim=size.dim, depth=size.depth, num_heads=size.num_heads)
    state = backbone.state_dict()
    del state["encoder.0.attn.qkv.weight"]
    torch.save(state, place / "mine.pth")


def misspell_modality(place: Path) -> None:
    (place / "one.py").write_text(SUITE.replace('("rgb",)', '("rgbd",)'))


def kill_a_job(place: Path) -> None:
    """Kill the first job as soon as it runs."""
    for _ in range(1200):
        for path in place.glob("runs/one/*/attempts/1/started.json"):
            os.kill(json.loads(path.read_text())["pid"], signal.SIGKILL)
            return
        time.sleep(0.05)


def see_that_it_was(place: Path) -> None:
    assert len(list(place.glob("runs/one/*/attempts/*/started.json"))) == 2


def publish(place: Path) -> None:
    write_nyu(place / "published", [nyu_frame(seed) for seed in range(3)], train=[1, 2], test=[3])


def publish_without_splits(place: Path) -> None:
    publish(place)
    (place / "published/splits.mat").unlink()


def prepare_then(act: Callable[[Path], object]) -> Act:
    """Prepare, then act on a prepared depth map."""

    def prepared(place: Path) -> None:
        publish(place)
        assert multimae.cli.main(shlex.split(f"data prepare nyuv2 --from {place}/published --out {place}/out")) == 0
        act(place / "out/train/depth/all/0001.png")

    return prepared


def change_one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def fill_the_disk(patch: Patch) -> None:
    usage = shutil.disk_usage("/")._replace(free=0)
    patch.setattr(conversion.shutil, "disk_usage", lambda path: usage)


def interrupt_preparation(patch: Patch) -> None:
    def interrupted(source: Any, **settings: Any) -> Any:
        settings["progress"] = lambda done, total: signal.raise_signal(signal.SIGINT) if done else None
        return conversion.prepare(source, **settings)

    patch.setattr(prepare_command, "prepare", interrupted)


def nothing(_: Any) -> None:
    pass


DAMAGES: dict[str, Act] = {
    "no data there": lambda place: shutil.rmtree(place / "data"),
    "misspelt suite": nothing,
    "misspelt data set": nothing,
    "misspelt recipe key": nothing,
    "misspelt start": nothing,
    "misspelt modality in a suite": misspell_modality,
    "a sample without depth": lambda place: (place / "data/nyuv2/train/depth/all/0002.png").unlink(),
    "a photograph in a format that is not read": lambda place: rename_photograph(place, ".heic"),
    "a split without images": empty_test_split,
    "folder `mask` instead of `mask_valid`": name_it_mask,
    "truncated PNG": lambda place: truncate(place / "data/nyuv2/train/semseg/all/0002.png"),
    "all labels truncated, while training": truncate_all_labels,
    "8-bit depth": overwrite("train/depth/all/0002.png", flat(7)),
    "depth as the reference's script writes it": scale_depth,
    "label 41 of 40 classes": overwrite("train/semseg/all/0002.png", flat(41)),
    "image larger than its labels": overwrite(
        "train/rgb/all/0002.png", np.arange(36864).astype("u1").reshape(96, 128, 3)
    ),
    "depth all 0": overwrite("train/depth/all/0002.png", flat(0, np.uint16)),
    "a test image among the training images": repeat_in_test,
    "a class that train lacks": sort_into_classes,
    "labels.csv lacks a row": list_labels,
    "pseudo labels of other classes": label_by_another_network,
    "checkpoint that lacks a parameter": save_weights_without_one,
    "a job is killed": nothing,
    "published files that are not all there": publish_without_splits,
    "disk too full to prepare": publish,
    "preparation interrupted": publish,
    "a prepared file was overwritten": prepare_then(change_one_byte),
    "a prepared file is gone": prepare_then(Path.unlink),
}
"""What is done to the files before the command, by the `wrong` of a row."""
PATCHES: dict[str, Callable[[Patch], object]] = {
    "disk too full to prepare": fill_the_disk,
    "preparation interrupted": interrupt_preparation,
}
MEANWHILE: dict[str, Act] = {"a job is killed": kill_a_job}
"""What is done while the command runs."""
AFTERWARDS: dict[str, Act] = {"a job is killed": see_that_it_was}
"""What is looked at when the command has ended."""


def test_every_row_has_its_damage_and_every_damage_a_row() -> None:
    assert {row.wrong for row in TABLE} == set(DAMAGES)
    assert all(row.told for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.wrong}-{row.command.split()[0]}")
def test_the_table_tells_what_the_user_is_told(
    row: Row, tmp_path: Path, monkeypatch: Patch, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny_dataset.write(tmp_path / "data")
    (tmp_path / "one.py").write_text(SUITE)
    DAMAGES[row.wrong](tmp_path)
    capfd.readouterr()
    PATCHES.get(row.wrong, nothing)(monkeypatch)
    meanwhile = threading.Thread(target=MEANWHILE.get(row.wrong, nothing), args=(tmp_path,), daemon=True)
    meanwhile.start()
    code, output = run(placed(row.command, tmp_path), capfd=capfd, monkeypatch=monkeypatch)
    assert code == row.code, output
    assert "Traceback" not in output
    position = 0
    for said in row.told:
        pattern = re.escape(placed(said, tmp_path)).replace(r"\.\.\.", ".*")
        found = re.compile(pattern).search(output, position)
        assert found, f"not told: {said}\n{output}"
        position = found.end()
    AFTERWARDS.get(row.wrong, nothing)(tmp_path)


def placed(text: str, place: Path) -> str:
    """Put the paths in."""
    return re.sub(rf"\b({'|'.join(PLACES)})\b", lambda found: str(place / PLACES[found[0]]), text)


def run(command: str, *, capfd: pytest.CaptureFixture[str], monkeypatch: Patch) -> tuple[int, str]:
    """Run a command, return its exit code and what it prints; `multimae` in this process, where it can be patched."""
    name, *options = shlex.split(command)
    if name == "python":
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        done = subprocess.run([sys.executable, *options], capture_output=True, text=True, timeout=300, cwd=ROOT)
        return done.returncode, done.stdout + done.stderr
    assert name == "multimae"
    monkeypatch.setattr(sys, "path", [*sys.path])
    try:
        code: Any = multimae.cli.main([*options, "--workers", "1"])
    except SystemExit as stopped:
        code = stopped.code
    output, errors = capfd.readouterr()
    return code, output + errors
