"""The check of a data set finds what was damaged, all of it and nothing else."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from multimae.data import manifest as manifests
from multimae.data.dataset import OpenedDataset
from multimae.data.labels import FIXED, label_code
from multimae.data.manifest import FileRecord, Manifest, Provenance
from multimae.data.open import open_dataset
from multimae.data.sets.nyuv2 import SPEC
from multimae.data.spec import spec
from multimae.data_cli import main
from multimae.verify import command as verify_cli
from multimae.verify.check import Effort, verify
from multimae.verify.findings import FAULTS, Finding, Verification, grouped
from multimae.verify.units import implausible_depth
from tests.made import tiny_dataset

SHARED = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[3] / "shared"))
ALL = Effort(sample=None)
HEIGHT_WIDTH = (tiny_dataset.HEIGHT, tiny_dataset.WIDTH)
Damage = Callable[[Path], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path) / "nyuv2"


def check(root: Path, **effort: Any) -> Verification:
    return verify(open_dataset(root, SPEC), effort=replace(ALL, **effort))


def seen(found: Verification) -> set[tuple[str, str, str, str]]:
    return {(entry.kind, entry.split, entry.modality, entry.name) for entry in found.findings}


def save(path: str, pixels: Any, dtype: type = np.uint8) -> Damage:
    """Return what overwrites a file with such pixels."""
    array = np.broadcast_to(np.asarray(pixels, dtype), HEIGHT_WIDTH) if np.ndim(pixels) == 0 else pixels
    return lambda root: Image.fromarray(np.ascontiguousarray(array)).save(root / path)


def cut(path: str, *, keep: float) -> Damage:
    def damage(root: Path) -> None:
        content = (root / path).read_bytes()
        (root / path).write_bytes(content[: int(keep * len(content))])

    return damage


def write(path: str, text: str) -> Damage:
    return lambda root: (root / path).write_text(text)


def link_to_nothing(path: str) -> Damage:
    def damage(root: Path) -> None:
        (root / path).unlink()
        (root / path).symlink_to("gone")

    return damage


def bomb(path: str) -> Damage:
    """Return what makes a file's head promise more pixels than Pillow dares to decode."""

    def damage(root: Path) -> None:
        content = bytearray((root / path).read_bytes())
        content[16:24] = (100_000).to_bytes(4) * 2
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
        (root / path).write_bytes(content)

    return damage


def leak(root: Path) -> None:
    for modality in tiny_dataset.maps():
        shutil.copy(root / f"train/{modality}/all/0003.png", root / f"test/{modality}/all/0003.png")


def without(split: str, modality: str) -> Damage:
    return lambda root: shutil.rmtree(root / split / modality)


