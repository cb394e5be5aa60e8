"""A labels.csv is read as a spreadsheet reads it, and what it cannot mean is refused with the reason."""

import shutil
from pathlib import Path

import pytest

from multimae.data.sample import DataError
from tests.made import tiny_dataset
from tests.made.class_folders import NFC, NFD, NYUV2, checked, classes, pack, train


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    return tiny_dataset.write(tmp_path) / "nyuv2"


HEAD = "name,label\n"
ROWS = [(f"{index:04d}", "ab"[index % 2]) for index in range(6)]
PLAIN = HEAD + "".join(f"{name},{label}\n" for name, label in ROWS)
SOUND = {
    "as we write it": PLAIN.encode(),
    "fully quoted": ('"name","label"\n' + "".join(f'"{name}","{label}"\n' for name, label in ROWS)).encode(),
    "of a spreadsheet": PLAIN.replace("\n", "\r\n").encode("utf-8-sig"),
    "with spaces": PLAIN.replace(",", " , ").encode(),
    "with empty lines": (PLAIN + "\n\n,\n").encode(),
    "without an end of the last line": PLAIN.rstrip().encode(),
    "of an old Macintosh": PLAIN.replace("\n", "\r").encode(),
}
UNSOUND = {
    "without a head": (PLAIN.removeprefix(HEAD).encode(), "its first row is the head name,label, and here a sample's"),
    "semicolons": (PLAIN.replace(",", ";").encode(), "row 2 is '0000;a', wanted name,label in every row"),
    "an empty label": (PLAIN.replace("0001,b", "0001,").encode(), "row 3 is '0001,', wanted name,label in every row"),
    "one name twice": ((PLAIN + "0001,a\n").encode(), "row 8 says 'a' of 0001, a row above it 'b'; keep one"),
    "Latin-1": (PLAIN.replace(",b", ",é").encode("latin-1"), "labels.csv is not UTF-8, see line 3"),
    "UTF-16": (PLAIN.encode("utf-16"), "labels.csv is UTF-16"),
    "open quotes": (PLAIN.replace("0001,b", '0001,"b').encode(), "row 3 begins with '0001' and goes on over several"),
    "names of files": (PLAIN.replace(",", ".png,").encode(), "its names have the suffixes of files: take those off"),
    "names with folders": (PLAIN.replace("\n0", "\nall/0").encode(), "its names have other folders: 0000 is the whole"),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_table_of_labels_is_read_as_a_spreadsheet_reads_it(rooms: Path, name: str) -> None:
    (rooms / "train" / "labels.csv").write_bytes(SOUND[name])
    shutil.rmtree(rooms / "test")
    shutil.copytree(rooms / "train", rooms / "test")
    read = train(rooms, dataset="nyuv2")
    assert read.class_names == ("a", "b")
    assert [read.read(index).label for index in range(6)] == [0, 1] * 3
    assert {kind for kind, _ in checked(rooms, NYUV2)} == {"leak"}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_table_that_says_something_else_is_refused_with_the_reason(rooms: Path, name: str) -> None:
    content, said = UNSOUND[name]
    (rooms / "train" / "labels.csv").write_bytes(content)
    with pytest.raises(DataError) as refused:
        train(rooms, dataset="nyuv2")
    assert said in str(refused.value)
    assert "label_rows" in {kind for kind, _ in checked(rooms, NYUV2)}


def test_labels_may_hold_commas_and_letters_in_two_spellings(tmp_path: Path) -> None:
    root = classes(tmp_path / "plain", names=("all",))
    names = [path.stem for path in sorted((root / "train" / "rgb" / "all").iterdir())]
    said = [f'"{NFD}, black"', f"{NFC}, black", "tea", "tea"]
    for split, some in (("train", names), ("test", ["test_0", "test_1"])):
        rows = "".join(f"{name},{label}\n" for name, label in zip(some, said, strict=False))
        (root / split / "labels.csv").write_text(HEAD + rows, "utf-8")
    assert train(root).class_names == (f"{NFC}, black", "tea")
    pack(root, tmp_path / "packed")
    packed = train(tmp_path / "packed")
    assert packed.class_names == (f"{NFC}, black", "tea")
    assert packed.numbers_of_classes() == train(root).numbers_of_classes() == [0, 0, 1, 1]
