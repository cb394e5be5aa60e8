"""What is packed is read as the files are: same samples, pixels, order; damage has a name."""

import io
import pickle
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import torch
from mmengine.dataset import DefaultSampler
from PIL import Image
from torch.utils.data import DataLoader

from experiments.plan.planning import Data, make_plan
from experiments.plan.rundirs import prepare as prepare_run
from experiments.plan.suite import expand
from multimae import data_cli as cli
from multimae.data.dataset import OpenedDataset
from multimae.data.folder import MultiModalFolder
from multimae.data.maps import Sample
from multimae.data.open import open_dataset
from multimae.data.sample import DataError, DataNotFoundError
from multimae.data.spec import spec
from multimae.engine.failures import PreemptedError
from multimae.engine.job import execute
from multimae.engine.resume import load_checkpoint
from multimae.engine.signals import StopRequest
from multimae.packing.source import PackSource
from multimae.prepare.conversion import Converted, prepare
from multimae.record.attempt import Attempt
from multimae.testing import DatasetContract
from tests.engine.test_engine_resume import StopAfter
from tests.made import tiny_dataset
from tests.made.brief_suite import SUITE
from tests.made.tinydata import write_frames

MODALITIES = ("rgb", "depth", "semseg", "normal")


def pack(root: Path, out: Path, *, dataset: str = "nyuv2", **changes: Any) -> Converted:
    """Pack in this process, two samples a shard."""
    return prepare(PackSource(root=root, dataset=dataset, **{"samples_per_shard": 2, **changes}), out=out, workers=1)


def folder(root: Path, **changes: Any) -> MultiModalFolder:
    settings = {"root": root, "dataset": "nyuv2", "split": "train", "modalities": MODALITIES, "pipeline": _as_read}
    return MultiModalFolder(**{**settings, **changes})


def _as_read(sample: Sample) -> Any:
    return {"inputs": dict(sample.maps), "meta": {"name": sample.name}}


def same(one: MultiModalFolder, other: MultiModalFolder) -> bool:
    """Say whether two folders hold equal samples, to the last bit and stored alike in memory."""
    assert len(one) > 0
    return [files.name for files in one.files] == [files.name for files in other.files] and all(
        list(a.maps) == list(b.maps)
        and (a.available, a.label) == (b.available, b.label)
        and all(torch.equal(a.maps[name], b.maps[name]) for name in a.maps)
        and all(a.maps[name].stride() == b.maps[name].stride() for name in a.maps)
        for a, b in ((one.read(index), other.read(index)) for index in range(len(one)))
    )


