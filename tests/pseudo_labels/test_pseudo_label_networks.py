"""Networks of transformers, with random weights, and runs of this project label as they should."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from experiments.plan.render import as_python
from multimae.data.sample import DataError
from multimae.engine.resume import save_checkpoint
from multimae.pseudo_labels.sources import sha256_of
from multimae.registry import MODELS
from tests.made import tiny_networks
from tests.made.labelling_cases import SIZES, labeller_of, labels, manifest, picture, run, write_images


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network of every kind."""
    root = tmp_path_factory.mktemp("networks")
    for kind in ("dpt", "dpt_hybrid", "depth_anything", "zoedepth", "mask2former", "oneformer", "segformer"):
        tiny_networks.write(root / kind, kind=kind)
    tiny_networks.write(root / "metric", kind="depth_anything", depth_estimation_type="metric", max_depth=20)
    return root


@pytest.fixture
def rgb(tmp_path: Path) -> Path:
    return write_images(tmp_path / "rgb")


@pytest.mark.parametrize("kind", ["dpt", "dpt_hybrid", "depth_anything", "metric", "zoedepth"])
def test_depth_has_sixteen_bits_at_native_resolution(networks: Path, rgb: Path, tmp_path: Path, kind: str) -> None:
    assert run(rgb, tmp_path / "out", "--depth", networks / kind, "--batch-size", "2") == 0
    made = labels(tmp_path / "out" / "pseudo_depth")
    assert {name: depth.shape for name, depth in made.items()} == SIZES
    for name, depth in made.items():
        assert depth.dtype == np.uint16
        assert len(np.unique(depth)) > 300, name
    with Image.open(tmp_path / "out" / "pseudo_depth" / "a" / "0.png") as image:
        assert image.mode == "I;16"
    ranges = {(depth.min(), depth.max()) for depth in made.values()}
    if kind in ("metric", "zoedepth"):
        assert all(low > 1 and high < 65535 for low, high in ranges)
    else:
        assert ranges == {(1, 65535)}


@pytest.mark.parametrize("kind", ["mask2former", "oneformer", "segformer"])
def test_classes_have_eight_bits_at_native_resolution(networks: Path, rgb: Path, tmp_path: Path, kind: str) -> None:
    assert run(rgb, tmp_path / "out", "--semseg", networks / kind, "--batch-size", "2") == 0
    made = labels(tmp_path / "out" / "pseudo_semseg")
    assert {name: classes.shape for name, classes in made.items()} == SIZES
    assert {classes.dtype for classes in made.values()} == {np.dtype(np.uint8)}
    assert len(np.unique(np.concatenate([classes.ravel() for classes in made.values()]))) > 1
    recorded = manifest(tmp_path / "out" / "pseudo_semseg")
    num_classes = 150 if kind == "segformer" else 133
    assert recorded["classes"] == {str(code): f"LABEL_{code}" for code in range(num_classes)}


