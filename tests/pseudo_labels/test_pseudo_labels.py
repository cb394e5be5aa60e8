"""The files of pseudo labels: what is there stays, labels of two networks never mix, what is wrong is said."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multimae.pseudo_labels import sources
from multimae.pseudo_labels.labeller import Labeller
from multimae.pseudo_labels.sources import find_source, sha256_of
from tests.made import tiny_networks
from tests.made.labelling_cases import SIZES, labels, manifest, picture, read, run, write_images


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("networks")
    for kind in ("dpt", "mask2former"):
        tiny_networks.write(root / kind, kind=kind)
    tiny_networks.write(root / "metric", kind="depth_anything", depth_estimation_type="metric", max_depth=20)
    tiny_networks.write(root / "other_dpt", kind="dpt", seed=1)
    return root


@pytest.fixture
def rgb(tmp_path: Path) -> Path:
    return write_images(tmp_path / "rgb")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of a network was given."""
    counted: list[int] = []
    whole = Labeller.label

    def label(self: Labeller, images: Sequence[Any]) -> Any:
        counted.append(len(images))
        return whole(self, images)

    monkeypatch.setattr(Labeller, "label", label)
    return counted


def test_images_of_one_size_share_a_batch(networks: Path, rgb: Path, tmp_path: Path, calls: list[int]) -> None:
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt") == 0
    assert sorted(calls) == [1, 1, 1, 2]  # the two of 75x101


