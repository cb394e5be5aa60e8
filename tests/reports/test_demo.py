"""`multimae demo` as a user meets it: any photograph, other modalities or none, and what is said if something lacks."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from multimae.data.decode import decode
from multimae.data.sample import DataError
from multimae.data.sets.nyuv2 import SPEC
from reports.pages.demo import find_pretraining, main
from reports.pages.own_images import example_of, load_pretraining
from tests.made.chromium import dump_dom
from tests.made.damages import bomb
from tests.made.pretrained import INPUTS, KEY, SIZE, write_pretraining
from tests.made.tinydata import write_frames

ROOT = Path(__file__).parents[2]
TURNED_RIGHT = 6  # EXIF's code for "turn by 90 degrees clockwise to see it upright"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("data"), num_train=1, num_test=2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    runs = tmp_path_factory.mktemp("work") / "runs"
    write_pretraining(runs / "nyuv2" / KEY, data_root=data)
    return runs


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A photograph lying on its side: 301 x 200 as stored, the sky of the scene at its left."""
    pixels = np.random.default_rng(0).integers(0, 255, (200, 301, 3), dtype=np.uint8)
    pixels[:, :80] = (40, 90, 220)
    exif = Image.Exif()
    exif[0x0112] = TURNED_RIGHT
    path = tmp_path / "holiday photo.jpg"
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def demo(runs: Path, *arguments: str | Path) -> int:
    return main([*map(str, arguments), "--runs-dir", str(runs)])


def payload(page: Path) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="payload">(.*?)</script>', page.read_text("utf-8"))
    return dict(json.loads(text))


