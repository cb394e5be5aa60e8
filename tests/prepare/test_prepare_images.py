"""ImageNet, ADE20K and Taskonomy from archives and folders: names, classes, splits, damage, and going on after it."""

import shutil
from pathlib import Path

import pytest

from multimae.data.arrangements import ModalityFolders, arrangement
from multimae.data.dataset import OpenedDataset
from multimae.data.manifest import read_manifest
from multimae.data.open import find_root, open_dataset
from multimae.data.sample import DataError
from multimae.data.sets import imagenet, taskonomy
from multimae.data_cli import main
from multimae.prepare.archives import contents, contents_of_tar, take_out
from multimae.prepare.imagenet_classes import validation_classes
from tests.made import published_images as published

NUM_VAL = 7
DOMAINS = (*taskonomy.SPEC.modalities, "mask_valid")
VIEWS = {"allensville": 3, "corozal": 2, "ihlen": 2}


def prepare(name: str, source: Path, out: Path, *options: str) -> int:
    return main(["prepare", name, "--from", str(source), "--out", str(out), "--workers", "1", *options])


def tree(root: Path) -> dict[str, bytes]:
    """Return what was written, without the manifest and its lock."""
    files = (path for path in root.rglob("*") if path.is_file() and path.parent != root)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def opened(root: Path) -> OpenedDataset:
    """Open the folder as it is now."""
    return open_dataset(root, imagenet.SPEC)


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """Write ImageNet's archives: two classes with 20 and 3 training images, seven validation images, the kit."""
    inner = {f"{label}.tar": published.tar(images) for label, images in train_images().items()}
    files = {
        "ILSVRC2012_img_train.tar": published.tar(inner),
        "ILSVRC2012_img_val.tar": published.tar(published.imagenet_val(NUM_VAL)),
        "ILSVRC2012_devkit_t12.tar.gz": published.development_kit(NUM_VAL),
    }
    return published.write(tmp_path / "archives", files)


def train_images() -> dict[str, dict[str, bytes]]:
    counts = dict(zip(published.CLASSES, (20, 3), strict=True))
    return {label: published.imagenet_class(label, count=count) for label, count in counts.items()}


def wanted_images() -> dict[str, bytes]:
    """Return what ImageNet's archives become."""
    wanted = {
        f"train/rgb/{label}/{name}": content
        for label, images in train_images().items()
        for name, content in images.items()
    }
    val = zip(published.imagenet_val_classes(NUM_VAL), published.imagenet_val(NUM_VAL).items(), strict=True)
    return wanted | {f"val/rgb/{label}/{name}": content for label, (name, content) in val}


def test_imagenet_from_its_archives(archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "imagenet"
    assert prepare("imagenet", archives, out) == 0
    assert tree(out) == wanted_images()
    assert opened(out).class_names() == published.CLASSES
    assert find_root(tmp_path, imagenet.SPEC) == out
    test = opened(out).samples("test", ("rgb",))
    assert set(opened(out).labels("test", test.names).values()) == set(published.CLASSES)
    manifest = read_manifest(out)
    assert manifest is not None
    assert manifest.complete
    assert manifest.files["val/rgb/n01440764/ILSVRC2012_val_00000001.JPEG"].shape == (40, 48, 3)
    capsys.readouterr()
    assert prepare("imagenet", archives, out) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_workers_are_handed_their_items(archives: Path, tmp_path: Path) -> None:
    out = tmp_path / "imagenet"
    assert prepare("imagenet", archives, out, "--workers", "2") == 0
    assert tree(out) == wanted_images()


def test_class_folders_are_linked_and_flat_validation_images_are_sorted(archives: Path, tmp_path: Path) -> None:
    unpacked = {
        f"train/{label}/{name}": data for label, images in train_images().items() for name, data in images.items()
    }
    unpacked |= {f"val/{name}": content for name, content in published.imagenet_val(NUM_VAL).items()}
    source = published.write(tmp_path / "unpacked", unpacked)
    assert prepare("imagenet", source, tmp_path / "out") == 3
    shutil.copy(archives / "ILSVRC2012_devkit_t12.tar.gz", tmp_path / "kit.tar.gz")
    assert prepare("imagenet", source, tmp_path / "out", "--val-classes", str(tmp_path / "kit.tar.gz")) == 0
    assert tree(tmp_path / "out") == wanted_images()
    linked = tmp_path / "out" / "train" / "rgb" / "n01443537" / "n01443537_2.JPEG"
    assert linked.samefile(source / "train" / "n01443537" / "n01443537_2.JPEG")


def test_pseudo_labels_come_beside_the_images(archives: Path, tmp_path: Path) -> None:
    label_maps = {}
    for label, images in train_images().items():
        depth = {f"{label}/{Path(name).stem}.png": published.domain_map("depth_zbuffer", seed=1) for name in images}
        semseg = {f"{Path(name).stem}.png": published.label_map(1, classes=132) for name in images}
        label_maps[f"train/depth_tar/{label}.tar"] = published.tar(depth)
        label_maps[f"train/semseg_tar/{label}.tar"] = published.tar(semseg)
    published.write(archives, label_maps)
    out = tmp_path / "imagenet"
    assert prepare("imagenet", archives, out) == 0
    assert len(opened(out).samples("train", ("rgb", "depth", "semseg"))) == 23
    assert arrangement(out) == ModalityFolders(out)


@pytest.mark.parametrize(
    "lines",
    [("{label}"), ("ILSVRC2012_val_{number:08d}.JPEG {label}"), ("ILSVRC2012_val_{number:08d},{label} 1 2 3 4")],
)
def test_classes_of_validation_images_may_be_a_list(tmp_path: Path, lines: str) -> None:
    wanted = published.imagenet_val_classes(NUM_VAL)
    numbered = list(enumerate(wanted, start=1))
    if "number" in lines:
        numbered.reverse()
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(["ImageId", *(lines.format(number=number, label=label) for number, label in numbered)]))
    assert validation_classes(path) == {f"ILSVRC2012_val_{n:08d}": label for n, label in enumerate(wanted, start=1)}


