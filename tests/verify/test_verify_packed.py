"""The check of a packed data set: damaged bytes, codes that must not occur, maps that are missing, lost shards."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimae.data.open import open_dataset
from multimae.data.sets.nyuv2 import SPEC
from multimae.packing.source import PackSource
from multimae.prepare.conversion import prepare
from multimae.verify.check import Effort, verify
from multimae.verify.findings import Verification
from tests.made import tiny_dataset


def pack(plain: Path, *, out: Path) -> Path:
    prepare(PackSource(root=plain, dataset="nyuv2", splits=("train", "test")), out=out, workers=1)
    return out


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path) / "nyuv2"


def check(root: Path, *, sample: int | None = None) -> Verification:
    return verify(open_dataset(root, SPEC), effort=Effort(sample=sample, hashes=True))


def seen(found: Verification) -> set[tuple[str, str, str, str]]:
    return {(entry.kind, entry.split, entry.modality, entry.name) for entry in found.findings}


def test_a_whole_one_is_counted_and_decoded(plain: Path, tmp_path: Path) -> None:
    found = check(pack(plain, out=tmp_path / "packed"))
    assert found.findings == ()
    counts = {(count.split, count.modality): (count.files, count.missing, count.decoded) for count in found.counts}
    assert counts == {
        **{("train", name): (6, 0, 6) for name in tiny_dataset.maps()},
        **{("test", name): (3, 0, 3) for name in tiny_dataset.maps()},
    }
    assert found.hashed > 0
    assert {count.decoded for count in check(tmp_path / "packed", sample=2).counts} == {2}


def test_a_byte_that_changed_is_found(plain: Path, tmp_path: Path) -> None:
    shard = pack(plain, out=tmp_path / "packed") / "train" / "000000.tar"
    content = bytearray(shard.read_bytes())
    content[600] ^= 255  # in the first map, behind its header of 512 bytes
    shard.write_bytes(content)
    kinds = {(kind, split) for kind, split, *_ in seen(check(tmp_path / "packed"))}
    assert kinds == {("undecodable", "train"), ("changed", "train")}


def test_labels_of_no_class_and_maps_without_anything_are_found(plain: Path, tmp_path: Path) -> None:
    labels = plain / "train" / "semseg" / "all" / "0000.png"
    with Image.open(labels) as image:
        shape = np.asarray(image).shape
    Image.fromarray(np.full(shape, 41, dtype=np.uint8)).save(labels)
    Image.fromarray(np.zeros(shape, dtype=np.uint16)).save(plain / "test" / "depth" / "all" / "0100.png")
    assert seen(check(pack(plain, out=tmp_path / "packed"))) == {
        ("values", "train", "semseg", "0000"),
        ("no_depth", "test", "depth", "0100"),
    }


def test_a_shard_that_is_gone_is_found(plain: Path, tmp_path: Path) -> None:
    root = pack(plain, out=tmp_path / "packed")
    (root / "test" / "000000.npz").unlink()
    found = check(root)
    assert found.num("error") >= 1
    assert {split for _, split, *_ in seen(found)} == {"test"}
