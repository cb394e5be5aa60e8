"""Pseudo labels in jobs, with real processes; and a labeller that the project trained itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.nyuv2 import DEPTH
from experiments.plan.planning import Data, make_plan
from experiments.plan.rundirs import prepare
from experiments.plan.shards import plan_shards, prepare_shard
from experiments.plan.suite import SuiteRun
from multimae.data.folder import MultiModalFolder
from multimae.data.pipelines.pretraining import PretrainingAugmentation
from multimae.data_cli import main
from multimae.engine.job import execute
from multimae.engine.signals import StopRequest
from multimae.pretraining import MultiMAEPretraining
from multimae.pseudo_labels.images import list_images
from multimae.pseudo_labels.job import execute as execute_labelling
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.pseudo_labels.sources import find_source
from multimae.record.attempt import Attempt
from multimae.rooms.archive import unpack
from slurm.local import _started
from tests.made import tiny_networks

ROOT = Path(__file__).parents[2]
MANY = 400  # images that take a job some seconds, so that there is time to stop it


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Work as the jobs of these tests do: other numbers of threads add in another order, which moves last digits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    for job in _started:  # a job ends a moment after its result is there
        job.wait()


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("networks")
    for kind in ("dpt", "mask2former"):
        tiny_networks.write(root / kind, kind=kind)
    return root


def write_images(folder: Path, *, num_images: int) -> Path:
    """Write noisy images of two sizes."""
    folder.mkdir(parents=True)
    for index in range(num_images):
        size = (64, 80) if index % 3 else (75, 101)
        pixels = np.random.default_rng(index).integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03d}.png", compress_level=1)
    return folder


def words(rgb: Path, out: Path, *options: str | Path) -> list[str]:
    return ["pseudo-label", "--rgb", str(rgb), "--out", str(out), *map(str, options)]


def run_dirs(runs: Path) -> list[Path]:
    return sorted(path.parent for path in runs.glob("pseudo-label/*/run.json"))


def wait_for(look: Callable[[], object], *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_shards_write_the_files_that_one_process_writes(networks: Path, tmp_path: Path) -> None:
    rgb = write_images(tmp_path / "rgb", num_images=7)
    chosen = ("--depth", networks / "dpt", "--semseg", networks / "mask2former", "--batch-size", "1")
    jobs = ("--shards", "2", "--executor", "local", "--runs-dir", tmp_path / "runs")
    assert main(words(rgb, tmp_path / "alone", *chosen)) == 0
    assert main(words(rgb, tmp_path / "sharded", *chosen, *jobs)) == 0
    alone, sharded = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*.png")}
        for out in (tmp_path / "alone", tmp_path / "sharded")
    )
    assert len(alone) == 14
    assert alone == sharded
    manifests = [tmp_path / out / "pseudo_depth" / "manifest.json" for out in ("alone", "sharded")]
    assert manifests[0].read_text() == manifests[1].read_text()
    shards = run_dirs(tmp_path / "runs")
    assert [json.loads((shard / "result.json").read_text())["counts"]["num_written"] for shard in shards] == [8, 6]
    for shard in shards:
        assert json.loads((shard / "attempts" / "1" / "exit.json").read_text())["kind"] == "finished"
        events = [json.loads(line)["kind"] for line in (shard / "spool" / "1.jsonl").read_text().splitlines()]
        assert events[:2] == ["start", "progress"]
        assert events[-1] == "end"


def test_the_same_command_again_mends_what_was_broken_and_nothing_else(
    networks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rgb = write_images(tmp_path / "rgb", num_images=4)
    broken = rgb / "001.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    options = ("--depth", networks / "dpt", "--shards", "2", "--executor", "local", "--runs-dir", tmp_path / "runs")
    command = words(rgb, tmp_path / "out", *options)
    assert main(command) == 1
    assert str(broken) in capsys.readouterr().out
    first, second = run_dirs(tmp_path / "runs")
    assert (first / "result.json").exists()
    assert json.loads((second / "attempts" / "1" / "exit.json").read_text())["kind"] == "data"
    assert {path.stem for path in (tmp_path / "out").rglob("*.png")} == {"000", "002", "003"}
    broken.write_bytes(whole)
    assert main(command) == 0
    assert "4 labels in" in capsys.readouterr().out
    assert main(command) == 0
    assert [len(list((shard / "attempts").iterdir())) for shard in (first, second)] == [1, 2]
    assert json.loads((second / "result.json").read_text())["counts"]["num_written"] == 1
    (tmp_path / "out" / "pseudo_depth" / "002.png").unlink()
    assert main(command) == 0
    assert [len(list((shard / "attempts").iterdir())) for shard in (first, second)] == [2, 2]
    assert (tmp_path / "out" / "pseudo_depth" / "002.png").exists()


def shard(networks: Path, tmp_path: Path, *, num_images: int) -> Path:
    """Write the run directory of a labelling in one shard."""
    settings = LabellingSettings(
        rgb_dir=write_images(tmp_path / "rgb", num_images=num_images),
        out_dir=tmp_path / "out",
        sources={"depth": find_source(str(networks / "dpt"))},
        batch_size=1,
        device="cpu",
    )
    ((key, its),) = plan_shards(settings, images=list_images(settings.rgb_dir), num_shards=1).items()
    prepare_shard(tmp_path / "runs" / key, settings=its)
    return tmp_path / "runs" / key


def start(run_dir: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "multimae.train", str(run_dir), "--attempt", "1"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)


def test_a_preempted_job_stops_in_time_and_the_next_goes_on(networks: Path, tmp_path: Path) -> None:
    run_dir = shard(networks, tmp_path, num_images=MANY)
    made = tmp_path / "out" / "pseudo_depth"
    with start(run_dir) as job:
        wait_for(lambda: len(list(made.glob("*.png"))) >= 3)
        job.send_signal(signal.SIGUSR2)
        assert job.wait(timeout=20) == 75
    assert json.loads((run_dir / "attempts" / "1" / "exit.json").read_text())["kind"] == "preempted"
    before = {path: path.stat().st_mtime_ns for path in made.glob("*.png")}
    assert 3 <= len(before) < MANY
    second = Attempt(run_dir=run_dir, number=2)
    second.start()
    execute_labelling(second, stop=StopRequest())
    result = json.loads((run_dir / "result.json").read_text())
    assert result["counts"]["num_written"] == MANY - len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_detached_labelling_survives_a_kill_of_its_job(networks: Path, tmp_path: Path) -> None:
    rgb = write_images(tmp_path / "rgb", num_images=MANY)
    options = ("--depth", networks / "dpt", "--shards", "2", "--executor", "local", "--runs-dir", tmp_path / "runs")
    command = words(rgb, tmp_path / "out", *options, "--batch-size", "1")
    detached = subprocess.run(
        [sys.executable, "-m", "multimae.cli", "data", *command, "--detach"], cwd=ROOT, capture_output=True, text=True
    )
    assert detached.returncode == 0, detached.stderr
    assert "goes on" in detached.stdout
    made = tmp_path / "out" / "pseudo_depth"
    wait_for((made / "000.png").exists)
    killed, other = run_dirs(tmp_path / "runs")
    os.kill(json.loads((killed / "attempts" / "1" / "started.json").read_text())["pid"], signal.SIGKILL)
    assert main(command) == 0  # follows the process in the background, which submits the job again
    assert [len(list((run_dir / "attempts").iterdir())) for run_dir in (killed, other)] == [2, 1]
    assert not (killed / "attempts" / "1" / "exit.json").exists()
    assert json.loads((made / "manifest.json").read_text())["num_files"] == MANY


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--shards", "2", "--cluster-file", "/nowhere/clusters.toml"], 2, "/nowhere/clusters.toml"),
        (["--shards", "2", "--rgb", "/nowhere"], 3, "no folder /nowhere"),
        (["--shards", "2", "--min-side", "96"], 2, "min_side"),
    ],
)
def test_what_is_wrong_is_said_before_a_job_starts(
    networks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, said: str
) -> None:
    rgb = write_images(tmp_path / "rgb", num_images=1)
    chosen = ("--depth", networks / "dpt")
    assert main(words(rgb, tmp_path / "out", *chosen)) == 0
    assert main(words(rgb, tmp_path / "out", *chosen, "--runs-dir", tmp_path / "runs", *options)) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*/*/attempts"))


# A labeller of our own


@pytest.fixture(scope="module")
def rooms_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, rooms_root: Path) -> Path:
    """A depth transfer from RGB, trained on rooms for two epochs."""
    recipe = replace(DEPTH.recipes["cpu"], epochs=2, warmup_epochs=0.2, val_ratio=0.0)
    run = SuiteRun(
        suite="labeller",
        task=DEPTH,
        dataset="rooms",
        inputs=("rgb",),
        checkpoint="scratch",
        seed=0,
        recipe=recipe,
        size="tiny",
        profile="cpu",
    )
    data = Data(name="rooms", root=rooms_root, fingerprint="0", num_train=240, num_test=80)
    (planned,) = make_plan([run], data={run.dataset_name: data})
    run_dir = prepare(planned, suite_dir=tmp_path_factory.mktemp("runs"))
    attempt = Attempt(run_dir=run_dir, number=1)
    attempt.start()
    execute(attempt, stop=StopRequest())
    return run_dir


@pytest.mark.filterwarnings("default")  # mmengine and torch warn here
def test_labels_of_a_network_trained_here_follow_the_true_depth(
    trained: Path, rooms_root: Path, tmp_path: Path
) -> None:
    assert main(words(rooms_root / "test" / "rgb", tmp_path, "--depth", trained)) == 0
    true, labelled = (
        np.stack([np.asarray(Image.open(path), dtype=float) for path in sorted(folder.glob("all/*.png"))])
        for folder in (rooms_root / "test" / "depth", tmp_path / "pseudo_depth")
    )
    ratio = np.maximum(true / labelled, labelled / true)
    correlations = [
        np.corrcoef(depth.ravel(), label.ravel())[0, 1] for depth, label in zip(true, labelled, strict=True)
    ]
    result = json.loads((trained / "result.json").read_text())
    scored, constant = (
        {row["metric"]: row["value"] for row in result[rows] if row["protocol"] == "standard"}
        for rows in ("rows", "baselines")
    )
    # The labels are the run's own predictions, to the rounding of millimetres: they score what it scored.
    assert 100 * (ratio < 1.25).mean() == pytest.approx(scored["delta1"], abs=0.3)
    assert scored["delta1"] > constant["delta1"] + 2
    assert np.mean(correlations) > 0.4  # a constant's is 0


def test_a_pretraining_learns_from_images_and_their_pseudo_labels(
    trained: Path, rooms_root: Path, tmp_path: Path
) -> None:
    rgb = tmp_path / "rooms" / "train" / "rgb" / "all"
    rgb.mkdir(parents=True)
    for path in sorted((rooms_root / "train" / "rgb" / "all").iterdir())[:8]:
        (rgb / path.name).symlink_to(path)
    assert main(words(rgb.parent, tmp_path / "rooms" / "train", "--depth", trained, "--prefix", "")) == 0
    torch.manual_seed(0)
    folder = MultiModalFolder(
        root=tmp_path,
        dataset="rooms",
        split="train",
        modalities=["rgb", "depth"],
        pipeline=PretrainingAugmentation(inputs=["rgb", "depth"], size=64),
    )
    examples = [folder[index]["inputs"] for index in range(len(folder))]
    batch = {name: torch.stack([example[name] for example in examples]) for name in ("rgb", "depth")}
    assert len(examples) == 8
    assert all(depth.std() > 0.5 for depth in batch["depth"])
    backbone = {"type": "multimae.MultiMAE", "modalities": ["rgb", "depth"], "image_size": 64}
    model = MultiMAEPretraining(
        backbone={**backbone, "dim": 64, "depth": 2, "num_heads": 2},
        outputs=["rgb", "depth"],
        decoder_dim=32,
        decoder_depth=1,
        decoder_heads=2,
        num_visible_tokens=10,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        loss = sum(model.loss(batch).values(), start=torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