def test_a_stopped_labelling_goes_on_where_it_stopped(
    networks: Path, rgb: Path, tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Labeller.label

    def stop_at_the_third(self: Labeller, images: Sequence[Any]) -> Any:
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counting(self, images)

    folder = tmp_path / "out" / "pseudo_depth"
    monkeypatch.setattr(Labeller, "label", stop_at_the_third)
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt", "--batch-size", "1") == 130
    assert len(labels(folder)) == 2
    assert manifest(folder)["num_files"] is None
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    monkeypatch.setattr(Labeller, "label", counting)
    calls.clear()
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt", "--batch-size", "1") == 0
    assert calls == [1, 1, 1]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert manifest(folder)["num_files"] == 5
    calls.clear()
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt") == 0
    assert calls == []


def test_a_torn_label_is_made_again(networks: Path, rgb: Path, tmp_path: Path, calls: list[int]) -> None:
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt") == 0
    torn = tmp_path / "out" / "pseudo_depth" / "b" / "2.png"
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    calls.clear()
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt") == 0
    assert calls == [1]
    assert torn.read_bytes() == whole


def test_the_manifest_says_what_the_labels_are(networks: Path, rgb: Path, tmp_path: Path) -> None:
    options = ("--depth", networks / "metric", "--semseg", networks / "mask2former", "--max-side", "120")
    assert run(rgb, tmp_path / "out", *options) == 0
    depth = manifest(tmp_path / "out" / "pseudo_depth")
    assert depth["model"] == str(networks / "metric")
    assert depth["weights_sha256"] == sha256_of([networks / "metric" / "model.safetensors"])
    assert depth["unit"] == "millimetres; 0 = invalid"
    assert depth["input_size"] == {"min_side": 56, "max_side": 120, "multiple_of": 14}
    assert depth["settings"] == {"precision": "fp32", "min_side": None, "max_side": 120, "depth_output": None}
    assert depth["packages"].keys() == {"multimae", "torch", "transformers", "numpy", "pillow"}
    assert manifest(tmp_path / "out" / "pseudo_semseg")["unit"] == "class ids of the model as they are"


def test_labels_of_another_network_are_refused_or_replaced_but_never_mixed(
    networks: Path, rgb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out" / "pseudo_depth"
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt") == 0
    first = labels(folder)
    assert run(rgb, tmp_path / "out", "--depth", networks / "other_dpt") == 2
    said = capsys.readouterr().err
    assert str(networks / "dpt") in said
    assert "--overwrite" in said
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt", "--min-side", "96") == 2
    assert "min_side is None, wanted 96" in capsys.readouterr().err
    assert all((labels(folder)[name] == depth).all() for name, depth in first.items())
    assert run(rgb, tmp_path / "out", "--depth", networks / "other_dpt", "--overwrite") == 0
    assert all((labels(folder)[name] != depth).any() for name, depth in first.items())
    assert manifest(folder)["model"] == str(networks / "other_dpt")
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["pseudo_depth"]


def test_files_of_others_are_never_removed(
    networks: Path, rgb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = tmp_path / "out" / "depth" / "a" / "0.png"
    measured.parent.mkdir(parents=True)
    Image.fromarray(np.full((75, 101), 1234, dtype=np.uint16)).save(measured)
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt", "--prefix", "", "--overwrite") == 2
    assert "not written here" in capsys.readouterr().err
    assert (read(measured) == 1234).all()


def test_a_broken_image_is_named_and_the_others_are_labelled(
    networks: Path, rgb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = rgb / "b" / "2.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:500])
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt", "--semseg", networks / "mask2former") == 1
    said = capsys.readouterr().out
    assert str(broken) in said
    assert "could not be read: 1 images" in said
    for modality in ("depth", "semseg"):
        assert labels(tmp_path / "out" / f"pseudo_{modality}").keys() == SIZES.keys() - {"b/2"}
    broken.write_bytes(whole)
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt", "--semseg", networks / "mask2former") == 0
    assert labels(tmp_path / "out" / "pseudo_semseg").keys() == SIZES.keys()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "--depth, --semseg or --normal"),
        (["--depth", "{networks}/dpt", "--min-side", "600", "--max-side", "500"], 2, "sides"),
        (["--depth", "{networks}/dpt", "--rgb", "/nowhere"], 3, "no folder /nowhere"),
        (["--depth", "{networks}/dpt", "--out", "{rgb}/labels"], 2, "lies inside the images"),
        (["--depth", "{networks}/nothing"], 3, "no folder"),
        (["--depth", "{networks}"], 3, "holds no network"),
        (["--depth", "{networks}/mask2former"], 3, "cannot be loaded"),
        (["--semseg", "{networks}/dpt"], 3, "cannot be loaded"),
        (["--normal", "{networks}/dpt"], 2, "name the run directory"),
    ],
)
def test_what_is_wrong_is_said(
    networks: Path,
    rgb: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    said: str,
) -> None:
    filled = [option.format(networks=networks, rgb=rgb) for option in options]
    assert run(rgb, tmp_path / "out", *filled) == code
    assert said in capsys.readouterr().err


def test_without_transformers_the_extra_is_named(
    networks: Path, rgb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda _name: None)
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt") == 3
    assert "multimae[labels]" in capsys.readouterr().err


def test_a_hub_id_is_downloaded_once_and_offline_it_says_so(
    networks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    asked = []

    def download(model: str, *, allow_patterns: list[str]) -> str:
        asked.append((model, allow_patterns[-1]))
        return str(networks / "dpt")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    source = find_source("someone/dpt")
    assert asked == [("someone/dpt", "*.safetensors")]
    assert (source.model, source.folder) == ("someone/dpt", (networks / "dpt").resolve())

    def offline(model: str, *, allow_patterns: list[str]) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(sources.DataNotFoundError, match=r"someone/dpt.*pass its folder"):
        find_source("someone/dpt")


def test_too_many_classes_for_eight_bits_are_refused(
    rgb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_networks.write(tmp_path / "many", kind="segformer", num_labels=300)
    assert run(rgb, tmp_path / "out", "--semseg", folder) == 2
    assert "300 classes" in capsys.readouterr().err


def test_two_images_that_would_share_a_label_are_refused(
    networks: Path, rgb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(picture(40, 40, seed=9)).save(rgb / "a" / "0.jpg")
    assert run(rgb, tmp_path / "out", "--depth", networks / "dpt") == 3
    assert "0.jpg" in capsys.readouterr().err


def test_help_loads_neither_torch_nor_transformers() -> None:
    for words in (["--help"], ["pseudo-label", "--help"]):
        shown = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "multimae.cli", "data", *words], capture_output=True, text=True
        )
        assert shown.returncode == 0
        assert "pseudo-label" in shown.stdout
        imported = {line.rsplit("|", 1)[-1].strip() for line in shown.stderr.splitlines()}
        assert "multimae.pseudo_labels.settings" in imported
        assert not imported & {"torch", "transformers", "huggingface_hub", "mmengine"}
