"""Files are found, paired by name, held out for good and fingerprinted."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimae.data.arrangements import Place
from multimae.data.dataset import OpenedDataset
from multimae.data.open import find_root, open_dataset
from multimae.data.parts import name_order, num_held_out, split_names
from multimae.data.sample import DataError, DataNotFoundError
from multimae.data.sets.nyuv2 import SPEC
from tests.made import tiny_dataset

MODALITIES = ("rgb", "depth", "semseg")


def opened(root: Path) -> OpenedDataset:
    """Open the folder as it is now."""
    return open_dataset(root, SPEC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path) / "nyuv2"


def test_root_may_be_named_by_parent_or_itself(root: Path) -> None:
    assert find_root(root.parent, SPEC) == root
    assert find_root(root, SPEC) == root


def test_absent_root_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"absent does not exist(.|\n)*absent/nyuv2/(.|\n)*labeled\.mat"):
        find_root(tmp_path / "absent", SPEC)


def test_modalities_are_paired_by_name(root: Path) -> None:
    (root / "train" / "rgb" / "all" / "0002.png").rename(root / "train" / "rgb" / "all" / "0002.jpg")
    (root / "train" / "rgb" / "all" / "notes.txt").touch()
    samples = opened(root).samples("train", MODALITIES)
    assert [sample.name for sample in samples] == [f"{index:04d}" for index in range(6)]
    assert all({path.stem for path in sample.paths.values()} == {sample.name} for sample in samples)
    assert samples[2].paths["rgb"].suffix == ".jpg"


def test_missing_names_are_counted_per_modality(root: Path) -> None:
    (root / "train" / "rgb" / "all" / "0001.png").unlink()
    for name in ("0002", "0003"):
        (root / "train" / "depth" / "all" / f"{name}.png").unlink()
    with pytest.raises(DataError, match=r"rgb lacks 1 of 6 names: 0001; depth lacks 2 of 6 names: 0002, 0003"):
        opened(root).samples("train", MODALITIES)


def test_two_files_for_one_sample_are_an_error(root: Path) -> None:
    (root / "train" / "rgb" / "all" / "0001.jpg").touch()
    with pytest.raises(DataError, match="two files for one sample"):
        opened(root).samples("train", MODALITIES)


def test_missing_folder_lists_what_is_there(root: Path) -> None:
    (root / "train" / "mask_valid").rename(root / "train" / "mask")
    with pytest.raises(DataNotFoundError, match=r"no folder .*mask_valid; in .* 'mask'"):
        opened(root).samples("train", ("rgb", "mask_valid"))
    with pytest.raises(DataNotFoundError, match=r"no folder .*valid/rgb; in .* \[.test., .train.\]"):
        opened(root).samples("valid", ("rgb",))


def test_empty_folder_is_an_error(root: Path) -> None:
    for path in (root / "test" / "rgb" / "all").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no images of test in"):
        opened(root).samples("test", ("rgb",))


def test_validity_comes_with_depth_where_there_is_one(root: Path) -> None:
    assert opened(root).with_validity("train", ("rgb", "depth")) == ("rgb", "depth", "mask_valid")
    assert opened(root).with_validity("train", ("rgb", "semseg")) == ("rgb", "semseg")
    for name in ("depth_zbuffer", "reshading", "normal"):
        assert opened(root).with_validity("train", ("rgb", name)) == ("rgb", name, "mask_valid")
    (root / "train" / "mask_valid").rename(root / "train" / "elsewhere")
    assert opened(root).with_validity("train", ("rgb", "depth")) == ("rgb", "depth")


def test_val_is_a_split_of_its_own_only_beside_test(root: Path) -> None:
    assert not opened(root).own_val
    shutil.copytree(root / "test", root / "val")
    (root / "val" / "rgb" / "all" / "0100.png").rename(root / "val" / "rgb" / "all" / "0200.png")
    assert opened(root).own_val
    assert opened(root).samples("val", ("rgb",)).names == ("0101", "0102", "0200")
    assert opened(root).samples("test", ("rgb",)).names == ("0100", "0101", "0102")
    shutil.rmtree(root / "test")
    assert not opened(root).own_val
    assert opened(root).samples("test", ("rgb",)).names == ("0101", "0102", "0200")


def test_folders_of_classes_are_optional(root: Path) -> None:
    folder = root / "train" / "rgb"
    (folder / "all").rename(root / "flat")
    folder.rmdir()
    (root / "flat").rename(folder)
    samples = opened(root).samples("train", ("rgb", "depth"))
    assert samples.names == tuple(f"{index:04d}" for index in range(6))
    assert samples[0].paths["rgb"] == folder / "0000.png"


def test_fingerprint_sees_names_and_sizes_but_not_places(root: Path, tmp_path: Path) -> None:
    before = opened(root).fingerprint(("train", "test"), MODALITIES)
    assert before != opened(root).fingerprint(("train",), MODALITIES)
    moved = root.rename(tmp_path / "moved")
    assert opened(moved).fingerprint(("test", "train"), MODALITIES) == before
    path = moved / "train" / "mask_valid" / "all" / "0001.png"
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    assert opened(moved).fingerprint(("train", "test"), MODALITIES) != before
    path.write_bytes(content)
    assert opened(moved).fingerprint(("train", "test"), MODALITIES) == before
    path.unlink()
    assert opened(moved).fingerprint(("train", "test"), MODALITIES) != before


@given(names=st.sets(st.text(min_size=1), max_size=30), ratio=st.floats(min_value=1e-3, max_value=0.999))
def test_a_share_is_held_out_of_however_few_names(names: set[str], ratio: float) -> None:
    val = split_names(names, val_ratio=ratio, part="val")
    train = split_names(names, val_ratio=ratio, part="train")
    assert sorted((*val, *train)) == sorted(names)
    assert len(val) == num_held_out(len(names), val_ratio=ratio)
    if len(names) > 1:
        assert val
        assert train


@given(names=st.sets(st.text(min_size=1), min_size=2, max_size=30), one=st.text(min_size=1))
def test_a_new_name_moves_at_most_one_other(names: set[str], one: str) -> None:
    before, after = (set(split_names(some, val_ratio=0.3, part="val")) for some in (names, names | {one}))
    assert len(before ^ (after - {one})) <= 1


@pytest.mark.parametrize("number", [5, 6, 10, 14, 20, 40, 2000])
def test_the_held_out_share_is_the_ratio(number: int) -> None:
    """A hash below the ratio held out none of 5 of these, 1 of 20, and 217 of 2000."""
    names = [f"{index:04d}" for index in range(number)]
    assert len(split_names(names, val_ratio=0.1, part="val")) == max(1, round(0.1 * number))


def test_what_is_held_out_is_first_in_an_order_that_stays() -> None:
    names = [f"{index:04d}" for index in range(2000)]
    val = split_names(names, val_ratio=0.1, part="val")
    by_hash = {name for name in names if name_order(name) < 0.1}
    assert len(by_hash ^ set(val)) == abs(len(by_hash) - len(val))  # of one size, they were the same names
    assert split_names(names, val_ratio=0.0, part="train") == tuple(names)
    with pytest.raises(ValueError, match=r"val_ratio is 1.5, wanted a share in \[0, 1\)"):
        split_names(names, val_ratio=1.5, part="val")


def test_a_folder_is_listed_once_until_it_is_opened_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Path] = []
    files = Place.files
    monkeypatch.setattr(Place, "files", lambda place: (listed.append(place.folder), files(place))[1])
    dataset = opened(root)
    before = dataset.samples("train", MODALITIES)
    (root / "train" / "rgb" / "all" / "0000.png").unlink()
    assert dataset.samples("train", ("rgb", "semseg")) == dataset.samples("train", ("rgb", "semseg"))
    assert dataset.samples("train", MODALITIES) == before
    assert sorted(listed) == sorted(root / "train" / name for name in MODALITIES)
    with pytest.raises(DataError, match="rgb lacks 1 of 6 names: 0000"):
        opened(root).samples("train", MODALITIES)
    assert pickle.loads(pickle.dumps(dataset)).samples("train", ("rgb",)).names == before.names[1:], "not sent along"


def test_a_name_that_is_no_utf8_takes_part_like_any_other(root: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    for folder in (root / "train").iterdir():
        first = min((folder / "all").iterdir())
        first.rename(first.with_name(name + first.suffix))
    found = opened(root)
    assert len(found.fingerprint(["train"], MODALITIES)) == 64
    assert name in found.samples("train", ("rgb",)).names
    assert 0 <= name_order(name) < 1