def test_a_photograph_alone_predicts_the_other_modalities(
    runs: Path, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo(runs, photograph) == 0
    taken, written = capsys.readouterr().out.splitlines()
    assert taken == f"{runs / 'nyuv2' / KEY}: pre-trained on NYU Depth v2"
    page = Path(written)
    assert page == runs / "demo" / "holiday photo.html"
    settings = payload(page)["settings"]
    assert settings["given"] == ["rgb"]
    assert all(budget[1:] == [0, 0] for budget in settings["budgets"])
    shown = dump_dom(page)
    assert "16 of 48 tokens visible: 16 RGB (all), 0 depth, 0 semseg" in shown
    assert shown.count("not given") == 2 + 2 * 3, "two sliders; no target, no input, no difference of two modalities"
    assert "What the pre-training makes of holiday photo" in shown


def test_what_is_given_is_used(runs: Path, data: Path, tmp_path: Path) -> None:
    files = {name: data / "nyuv2" / "test" / name / "all" / "1000.png" for name in INPUTS}
    out = tmp_path / "all.html"
    assert demo(runs, files["rgb"], "--depth", files["depth"], "--semseg", files["semseg"], "--out", out) == 0
    assert payload(out)["settings"]["given"] == INPUTS
    assert demo(runs, "--depth", files["depth"], "--out", out) == 0
    assert payload(out)["settings"]["given"] == ["depth"]


def test_without_a_file_a_test_frame_is_shown(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(runs) == 0
    page = Path(capsys.readouterr().out.splitlines()[-1])
    assert payload(page)["settings"]["given"] == INPUTS
    assert "test frame 100" in page.read_text("utf-8")
    assert "test images of NYU Depth v2" in page.read_text("utf-8"), "what its own report says of it"


def test_photographs_are_seen_upright_and_in_their_centre(runs: Path, photograph: Path, tmp_path: Path) -> None:
    assert decode(photograph, modality="rgb", spec=SPEC).shape == (301, 200, 3)
    loaded = load_pretraining(runs / "nyuv2" / KEY)
    upright = tmp_path / "upright.png"
    Image.fromarray(np.asarray(Image.open(photograph).convert("RGB"))).rotate(-90, expand=True).save(upright)
    turned, plain = (
        example_of({"rgb": path}, loaded=loaded, name="x")["inputs"]["rgb"] for path in (photograph, upright)
    )
    assert torch.equal(turned, plain)
    assert turned.shape == (3, SIZE, SIZE)
    blue_above = turned[2] - turned[0] > 1.5
    assert blue_above[:8].float().mean() > 0.9
    assert blue_above[12:].float().mean() < 0.1


def test_what_cannot_be_read_is_named(
    runs: Path, photograph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn, text, deep, wide = (tmp_path / name for name in ("torn.jpg", "text.jpg", "deep.png", "wide.png"))
    large = tmp_path / "large.png"
    Image.new("L", (2, 2)).save(large)
    bomb("large.png")(tmp_path)
    torn.write_bytes(photograph.read_bytes()[:9000])
    text.write_text("not an image")
    Image.fromarray(np.full((60, 90), 1500, dtype=np.uint16)).save(deep)
    Image.fromarray(np.full((60, 300), 1500, dtype=np.uint16)).save(wide)
    for arguments, words in (
        ([tmp_path / "nowhere.jpg"], "nowhere.jpg: there is no such file"),
        ([torn], "torn.jpg: cannot be decoded as rgb: image file is truncated"),
        ([text], "text.jpg: cannot be decoded as rgb: cannot identify"),
        ([large], "large.png: has more pixels than the 178,956,970 that are read"),
        ([deep], "deep.png: rgb has image mode I;16, wanted one of "),
        (["--depth", photograph], "depth is stored as JPEG, which changes codes"),
        ([photograph, "--depth", wide], "holiday photo.jpg is 200x301, "),
    ):
        assert demo(runs, *arguments) == 3
        assert words in capsys.readouterr().err.replace(f"{tmp_path}/", "")
    assert not (runs / "demo" / "torn.html").exists()


def test_without_a_pretraining_the_command_that_makes_one_is_named(
    runs: Path, photograph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo(tmp_path / "empty", photograph) == 3
    assert "python experiments/sweep.py --suite nyuv2" in capsys.readouterr().err
    assert demo(runs, photograph, "--checkpoint", tmp_path) == 3
    assert f"{tmp_path} is not the run directory of a finished pre-training" in capsys.readouterr().err


def test_the_pretraining_must_read_what_is_given(data: Path, photograph: Path, tmp_path: Path) -> None:
    run_dir = write_pretraining(tmp_path / "run", data_root=data, inputs=["depth"], outputs=["depth"], explored=False)
    with pytest.raises(DataError, match=r"reads \['depth'\], got \['rgb'\]"):
        example_of({"rgb": photograph}, loaded=load_pretraining(run_dir), name="x")


def test_the_newest_pretraining_is_taken_and_rooms_of_nyuv2_first(tmp_path: Path) -> None:
    def finished(place: str, **about: Any) -> Path:
        run_dir = tmp_path / place
        (run_dir / "checkpoints").mkdir(parents=True)
        (run_dir / "checkpoints" / "last.pth").touch()
        result = {
            "key": place,
            "task": "nyuv2-pretrain",
            "suite": place.split("/")[0],
            "dataset": "nyuv2",
            "size": "tiny",
            **about,
        }
        (run_dir / "result.json").write_text(json.dumps(result))
        return run_dir

    older = finished("other/a", finished=1.0)
    newer = finished("other/b", finished=2.0)
    finished("other/transfer", task="nyuv2-semseg", finished=9.0)
    (finished("other/cleaned", finished=8.0) / "checkpoints" / "last.pth").unlink()
    assert find_pretraining(tmp_path).directory == newer
    assert find_pretraining(tmp_path, run_dir=older).directory == older
    rooms = finished("nyuv2/c", dataset="rooms", finished=0.5)
    assert find_pretraining(tmp_path).directory == rooms


def test_help_and_mistakes_do_not_wait_for_torch(tmp_path: Path) -> None:
    code = f"""
import sys
from reports.pages.demo import main
code = main(["--runs-dir", {str(tmp_path)!r}])
print(code, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["3", "False"]
    command = [sys.executable, "-m", "multimae.cli", "demo", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "--depth" in told.stdout