ROWS = "name,label\n" + "".join(f"{index:04d},bedroom\n" for index in range(6))
ODD = np.array([[41, 41], [255, 1]], np.uint8)
LARGE = np.arange(96 * 128 * 3, dtype=np.uint32).reshape(96, 128, 3).astype(np.uint8)
DAMAGED: dict[str, tuple[Damage, tuple[str, str, str, str], str]] = {
    "partner": (
        lambda root: (root / "train/depth/all/0002.png").unlink(),
        ("missing_partner", "train", "depth", "0002"),
        "",
    ),
    "partner in test": (
        lambda root: (root / "test/rgb/all/0101.png").unlink(),
        ("missing_partner", "test", "rgb", "0101"),
        "",
    ),
    "truncated": (
        cut("train/depth/all/0001.png", keep=0.6),
        ("undecodable", "train", "depth", "train/depth/all/0001.png"),
        "cannot be decoded as depth: ",
    ),
    "empty file": (
        cut("test/semseg/all/0100.png", keep=0),
        ("undecodable", "test", "semseg", "test/semseg/all/0100.png"),
        "cannot identify image file",
    ),
    "link to nothing": (
        link_to_nothing("train/rgb/all/0005.png"),
        ("undecodable", "train", "rgb", "train/rgb/all/0005.png"),
        "FileNotFoundError",
    ),
    "bomb": (
        bomb("train/rgb/all/0005.png"),
        ("undecodable", "train", "rgb", "train/rgb/all/0005.png"),
        "DecompressionBombError",
    ),
    "8-bit depth": (
        save("train/depth/all/0001.png", 7),
        ("format", "train", "depth", "train/depth/all/0001.png"),
        "depth has image mode L, wanted one of ['I', 'I;16']",
    ),
    "16-bit rgb": (
        save("train/rgb/all/0001.png", 7, np.uint16),
        ("format", "train", "rgb", "train/rgb/all/0001.png"),
        "rgb has image mode I;16",
    ),
    "colour labels": (
        save("train/semseg/all/0001.png", np.ones((*HEIGHT_WIDTH, 3), np.uint8)),
        ("format", "train", "semseg", "train/semseg/all/0001.png"),
        "semseg has image mode RGB",
    ),
    "labels": (
        save("train/semseg/all/0001.png", np.tile(ODD, (24, 32))),
        ("values", "train", "semseg", "train/semseg/all/0001.png"),
        "2304 pixels hold the values [41, 255]; nyuv2 has labels 1 to 40, and 0 for unlabelled",
    ),
    "validity": (
        save("train/mask_valid/all/0001.png", 1),
        ("values", "train", "mask_valid", "train/mask_valid/all/0001.png"),
        "3072 pixels hold the values [1]",
    ),
    "sizes": (
        save("train/rgb/all/0001.png", LARGE),
        ("size", "train", "", "0001"),
        "rgb is 128x96, depth is 64x48",
    ),
    "no depth": (
        save("train/depth/all/0001.png", 0, np.uint16),
        ("no_depth", "train", "depth", "train/depth/all/0001.png"),
        "every pixel is 0",
    ),
    "nothing valid": (
        save("train/mask_valid/all/0001.png", 0),
        ("nothing_valid", "train", "mask_valid", "train/mask_valid/all/0001.png"),
        "every pixel is 0",
    ),
    "unlabelled": (
        save("train/semseg/all/0001.png", 0),
        ("unlabelled", "train", "semseg", "train/semseg/all/0001.png"),
        "every pixel is unlabelled",
    ),
    "one colour": (
        save("train/rgb/all/0001.png", np.full((*HEIGHT_WIDTH, 3), (9, 8, 7), np.uint8)),
        ("constant", "train", "rgb", "train/rgb/all/0001.png"),
        "every pixel is [9, 8, 7]",
    ),
    "no normals": (
        save("train/normal/all/0001.png", np.zeros((*HEIGHT_WIDTH, 3), np.uint8)),
        ("constant", "train", "normal", "train/normal/all/0001.png"),
        "every normal is missing",
    ),
    "modality of one split": (without("test", "depth"), ("missing_in_split", "test", "depth", ""), ""),
    "other name": (
        lambda root: [(root / split / "mask_valid").rename(root / split / "mask") for split in ("train", "test")][:0],
        ("unknown_folder", "train", "mask", ""),
        "no modality 'mask'; did you mean mask_valid",
    ),
    "two files": (
        lambda root: (root / "train/rgb/all/0001.jpg").touch(),
        ("unlistable", "train", "rgb", ""),
        "two files for one sample",
    ),
    "leak": (leak, ("leak", "test", "", "0003"), "train/rgb/all/0003.png is test/rgb/all/0003.png"),
    "row without a comma": (
        write("train/labels.csv", ROWS + "0007\n"),
        ("label_rows", "train", "", "labels.csv"),
        "row 8 is '0007', wanted name,label",
    ),
    "row without a file": (
        write("train/labels.csv", ROWS + "0007,x\n"),
        ("label_rows", "train", "", "0007"),
        "no file",
    ),
    "file without a row": (
        write("train/labels.csv", ROWS.replace("0003,bedroom\n", "")),
        ("label_rows", "train", "", "0003"),
        "has no row",
    ),
    "pseudo labels": (
        write("test/semseg/manifest.json", json.dumps({"classes": {"0": "person"}})),
        ("other_classes", "test", "semseg", ""),
        "1 classes, first ('0', 'person'); nyuv2 has 40, first ('1', 'wall')",
    ),
}
BESIDES = {
    "other name": {("unknown_folder", "test", "mask", "")},
}
"""What else a damage amounts to."""