def opened(root: Path) -> OpenedDataset:
    """Open the folder as it is now."""
    return open_dataset(root, spec("nyuv2"))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Five training samples, each moved by as many pixels as its name says; one photograph is a JPEG."""
    root = tiny_dataset.write(tmp_path / "plain", num_train=5) / "nyuv2"
    for path in root.rglob("*.png"):
        moved = np.roll(tiny_dataset.maps()[path.parts[-3]], int(path.stem) % 100, axis=1)
        Image.fromarray(moved).save(path)
    path = root / "train" / "rgb" / "all" / "0003.png"
    with Image.open(path) as image:
        image.save(path.with_suffix(".jpg"), quality=90)
    path.unlink()
    return root


@pytest.fixture
def packed(plain: Path, tmp_path: Path) -> Path:
    pack(plain, tmp_path / "packed")
    return tmp_path / "packed"


class TestPackedNYUv2(DatasetContract):
    dataset = "nyuv2"

    @pytest.fixture
    def data_root(self, tmp_path: Path) -> Path:
        root = tiny_dataset.write(tmp_path / "plain", num_train=8)
        pack(root / "nyuv2", tmp_path / "packed" / "nyuv2")
        return tmp_path / "packed"

    def test_eval_crop_lies_in_every_test_image(self, data_root: Path) -> None:
        pytest.skip("the crop is for 640x480")


@pytest.mark.parametrize("split", ["train", "test"])
def test_nothing_is_lost(plain: Path, packed: Path, split: str) -> None:
    assert same(folder(plain, split=split), folder(packed, split=split))
    few = {"split": split, "modalities": ["depth"], "limit": 2, "store_size": 24}
    assert same(folder(plain, **few), folder(packed, **few))


def test_shrunk_maps_are_those_that_reading_shrinks(plain: Path, tmp_path: Path) -> None:
    pack(plain, tmp_path / "small", store_size=24)
    one, other = folder(plain, store_size=24).read(3), folder(tmp_path / "small").read(3)
    for name in ("depth", "semseg", "normal", "mask_valid"):
        assert torch.equal(one.maps[name], other.maps[name])
    difference = (one.maps["rgb"].int() - other.maps["rgb"].int()).abs()
    assert 0 < float(difference.float().mean()) < 3


def test_shards_are_tars_that_others_can_read(plain: Path, packed: Path) -> None:
    with tarfile.open(packed / "train" / "000001.tar") as archive:
        names = archive.getnames()
        assert names[:2] == ["0002.rgb.npy.zst", "0002.depth.npy.zst"]
        assert "0003.rgb.jpg" in names
        jpeg, zstd = (archive.extractfile(name) for name in ("0003.rgb.jpg", "0002.depth.npy.zst"))
        assert jpeg is not None
        assert zstd is not None
        assert jpeg.read() == (plain / "train" / "rgb" / "all" / "0003.jpg").read_bytes()
        depth = np.load(io.BytesIO(pyarrow.CompressedInputStream(zstd, "zstd").read()))
    np.testing.assert_array_equal(depth, np.roll(tiny_dataset.maps()["depth"], 2, axis=1))


def test_the_same_files_give_the_same_shards(plain: Path, packed: Path, tmp_path: Path) -> None:
    pack(plain, tmp_path / "again")
    for path in sorted((packed / "train").iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / "train" / path.name).read_bytes()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_photographs_that_are_no_plain_jpegs_keep_their_pixels(plain: Path, tmp_path: Path, mode: str) -> None:
    path = plain / "train" / "rgb" / "all" / "0003.jpg"
    with Image.open(path) as image:
        image.convert(mode).save(path)
    pack(plain, tmp_path / "packed")
    assert same(folder(plain), folder(tmp_path / "packed"))


def test_labels_that_count_from_zero_and_labels_of_a_network(tmp_path: Path) -> None:
    root = tmp_path / "plain" / "imagenet"
    shutil.copytree(tiny_dataset.write(tmp_path, num_train=3) / "nyuv2", root)
    for split in ("train", "test"):
        (root / split / "semseg").rename(root / split / "pseudo_semseg")
    for path in (root / "train" / "pseudo_semseg" / "all").iterdir():
        labels = tiny_dataset.maps()["semseg"]
        labels[:2] = 255
        Image.fromarray(labels).save(path)
    pack(root, tmp_path / "packed", dataset="imagenet")
    read = {"dataset": "imagenet", "modalities": ["semseg"], "folders": {"semseg": "pseudo_semseg"}}
    one, other = folder(root, **read), folder(tmp_path / "packed", **read)
    assert same(one, other)
    assert int(other.read(0).maps["semseg"][0, 0, 0]) == 0
    (root / "train" / "pseudo_semseg" / "manifest.json").write_text('{"classes": {"0": "cat"}}')
    pack(root, tmp_path / "of-cats", dataset="imagenet")
    with pytest.raises(DataError, match="holds labels of 1 classes"):
        folder(tmp_path / "of-cats", **read)


def test_labels_out_of_range_are_named(plain: Path, tmp_path: Path) -> None:
    path = plain / "train" / "semseg" / "all" / "0002.png"
    Image.fromarray(np.full((tiny_dataset.HEIGHT, tiny_dataset.WIDTH), 41, dtype=np.uint8)).save(path)
    pack(plain, tmp_path / "packed")
    with pytest.raises(DataError, match=r"000001\.tar: 0002\.semseg: 3072 pixels hold the values \[41\]"):
        folder(tmp_path / "packed").read(2)


@pytest.mark.parametrize("kind", ["folders", "table"])
def test_classes_are_kept(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "plain" / "imagenet"
    for split, count in (("train", 4), ("test", 2)):
        names = [f"{index:02d}" for index in range(count)]
        for index, name in enumerate(names):
            place = root / split / "rgb" / ("all" if kind == "table" else "cat" if index % 2 else "ant")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(tiny_dataset.maps()["rgb"]).save(place / f"{name}.png")
        if kind == "table":
            rows = [f"{name},{'cat' if index % 2 else 'ant'}\n" for index, name in enumerate(names)]
            (root / split / "labels.csv").write_text("name,label\n" + "".join(rows))
    pack(root, tmp_path / "packed", dataset="imagenet")
    read = {"dataset": "imagenet", "modalities": ["rgb"], "labelled": True}
    for split in ("train", "test"):
        one, other = folder(root, split=split, **read), folder(tmp_path / "packed", split=split, **read)
        assert same(one, other)
        assert sorted(set(other.numbers_of_classes())) == [0, 1]
    assert opened(tmp_path / "packed").class_names() == opened(root).class_names() == ("ant", "cat")


def test_a_sample_without_a_class_is_no_data_set_without_classes(plain: Path, tmp_path: Path) -> None:
    (plain / "train" / "labels.csv").write_text("name,label\n0000,kitchen\n")
    with pytest.raises(DataError, match=r"labels\.csv lacks 4 samples, such as 0001"):
        pack(plain, tmp_path / "packed")


def test_missing_modalities_stay_missing(plain: Path, tmp_path: Path) -> None:
    (plain / "train" / "depth" / "all" / "0001.png").unlink()
    pack(plain, tmp_path / "packed")
    with pytest.raises(DataError, match="depth lacks 1 of 5 names: 0001"):
        folder(tmp_path / "packed")
    assert same(folder(plain, missing="allow"), folder(tmp_path / "packed", missing="allow"))
    with pytest.raises(DataNotFoundError, match=r"packed without keypoints2d; there is rgb, depth, semseg, normal"):
        folder(tmp_path / "packed", modalities=["keypoints2d"])


@pytest.mark.filterwarnings("default:.*fork.*:DeprecationWarning")
def test_the_order_is_that_of_the_sampler_with_any_number_of_workers(packed: Path) -> None:
    dataset = folder(packed)
    orders = []
    for workers in (0, 1, 2):
        sampler = DefaultSampler(dataset, shuffle=True, seed=3)
        sampler.set_epoch(1)
        batches = list(DataLoader(dataset, batch_size=2, sampler=sampler, num_workers=workers))
        orders.append([name for batch in batches for name in batch["meta"]["name"]])
        for name, map_ in zip(orders[-1], torch.cat([batch["inputs"]["rgb"] for batch in batches]), strict=True):
            assert torch.equal(map_, dataset.read(int(name)).maps["rgb"])
    assert orders[0] == orders[1] == orders[2] != sorted(orders[0])


def test_another_process_reads_what_it_is_sent(packed: Path) -> None:
    dataset = folder(packed)
    dataset.read(0)
    assert same(dataset, pickle.loads(pickle.dumps(dataset)))


@pytest.mark.filterwarnings("default")  # mmengine and torch warn here
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    root = write_frames(tmp_path / "plain", num_train=6, num_test=2) / "nyuv2"
    pack(root, tmp_path / "packed", store_size=96)
    whole, broken = (_run_dir(tmp_path / "packed", suite_dir=tmp_path / name) for name in ("whole", "broken"))
    for attempt in (Attempt(run_dir=whole, number=1), Attempt(run_dir=broken, number=1)):
        attempt.start()
        if attempt.run_dir == whole:
            execute(attempt, stop=StopRequest())
            continue
        with pytest.raises(PreemptedError):
            execute(attempt, stop=StopAfter(3))
    again = Attempt(run_dir=broken, number=2)
    again.start()
    execute(again, stop=StopRequest())
    expected, resumed = (load_checkpoint(run_dir / "checkpoints") for run_dir in (whole, broken))
    assert expected is not None
    assert resumed is not None
    assert expected["step"] == resumed["step"] == 6
    assert all(torch.equal(tensor, resumed["model"][name]) for name, tensor in expected["model"].items())


def _run_dir(root: Path, *, suite_dir: Path) -> Path:
    data = Data(name="nyuv2", root=root, fingerprint="0", num_train=6, num_test=2)
    short: dict[str, Any] = {"input_size": 64, "batch_size": 2, "epochs": 2, "val_ratio": 0.0}
    recipes = {item.task.name: replace(item.task.recipes["cpu"], **short) for item in SUITE.transfers}
    suite = replace(SUITE, checkpoints=("scratch",))
    runs = expand(suite, recipes=recipes, profile="cpu", size="tiny", seeds=(0,), checkpoints=suite.checkpoints)
    return prepare_run(make_plan(runs, data={runs[0].dataset_name: data})[0], suite_dir=suite_dir)


def test_packing_goes_on_where_it_was(plain: Path, packed: Path) -> None:
    kept = (packed / "train" / "000000.tar").stat().st_mtime_ns
    assert pack(plain, packed).converted == 0
    (packed / "train" / "000001.tar").unlink()
    with pytest.raises(DataError, match=r"000001\.tar is missing, wanted \d+ bytes; pack again"):
        folder(packed)
    report = pack(plain, packed)
    assert (report.converted, report.damaged) == (1, {})
    assert (packed / "train" / "000000.tar").stat().st_mtime_ns == kept
    assert same(folder(plain), folder(packed))
    with pytest.raises(DataError, match="store_size is None, wanted 24"):
        pack(plain, packed, store_size=24)
    (plain / "train" / "depth" / "all" / "0004.png").write_bytes(b"other")
    with pytest.raises(DataError, match="prepared with other settings: files is"):
        pack(plain, packed)


def test_damaged_sources_are_named_and_leave_the_rest_unusable(plain: Path, tmp_path: Path) -> None:
    for name in ("depth/all/0002.png", "rgb/all/0003.jpg"):
        path = plain / "train" / name
        path.write_bytes(path.read_bytes()[:-100])
    report = pack(plain, tmp_path / "packed")
    assert list(report.damaged) == ["train/000001.tar"]
    told = report.damaged["train/000001.tar"]
    assert "2 of 2 samples cannot be packed" in told
    assert "depth/all/0002.png: cannot be decoded as depth" in told
    assert "rgb/all/0003.jpg: cannot be decoded as rgb" in told
    with pytest.raises(DataError, match=r"is not packed to the end \(manifest.jsonl is not complete\)"):
        folder(tmp_path / "packed")


def test_truncated_shards_are_named_before_anything_is_read(packed: Path) -> None:
    path = packed / "train" / "000001.tar"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"000001\.tar is \d+ bytes, wanted \d+ bytes"):
        folder(packed)


@pytest.mark.parametrize("modality", ["rgb", "depth"])
def test_changed_bytes_are_named(packed: Path, modality: str) -> None:
    dataset = folder(packed)
    path, member = packed / "train" / "000001.tar", dataset.files[3].paths[modality]
    content = bytearray(path.read_bytes())
    content[member.offset + member.num_bytes // 2] ^= 1  # type: ignore[union-attr]
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"000001\.tar: 0003\.{modality}: \d+ bytes at \d+ are not the \d+ that"):
        dataset.read(3)
    assert dataset.read(2).name == "0002"


def test_a_torn_index_is_named(packed: Path) -> None:
    path = packed / "train" / "000000.npz"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"000000\.npz cannot be read"):
        folder(packed)


def test_another_schema_is_refused(packed: Path) -> None:
    (packed / "packed.json").write_text('{"schema": 2, "dataset": "nyuv2"}')
    with pytest.raises(DataError, match="is packed in schema 2, wanted 1; pack it again"):
        folder(packed)


def test_the_fingerprint_is_that_of_the_content(plain: Path, packed: Path, tmp_path: Path) -> None:
    before = opened(packed).fingerprint(["train"], MODALITIES)
    shutil.copytree(packed, tmp_path / "moved")
    assert opened(tmp_path / "moved").fingerprint(["train"], MODALITIES) == before
    assert opened(packed).fingerprint(["train", "test"], MODALITIES) != before
    path = plain / "train" / "semseg" / "all" / "0000.png"
    Image.fromarray(tiny_dataset.maps()["semseg"][::-1]).save(path)
    pack(plain, tmp_path / "other")
    assert opened(tmp_path / "other").fingerprint(["train"], MODALITIES) != before


def test_the_size_on_the_disk_is_known_beforehand(plain: Path, packed: Path) -> None:
    items = PackSource(root=plain, dataset="nyuv2", samples_per_shard=2).items()
    estimate = sum(item.bytes_estimate for item in items if item.name.startswith("train"))
    with tarfile.open(packed / "train" / "000000.tar") as archive:
        content = sum(info.size for info in archive.getmembers())
    assert 0.5 < estimate / (content * 5 / 2) < 1.5


def test_the_command_packs_what_it_is_told(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["pack", "nyuv2", "--data-root", str(plain.parent), "--out", str(out), "--workers", "1"]
    assert cli.main([*words, "--splits", "train", "--modalities", "rgb", "depth"]) == 0
    assert "pack nyuv2: 2 items converted" in capsys.readouterr().out
    assert len(folder(out, modalities=["rgb", "depth"])) == 5
    with pytest.raises(DataNotFoundError, match="packed without test"):
        folder(out, split="test", modalities=["rgb"])
    assert cli.main([*words[:3], str(out), "--out", str(tmp_path / "twice")]) == 3
    assert "is packed already" in capsys.readouterr().err