def test_the_kit_may_be_a_folder(archives: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(archives / "ILSVRC2012_devkit_t12.tar.gz", tmp_path, filter="data")
    of_archive = validation_classes(archives / "ILSVRC2012_devkit_t12.tar.gz")
    assert list(of_archive.values()) == published.imagenet_val_classes(NUM_VAL)
    assert validation_classes(tmp_path / "ILSVRC2012_devkit_t12") == of_archive


def test_validation_images_need_their_classes(
    archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (archives / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    assert prepare("imagenet", archives, tmp_path / "out") == 3
    assert "put ILSVRC2012_devkit_t12.tar.gz there, or pass it, or a list" in capsys.readouterr().err
    few = tmp_path / "few.txt"
    few.write_text("n01440764\n")
    assert prepare("imagenet", archives, tmp_path / "out", "--val-classes", str(few)) == 3
    assert "no class is listed for the validation image ILSVRC2012_val_00000002.JPEG" in capsys.readouterr().err
    few.write_text("tench\n")
    assert prepare("imagenet", archives, tmp_path / "out", "--val-classes", str(few)) == 3
    assert "few.txt names no class such as n01440764" in capsys.readouterr().err
    assert tree(tmp_path) == {f"archives/{path.name}": path.read_bytes() for path in archives.iterdir()}


def test_a_torn_archive_is_named_and_the_rest_goes_on(
    archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, out = archives / "ILSVRC2012_img_train.tar", tmp_path / "imagenet"
    whole = train.read_bytes()
    train.write_bytes(whole[: whole.index(published.tar(train_images()["n01443537"])) + 1000])
    assert prepare("imagenet", archives, out) == 3
    told = capsys.readouterr().out
    assert "1 of 4 items are damaged; restore their files and run again" in told
    assert f"{train} cannot be read after 1 files: n01443537.tar is cut off" in told
    wanted = wanted_images()
    assert tree(out) == {name: wanted[name] for name in wanted if not name.startswith("train/rgb/n01443537")}
    train.write_bytes(whole)
    assert prepare("imagenet", archives, out) == 0
    assert tree(out) == wanted
    assert "were there" in capsys.readouterr().out


def test_what_holds_nothing_says_what_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("imagenet", "ade20k", "taskonomy"):
        (tmp_path / name).mkdir()
        assert prepare(name, tmp_path / name, tmp_path / "out") == 3
        told = capsys.readouterr().err
        assert str(tmp_path / name) in told
        assert "as --data-root" in told


@pytest.mark.parametrize("cut", [1, 600, 1024 + 512 * 3, 3000])
def test_a_tar_cut_anywhere_is_seen(tmp_path: Path, cut: int) -> None:
    images = published.imagenet_class("n01440764", count=3)
    whole = published.tar(images)
    # GNU tar ends in two empty blocks, and Python's fills up to 10 KiB with more.
    end = whole.rstrip(b"\0")
    path = tmp_path / "n01440764.tar"
    path.write_bytes(end[: len(end) - cut])
    found = contents(path)
    assert "cannot be read" in found.damage
    assert {member.path for member in found.members} < set(images)
    path.write_bytes(whole)
    assert [member.path for member in contents(path).members] == list(images)
    assert contents(path).damage == ""


def test_a_tar_cut_between_two_files_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "n01440764.tar"
    whole = published.tar(published.imagenet_class("n01440764", count=3))
    path.write_bytes(whole)
    path.write_bytes(whole[: contents(path).members[2].head])
    assert contents(path).damage == f"{path} cannot be read after 2 files: the end is missing"


def test_what_is_no_tar_is_damage(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"")
    (tmp_path / "b.tar").write_bytes(bytes(range(256)) * 9)
    for name in ("a.tar", "b.tar"):
        assert f"{name} cannot be read after 0 files" in contents(tmp_path / name).damage
    (tmp_path / "c.zip").write_bytes(b"PK")
    assert "c.zip cannot be read" in contents(tmp_path / "c.zip").damage


def test_files_are_taken_out_from_the_middle_of_a_tar_in_a_tar(tmp_path: Path) -> None:
    images = published.imagenet_class("n01440764", count=5)
    path = tmp_path / "outer.tar"
    path.write_bytes(published.tar({"first.tar": published.tar({"x.JPEG": b"x"}), "second.tar": published.tar(images)}))
    second = contents_of_tar(path, inner=contents_of_tar(path).members[1])
    assert [member.path for member in second.members] == list(images)
    third, fourth = second.members[2:4]
    take_out(path, {third.path: tmp_path / "3", fourth.path: tmp_path / "4"}, head=third.head)
    assert (tmp_path / "3").read_bytes() == images[third.path]
    assert (tmp_path / "4").read_bytes() == images[fourth.path]
    with pytest.raises(DataError, match=r"outer.tar has lost 1 of its files"):
        take_out(path, {second.members[0].path: tmp_path / "1"}, head=third.head)


def wanted_scenes() -> dict[str, bytes]:
    renamed = {"training": "train", "validation": "val", "images": "rgb", "annotations": "semseg"}
    parts = {name: name.split("/") for name in published.ade20k()}
    return {
        f"{renamed[path[1]]}/{renamed[path[0]]}/all/{path[2]}": published.ade20k()[name]
        for name, path in parts.items()
        if len(path) == 3
    }


def test_ade20k_from_its_archive_and_from_its_folder(tmp_path: Path) -> None:
    files = {f"ADEChallengeData2016/{name}": content for name, content in published.ade20k().items()}
    published.write(tmp_path / "zip", {"ADEChallengeData2016.zip": published.zipped(files)})
    folder = published.write(tmp_path / "folder", files) / "ADEChallengeData2016"
    sources = {
        "a": tmp_path / "zip" / "ADEChallengeData2016.zip",
        "b": tmp_path / "zip",
        "c": folder,
        "d": tmp_path / "folder",
    }
    for name, source in sources.items():
        assert prepare("ade20k", source, tmp_path / name) == 0
        assert tree(tmp_path / name) == wanted_scenes()
    assert not opened(tmp_path / "a").own_val
    assert opened(tmp_path / "a").samples("test", ("rgb", "semseg")).names[0] == "ADE_val_00000001"
    linked = tmp_path / "c" / "train" / "semseg" / "all" / "ADE_train_00000001.png"
    assert linked.samefile(folder / "annotations" / "training" / "ADE_train_00000001.png")


def test_a_damaged_member_of_a_zip_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = published.ade20k(num_train=20)
    broken = "annotations/training/ADE_train_00000020.png"
    archive = bytearray(published.zipped(files))
    archive[archive.index(files[broken]) + 20] ^= 1
    path = tmp_path / "ADEChallengeData2016.zip"
    path.write_bytes(archive)
    assert prepare("ade20k", path, tmp_path / "out") == 3
    assert f"{path}: {broken} cannot be read: Bad CRC-32" in capsys.readouterr().out
    written = tree(tmp_path / "out")
    assert "train/rgb/all/ADE_train_00000001.jpg" in written
    assert "train/semseg/all/ADE_train_00000020.png" not in written
    path.write_bytes(published.zipped(files))
    assert prepare("ade20k", path, tmp_path / "out") == 0
    assert len(tree(tmp_path / "out")) == 46


def test_a_linked_file_that_is_no_image_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = published.write(tmp_path / "ade", published.ade20k())
    (root / "images" / "validation" / "ADE_val_00000002.jpg").write_bytes(b"")
    assert prepare("ade20k", root, tmp_path / "out") == 3
    assert "ADE_val_00000002.jpg is no image that can be read" in capsys.readouterr().out
    assert "train/rgb/all/ADE_train_00000001.jpg" in tree(tmp_path / "out")


def building_archives(views: dict[str, int], *, pattern: str) -> dict[str, bytes]:
    """Return one archive for each building and domain, whose members lie in a folder named by the domain."""
    archives = {}
    for building in views:
        for domain in DOMAINS:
            files = published.taskonomy(views, domains=(domain,))
            ours = {name.replace(f"/{building}/", "/"): files[name] for name in files if f"/{building}/" in name}
            archives[pattern.format(building=building, domain=domain)] = published.tar(ours)
    return archives


def wanted_views() -> dict[str, bytes]:
    split_of = {"allensville": "train", "corozal": "val", "ihlen": "test"}
    wanted = {}
    for name, content in published.taskonomy(VIEWS, domains=DOMAINS).items():
        domain, building, file = name.split("/")
        wanted[f"{split_of[building]}/{domain}/all/{building}_{file.split('_domain')[0]}.png"] = content
    return wanted


@pytest.mark.parametrize("pattern", ["{building}_{domain}.tar", "{domain}/{domain}__taskonomy__{building}.tar"])
def test_taskonomy_from_its_archives(tmp_path: Path, pattern: str) -> None:
    published.write(tmp_path / "archives", building_archives(VIEWS, pattern=pattern))
    assert prepare("taskonomy", tmp_path / "archives", tmp_path / "out") == 0
    assert tree(tmp_path / "out") == wanted_views()
    assert opened(tmp_path / "out").own_val
    assert opened(tmp_path / "out").class_names() == ()


def test_taskonomy_from_folders_is_split_as_it_is_read_in_place(tmp_path: Path) -> None:
    source = published.write(tmp_path / "published", published.taskonomy(VIEWS, domains=DOMAINS))
    (source / "tiny_val.csv").write_bytes(published.split_table(["corozal/1/1", "allensville/2/2"]))
    (source / "tiny_train.csv").write_bytes(published.split_table(["allensville/0/0"]))
    stray = "point_0_view_0_domain_normal.png"
    shutil.copy(source / "normal" / "allensville" / stray, source / "rgb" / "allensville" / stray)
    assert prepare("taskonomy", source, tmp_path / "out") == 0
    for split in ("train", "val", "test"):
        in_place = opened(source).samples(split, DOMAINS)
        names = tuple(name.replace("/", "_") for name in in_place.names)
        assert names == opened(tmp_path / "out").samples(split, DOMAINS).names
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest.provenance.left_out == {"files in no split": 2 * len(DOMAINS)}
    assert (tmp_path / "out" / "test" / "rgb" / "all" / "ihlen_point_0_view_0.png").samefile(
        source / "rgb" / "ihlen" / "point_0_view_0_domain_rgb.png"
    )


def test_other_splits_do_not_go_into_the_same_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = published.write(tmp_path / "published", published.taskonomy(VIEWS, domains=("rgb",)))
    assert prepare("taskonomy", source, tmp_path / "out") == 0
    (source / "tiny_val.csv").write_bytes(published.split_table(["allensville/0/0"]))
    assert prepare("taskonomy", source, tmp_path / "out") == 3
    assert (
        "was prepared with other settings: val is buildings of the tiny split, wanted tiny" in capsys.readouterr().err
    )


def test_a_torn_building_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archives = building_archives(VIEWS, pattern="{building}_{domain}.tar")
    archives["corozal_normal.tar"] = archives["corozal_normal.tar"][:6000]
    published.write(tmp_path / "archives", archives)
    assert prepare("taskonomy", tmp_path / "archives", tmp_path / "out") == 3
    assert "corozal_normal.tar cannot be read after 0 files" in capsys.readouterr().out
    wanted = wanted_views()
    assert tree(tmp_path / "out") == {name: wanted[name] for name in wanted if "normal/all/corozal" not in name}