def test_nothing_is_found_where_nothing_is_wrong(root: Path) -> None:
    found = check(root)
    assert found.findings == ()
    assert {(count.split, count.modality): count.files for count in found.counts} == {
        (split, modality): files for split, files in (("train", 6), ("test", 3)) for modality in tiny_dataset.maps()
    }
    assert all(count.missing == 0 and count.decoded == count.files for count in found.counts)


def test_nothing_is_found_in_nyuv2() -> None:
    if not (SHARED / "data" / "nyuv2").is_dir():
        pytest.skip(f"NYUv2 is not at {SHARED}/data")
    found = verify(open_dataset(SHARED / "data" / "nyuv2", SPEC), effort=Effort(sample=40))
    assert found.findings == ()
    assert {count.files for count in found.counts} == {795, 654}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damage_is_found_and_nothing_else(root: Path, name: str) -> None:
    damage, finding, detail = DAMAGED[name]
    damage(root)
    found = check(root)
    besides = BESIDES.get(name, set())
    assert seen(found) - besides - _expected_without_class_labels(root) == {finding}
    assert besides <= seen(found)
    assert any(detail in entry.detail for entry in found.findings if entry.kind == finding[0])


def _expected_without_class_labels(root: Path) -> set[tuple[str, str, str, str]]:
    """Test samples that have no class although training samples have: one finding for the split."""
    return {("label_rows", "test", "", "")} if (root / "train/labels.csv").is_file() else set()


def test_one_damage_does_not_hide_another(root: Path) -> None:
    together = ("partner in test", "truncated", "empty file", "bomb", "link to nothing", "leak", "pseudo labels")
    for name in together:
        if name != "link to nothing":  # it is of the same file as the bomb
            DAMAGED[name][0](root)
    expected = {DAMAGED[name][1] for name in together}
    assert seen(check(root)) == expected


def test_processes_find_what_one_finds(root: Path) -> None:
    for name in ("truncated", "labels", "sizes", "no depth"):
        DAMAGED[name][0](root)
    assert check(root, workers=2) == check(root, workers=1)


def test_a_sample_is_spread_over_the_names_and_the_same_every_time(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path, num_train=40) / "nyuv2"
    broken = [root / f"train/rgb/all/{index:04d}.png" for index in range(40)]
    for path in broken:
        path.write_bytes(b"")
    found = check(root, sample=10)
    assert {count.decoded for count in found.counts if count.split == "train"} == {10}
    assert {count.decoded for count in found.counts if count.split == "test"} == {3}
    names = sorted(Path(entry.name).stem for entry in found.findings)
    assert len(names) == 10
    assert names != [f"{index:04d}" for index in range(10)]
    assert found == check(root, sample=10)
    assert len(check(root).findings) == 40


def test_no_damage_ends_the_check(root: Path) -> None:
    generator = np.random.default_rng(0)
    files = sorted(path for path in root.rglob("*.png") if "train" in path.parts)
    whole = {path: path.read_bytes() for path in files}
    for _ in range(6):
        for path in files:
            content = bytearray(whole[path])
            for place in generator.integers(8, len(content), size=3):
                content[place] ^= 1 << int(generator.integers(8))
            path.write_bytes(content)
        found = check(root)
        assert {count.decoded for count in found.counts} == {6, 3}
        damaged = {entry.name for entry in found.findings if entry.severity == "error"}
        assert len(damaged) > len(files) // 2


def test_splits_without_images_are_named(root: Path) -> None:
    for path in root.glob("test/*/all/*"):
        path.unlink()
    assert {kind for kind, *_ in seen(check(root))} == {"unlistable"}
    shutil.rmtree(root / "test")
    (root / "test").mkdir()
    assert seen(check(root)) == {("empty_split", "test", "", "")}
    (root / "test").rmdir()
    found = check(root)
    assert seen(found) == {("missing_split", "test", "", "")}
    assert found.num("error") == 0


