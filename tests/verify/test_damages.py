"""The check of a data set finds what was damaged, all of it and nothing else."""

import os
from pathlib import Path

import numpy as np
import pytest

from multimae.data.open import open_dataset
from multimae.data.sets.nyuv2 import SPEC
from multimae.verify.check import Effort, verify
from multimae.verify.findings import FAULTS, Finding, grouped
from tests.made import tiny_dataset
from tests.made.checks import check, seen
from tests.made.damages import DAMAGED

SHARED = Path(os.environ.get("MULTIMAE_SHARED", Path(__file__).parents[3] / "shared"))


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


def test_groups_come_with_errors_first() -> None:
    findings = [Finding(kind=kind) for kind in reversed(FAULTS)]
    severities = [FAULTS[kind].severity for kind, *_ in grouped(findings)]
    assert severities == sorted(severities)
    assert {"error", "warning"} == set(severities)
    twice = [Finding(kind="leak", split="test", name=name) for name in ("b", "a")]
    assert [entry.name for entry in grouped(twice)[("leak", "test", "")]] == ["b", "a"]