def normalised(image: np.ndarray, *, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    pixels = (image / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float()


def test_a_dpt_gives_what_transformers_gives_on_a_square(networks: Path) -> None:
    from transformers import DPTForDepthEstimation

    image = picture(64, 64, seed=5)
    model = DPTForDepthEstimation.from_pretrained(networks / "dpt").eval()
    with torch.no_grad():
        disparity = model(normalised(image, mean=[0.5] * 3, std=[0.5] * 3)).predicted_depth[0].numpy()
    expected = 1 + 65534 * (disparity.max() - disparity) / (disparity.max() - disparity.min())
    (codes,) = labeller_of(networks / "dpt", "depth").label([image])
    assert np.abs(codes - expected).max() < 3


def test_a_dpt_on_an_oblong_image_keeps_its_patches_in_their_rows(networks: Path) -> None:
    from transformers import DPTForDepthEstimation

    image = picture(64, 128, seed=6)
    model = DPTForDepthEstimation.from_pretrained(networks / "dpt").eval()
    with torch.no_grad():
        encoded = model.dpt(normalised(image, mean=[0.5] * 3, std=[0.5] * 3), output_hidden_states=True)
        disparity = model.head(model.neck(list(encoded.hidden_states[1:]), 4, 8))[0].numpy()
    expected = 1 + 65534 * (disparity.max() - disparity) / (disparity.max() - disparity.min())
    (codes,) = labeller_of(networks / "dpt", "depth").label([image])
    assert np.abs(codes - expected).max() < 3


def test_mask2former_agrees_with_its_own_post_processing(networks: Path) -> None:
    from transformers import Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

    image = picture(64, 96, seed=7)
    model = Mask2FormerForUniversalSegmentation.from_pretrained(networks / "mask2former").eval()
    with torch.no_grad():
        outputs = model(normalised(image, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]))
    processor = Mask2FormerImageProcessor.from_pretrained(networks / "mask2former")
    (theirs,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[(64, 96)])
    (ours,) = labeller_of(networks / "mask2former", "semseg").label([image])
    assert len(np.unique(ours)) > 1
    # Theirs takes a detour over 384 x 384 masks, which moves borders a little.
    assert (ours == theirs.numpy()).mean() > 0.97


def test_colours_reach_the_network_as_red_green_blue(networks: Path) -> None:
    labeller = labeller_of(networks / "dpt", "depth")
    seen = []

    def network(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(pixels)
        return pixels[:, :1]

    object.__setattr__(labeller, "network", network)
    labeller.label([np.full((50, 70, 3), (255, 0, 51), dtype=np.uint8)])
    means = seen[0].mean(dim=(0, 2, 3)).tolist()
    assert means == pytest.approx([1.0, -1.0, -0.6], abs=1e-5)  # (x - 0.5) / 0.5 of red 1, green 0, blue 0.2


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_changes_little(networks: Path, precision: str) -> None:
    image = picture(64, 96, seed=8)
    (exact,), (rounded,) = (
        labeller_of(networks / "metric", "depth", precision=chosen).label([image]) for chosen in ("fp32", precision)
    )
    assert (exact != rounded).any()
    assert np.abs(exact.astype(int) - rounded).max() < 1500
    (exact,), (rounded,) = (
        labeller_of(networks / "mask2former", "semseg", precision=chosen).label([image])
        for chosen in ("fp32", precision)
    )
    assert (exact == rounded).mean() > 0.8


@pytest.mark.parametrize(
    ("kind", "output", "unit"),
    [
        ("dpt", None, "inverse depth up to scale and shift"),
        ("depth_anything", None, "inverse depth up to scale and shift"),
        ("depth_anything", "relative", "depth up to scale and shift"),
        ("dpt", "metres", "millimetres"),
        ("metric", None, "millimetres"),
        ("zoedepth", None, "millimetres"),
    ],
)
def test_what_depth_means_follows_from_the_network_unless_said(
    networks: Path, kind: str, output: str | None, unit: str
) -> None:
    assert labeller_of(networks / kind, "depth", depth_output=output).unit.startswith(unit)


def test_a_network_with_fresh_parameters_is_refused(networks: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "lacking"
    tiny_networks.write(folder, kind="dpt")
    weights = load_file(folder / "model.safetensors")
    unread = [name for name in weights if name.startswith("neck.fusion_stage.layers.0.residual_layer1.")]
    assert unread
    save_file({k: v for k, v in weights.items() if k not in unread}, folder / "model.safetensors", {"format": "pt"})
    image = picture(64, 64, seed=1)
    whole, published = (labeller_of(place, "depth").label([image])[0] for place in (networks / "dpt", folder))
    np.testing.assert_array_equal(whole, published)  # as published checkpoints are
    del weights["head.head.4.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"lacks 1 .* head\.head\.4\.weight"):
        labeller_of(folder, "depth")


def write_run(run_dir: Path, *, kind: str, inputs: Sequence[str] = ("rgb",)) -> Path:
    """Write what a finished, tiny transfer leaves behind: its config, its checkpoint and its result."""
    outputs, task = {"semseg": (20, "semseg"), "normal": (3, "regression"), "depth": (1, "regression")}[kind]
    encoder = {"modalities": list(inputs), "image_size": 64, "dim": 32, "depth": 4, "num_heads": 2}
    head = {"num_outputs": outputs, "task": task, "hooks": (0, 1, 2, 3), "layer_dims": (8, 8, 8, 8), "feature_dim": 8}
    model = {
        "type": "multimae.MultiMAETransfer",
        "backbone": {"type": "multimae.MultiMAE", **encoder},
        "head": {"type": "multimae.dpt", **head},
        "loss": "cross_entropy" if kind == "semseg" else "l1",
    }
    config = {
        "model": model,
        "train_dataloader": {"dataset": {"pipeline": {"size": 64}}},
        "job": {"kind": kind, "dataset": "rooms"},
    }
    run_dir.mkdir(parents=True)
    (run_dir / "config.py").write_text(as_python(config, title="a tiny run"))
    torch.manual_seed(0)
    save_checkpoint(run_dir / "checkpoints", {"step": 1, "model": MODELS.build(model).state_dict()})
    (run_dir / "run.json").write_text("{}")
    (run_dir / "result.json").write_text("{}")
    return run_dir


def test_a_run_labels_in_the_codes_of_its_data_set(rgb: Path, tmp_path: Path) -> None:
    runs = {kind: write_run(tmp_path / kind, kind=kind) for kind in ("depth", "semseg", "normal")}
    options = [word for kind, run_dir in runs.items() for word in (f"--{kind}", run_dir)]
    assert run(rgb, tmp_path / "out", *options, "--prefix", "") == 0
    depth, semseg, normal = (labels(tmp_path / "out" / kind) for kind in runs)
    assert {name: classes.shape for name, classes in semseg.items()} == SIZES
    assert all(classes.min() >= 1 and classes.max() <= 20 for classes in semseg.values())
    # Fresh heads say about 0, the mean of rooms' standardised depth.
    assert all(abs(metres.mean() / 2960.3 - 1) < 0.2 for metres in depth.values())
    for vectors in normal.values():
        lengths = np.linalg.norm(vectors / 127.5 - 1, axis=-1)
        assert vectors.shape[-1] == 3
        assert np.abs(lengths - 1).max() < 0.02
    recorded = manifest(tmp_path / "out" / "semseg")
    assert next(iter(recorded["classes"].items())) == ("1", "wall")
    assert recorded["weights_sha256"] == sha256_of([runs["semseg"] / "checkpoints" / "last.pth"])


def test_a_run_counts_its_classes_from_one(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "semseg", kind="semseg")
    model = MODELS.build(Config.fromfile(run_dir / "config.py").model)
    model.load_state_dict(torch.load(run_dir / "checkpoints" / "last.pth", weights_only=True)["model"])
    image = picture(64, 96, seed=3)
    with torch.no_grad():
        pixels = normalised(image, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
        scores = model.eval().predict_raw({"rgb": pixels})[0]
    (codes,) = labeller_of(run_dir, "semseg").label([image])
    np.testing.assert_array_equal(codes, scores.argmax(dim=0).numpy() + 1)


def test_a_run_that_cannot_label_is_refused(rgb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    depth = write_run(tmp_path / "depth", kind="depth")
    assert run(rgb, tmp_path / "out", "--semseg", depth) == 2
    assert "trained for depth, wanted one for semseg" in capsys.readouterr().err
    both = write_run(tmp_path / "both", kind="semseg", inputs=("rgb", "depth"))
    assert run(rgb, tmp_path / "out", "--semseg", both) == 2
    assert "reads ['rgb', 'depth']" in capsys.readouterr().err
    (depth / "result.json").unlink()
    assert run(rgb, tmp_path / "out", "--depth", depth) == 3
    assert "not finished" in capsys.readouterr().err