def test_a_modality_of_the_data_set_may_be_absent(root: Path) -> None:
    for split in ("train", "test"):
        shutil.rmtree(root / split / "semseg")
    found = check(root)
    assert seen(found) == {("missing_modality", "", "semseg", "")}
    assert found.num("error") == 0


def test_a_sample_that_only_the_table_of_its_split_knows_is_named(tmp_path: Path) -> None:
    described = replace(spec("taskonomy"), modalities=("rgb", "depth_zbuffer"))
    maps = {"rgb": tiny_dataset.maps()["rgb"], "depth_zbuffer": tiny_dataset.maps()["depth"]}
    for building, view in (("hall", 1), ("hall", 2), ("uvalda", 1)):
        for domain, array in maps.items():
            (tmp_path / domain / building).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / domain / building / f"point_0_view_{view}_domain_{domain}.png")
    for split, rows in (("train", "hall,0,1\nhall,0,2\nhall,0,3\n"), ("test", "uvalda,0,1\n")):
        (tmp_path / f"tiny_{split}.csv").write_text(f"building,point,view\n{rows}")
    found = verify(open_dataset(tmp_path, described), effort=ALL)
    assert seen(found) == {("missing_sample", "train", "", "hall/point_0_view_3")}
    assert {(count.split, count.files, count.decoded) for count in found.counts} == {("train", 2, 2), ("test", 1, 1)}
    Image.fromarray(np.full(HEIGHT_WIDTH, 65535, np.uint16)).save(
        tmp_path / "depth_zbuffer/hall/point_0_view_2_domain_depth_zbuffer.png"
    )
    save("depth_zbuffer/uvalda/point_0_view_1_domain_depth_zbuffer.png", 9)(tmp_path)
    added = seen(verify(open_dataset(tmp_path, described), effort=ALL)) - seen(found)
    assert {(kind, split) for kind, split, *_ in added} == {("no_depth", "train"), ("format", "test")}


def test_what_no_task_has_to_have_may_be_in_one_split(root: Path) -> None:
    for modality in ("mask_valid", "normal"):
        shutil.rmtree(root / "test" / modality)
    shutil.copytree(root / "train/depth", root / "train/pseudo_depth")
    found = check(root)
    assert found.findings == ()
    assert ("train", "pseudo_depth", 6) in {(count.split, count.modality, count.decoded) for count in found.counts}


def test_predicted_labels_are_cocos_classes_or_the_data_sets(root: Path) -> None:
    own, coco = (code.names() for code in (label_code("semseg", spec=SPEC), FIXED["pseudo_semseg"]))
    for split in ("train", "test"):
        shutil.copytree(root / split / "semseg", root / split / "pseudo_semseg")
    save("train/pseudo_semseg/all/0000.png", 132)(root)
    save("test/pseudo_semseg/all/0100.png", 0)(root)
    for classes in (own, coco):
        write("train/pseudo_semseg/manifest.json", json.dumps({"classes": classes}))(root)
        assert seen(check(root)) == set()
    write("train/pseudo_semseg/manifest.json", json.dumps({"classes": {"0": "person"}}))(root)
    save("test/pseudo_semseg/all/0100.png", 133)(root)
    found = check(root)
    assert seen(found) == {
        ("other_pseudo_classes", "train", "pseudo_semseg", ""),
        ("values", "test", "pseudo_semseg", "test/pseudo_semseg/all/0100.png"),
    }
    (values,) = (finding for finding in found.findings if finding.kind == "values")
    assert "values [133]; pseudo_semseg has labels 0 to 132, and 255 for unlabelled" in values.detail


def test_a_test_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path) / "nyuv2"
    for path in list(root.glob("*/*/all/*.png")):
        room = "kitchen" if path.stem == "0101" else "bedroom"
        (path.parents[1] / room).mkdir(exist_ok=True)
        path.rename(path.parents[1] / room / path.name)
    for folder in root.glob("*/*/all"):
        folder.rmdir()
    found = check(root)
    assert seen(found) == {("unknown_class", "test", "", "kitchen/0101")}
    assert found.findings[0].detail == "class 'kitchen'"


@pytest.mark.parametrize(
    ("codes_per_mm", "unit"),
    [(6.5536, "1/6553.6 m"), (0.512, "1/512 m"), (0.1, "centimetres"), (0.001, "metres")],
)
def test_depth_in_another_unit_names_the_likely_one(root: Path, codes_per_mm: float, unit: str) -> None:
    # As a room has them: the mean of NYUv2.
    stored = np.full(HEIGHT_WIDTH, max(1, round(2700 * codes_per_mm)), np.uint16)
    for path in root.glob("*/depth/all/*.png"):
        Image.fromarray(stored).save(path)
    found = check(root)
    assert seen(found) == {("depth_unit", split, "depth", "") for split in ("train", "test")}
    assert all(f"the unit may be {unit}" in entry.detail for entry in found.findings)


def test_depth_without_a_unit_is_not_judged() -> None:
    assert implausible_depth([65000.0], described=spec("imagenet")) is None
    assert implausible_depth([], described=SPEC) is None
    assert implausible_depth([2772.0, 1500.0, 4000.0], described=SPEC) is None


def record(root: Path, *, complete: bool = True, damaged: dict[str, str] | None = None) -> None:
    """Write the manifest that a preparation of these files would have left."""
    manifest = Manifest(provenance=Provenance(dataset="nyuv2", source="nowhere"), versions={})
    records = {
        path.relative_to(root).as_posix(): FileRecord(
            path=path.relative_to(root).as_posix(),
            num_bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            shape=(),
            dtype="",
        )
        for path in root.rglob("*.png")
    }
    manifests.write(root, replace(manifest, complete=complete, damaged=damaged or {}, files=records))


def test_files_are_compared_with_the_manifest(root: Path) -> None:
    record(root)
    assert check(root, hashes=True).findings == ()
    assert check(root, hashes=True).hashed == 45
    assert check(root).hashed == 0
    for modality in tiny_dataset.maps():
        (root / f"train/{modality}/all/0005.png").unlink()
    lost = {("lost", "train", name, f"train/{name}/all/0005.png") for name in tiny_dataset.maps()}
    Image.fromarray(np.full(HEIGHT_WIDTH, 2000, np.uint16)).save(root / "train/depth/all/0001.png")
    changed = ("changed", "train", "depth", "train/depth/all/0001.png")
    for modality in tiny_dataset.maps():
        shutil.copy(root / f"test/{modality}/all/0100.png", root / f"test/{modality}/all/0200.png")
    new = {("unrecorded", "test", name, f"test/{name}/all/0200.png") for name in tiny_dataset.maps()}
    assert seen(check(root)) == {*lost, changed, *new}


def test_a_change_that_keeps_the_size_shows_in_the_hashes_alone(root: Path) -> None:
    path = root / "train/depth/all/0001.png"
    path.write_bytes(path.read_bytes() + b"ab")
    record(root)
    path.write_bytes(path.read_bytes()[:-2] + b"ba")
    assert seen(check(root)) == set()
    found = check(root, hashes=True, workers=2)
    assert seen(found) == {("changed", "train", "depth", "train/depth/all/0001.png")}


def test_a_manifest_tells_of_its_preparation(root: Path) -> None:
    record(root, complete=False)
    assert [entry.detail for entry in check(root).findings] == ["the preparation has not reached its end"]
    record(root, complete=False, damaged={"0009": "0009.png: truncated"})
    assert seen(check(root)) == {("manifest", "", "", "0009")}
    (root / manifests.NAME).write_text("{}\n")
    assert seen(check(root)) == {("manifest", "", "", manifests.NAME)}


def test_groups_come_with_errors_first() -> None:
    findings = [Finding(kind=kind) for kind in reversed(FAULTS)]
    severities = [FAULTS[kind].severity for kind, *_ in grouped(findings)]
    assert severities == sorted(severities)
    assert {"error", "warning"} == set(severities)
    twice = [Finding(kind="leak", split="test", name=name) for name in ("b", "a")]
    assert [entry.name for entry in grouped(twice)[("leak", "test", "")]] == ["b", "a"]


def test_the_command_prints_a_table_and_the_findings(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", "nyuv2", "--data-root", str(root), "--workers", "1"]
    assert main(command) == 0
    said, bar = capsys.readouterr()
    assert "0 errors, 0 warnings" in said
    assert "at most 100 samples a split" in said
    assert bar == ""
    DAMAGED["unlabelled"][0](root)
    assert main(command) == 0
    assert "warning: labels without one labelled pixel: 1 in train/semseg" in capsys.readouterr().out
    for index in range(6):
        cut(f"train/rgb/all/{index:04d}.png", keep=0.5)(root)
    assert main([*command, "--decode-all", "--hashes"]) == 3
    lines = capsys.readouterr().out.splitlines()
    [row] = [line for line in lines if "train" in line and "rgb" in line and "│" in line]
    assert row.replace("│", " ").split() == ["train", "rgb", "6", "0", "6", "6", "0"]
    assert "no hashes were compared: there is no manifest.jsonl in" in "\n".join(lines)
    start = next(
        i for i, line in enumerate(lines) if line.startswith("error: truncated or damaged files: 6 in train/rgb")
    )
    assert lines[start + 1].startswith("  train/rgb/all/0000.png: cannot be decoded as rgb")
    assert lines[start + 6] == "  ... and 1 more (all with --json)"
    assert lines[-1] == f"nyuv2 in {root}: 6 errors, 1 warnings"


def test_the_command_prints_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DAMAGED["8-bit depth"][0](root)
    assert main(["verify", "nyuv2", "--data-root", str(root.parent), "--workers", "1", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["dataset"], told["root"], told["num_errors"], told["num_warnings"]) == ("nyuv2", str(root), 1, 0)
    assert told["counts"][0] == {"split": "train", "modality": "rgb", "files": 6, "missing": 0, "decoded": 6}
    assert told["findings"][0]["severity"] == "error"
    assert told["findings"][0]["name"] == "train/depth/all/0001.png"


def test_the_command_can_be_interrupted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(opened: OpenedDataset, **settings: Any) -> Verification:
        settings["progress"] = lambda what, done, total: signal.raise_signal(signal.SIGINT) if done else None
        return verify(opened, **settings)

    monkeypatch.setattr(verify_cli, "verify", interrupted)
    assert main(["verify", "nyuv2", "--data-root", str(root), "--workers", "2"]) == 130


def test_the_command_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["verify", "nyuv3"])
    assert "no data set 'nyuv3'; did you mean nyuv2" in capsys.readouterr().err
    assert main(["verify", "nyuv2"]) == 3
    assert "pass the folder that holds nyuv2 as --data-root DIR" in capsys.readouterr().err
    assert main(["verify", "nyuv2", "--data-root", str(tmp_path / "absent")]) == 3
    assert "absent does not exist" in capsys.readouterr().err


def test_a_data_set_of_the_users_own_is_a_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = tmp_path / "three.py"
    described.write_text(
        "from dataclasses import replace\nfrom multimae.data.sets.nyuv2 import SPEC as NYUV2\n"
        "SPEC = replace(NYUV2, name='three', classes=NYUV2.classes[:3], palette=NYUV2.palette[:3])\n"
    )
    assert main(["verify", str(described), "--data-root", str(root), "--workers", "1"]) == 3
    assert "three has labels 1 to 3, and 0 for unlabelled" in capsys.readouterr().out
    described.write_text("SPEC = 3\n")
    with pytest.raises(SystemExit, match="2"):
        main(["verify", str(described), "--data-root", str(root)])
    assert "has a SPEC of type int, wanted SPEC = DatasetSpec(...)" in capsys.readouterr().err


def test_checking_loads_no_torch() -> None:
    code = "import sys; import multimae.verify.command; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
