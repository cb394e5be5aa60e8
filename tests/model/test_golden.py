"""The base-size model against numbers of the reference's code; weights and inputs are closed formulas.

`tests/parity/official_golden.npz` holds slices of its outputs. A parameter's values depend on its name (the
reference's), its shape and its index alone, so both sides can make them.
"""

import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multimae.backbone import MultiMAE
from multimae.checkpoints.formats import to_reference
from multimae.data.transforms import standardize_depth
from multimae.engine.optim import warmup_cosine
from multimae.evaluation.depth import paper_depth_scores
from multimae.evaluation.segmentation import SegmentationMetric
from multimae.layers import sincos_positions
from multimae.losses import IGNORE_LABEL, berhu, masked_l1, masked_mse
from multimae.pretraining import MultiMAEPretraining
from multimae.registry import MODELS
from multimae.tables.sizes import SIZES
from multimae.transfer import MultiMAETransfer

GOLDEN = Path(__file__).parents[1] / "parity" / "official_golden.npz"
OUTPUTS = ["rgb", "depth", "semseg", "norm_rgb"]
NYU_MEAN, NYU_STD = 2070.7764, 777.5723
# The order of additions differs. The DPT maps vary little with these weights, so less is allowed there.
TOLERANCE, DPT_TOLERANCE = 2e-5, 1e-6
LONGEST = 10_000_000

pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason=f"{GOLDEN} is not there")


@cache
def golden() -> Mapping[str, NDArray[Any]]:
    with np.load(GOLDEN) as file:
        return dict(file)


def close(name: str, actual: Tensor, *, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(actual.numpy(), golden()[name], rtol=0, atol=tolerance)


def ramp(*shape: int) -> Tensor:
    """Number the entries of a tensor in C order, in float64."""
    return torch.arange(np.prod(shape), dtype=torch.float64).view(shape)


@cache
def phase(num: int) -> Tensor:
    index = ramp(num)
    return 0.37 * index + 0.001 * (index**1.5).fmod(97)


@cache
def weight(name: str, shape: torch.Size) -> Tensor:
    """Make one parameter; the encoder's are asked for by every model and are kept."""
    start, num = zlib.crc32(name.encode()) % 1000, shape.numel()
    if name.endswith("pos_emb"):
        return sincos_positions(dim=shape[1], size=shape[2])
    if len(shape) == 1:
        wave = (0.37 * ramp(num) + start).sin()
        return (1 + 0.1 * wave if name.endswith(".weight") else 0.02 * wave).float()
    scale = 1.5 / shape[1:].numel() ** 0.5
    # A table longer than any parameter, computed once, is cut for each.
    return (scale * (phase(LONGEST)[:num] + start).sin()).float().view(shape)


def filled(model: nn.Module, *, task: str = "") -> Any:
    """Give a model on the meta device its weights."""
    # Of the two names that a parameter of DPT has there, the first counts.
    names = {name: next(iter(to_reference({name: tensor}, task=task))) for name, tensor in model.state_dict().items()}
    state = {name: weight(names[name], tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    return model.eval()


def encoder_config(*modalities: str, image_size: int) -> dict[str, Any]:
    base = SIZES["base"]
    sizes = {"dim": base.dim, "depth": base.depth, "num_heads": base.num_heads, "image_size": image_size}
    return {"type": "multimae.MultiMAE", "modalities": modalities, **sizes}


def transfer(
    *modalities: str, image_size: int, task: str, head: dict[str, Any], main: list[str] | None = None
) -> MultiMAETransfer:
    with torch.device("meta"):
        encoder = encoder_config(*modalities, image_size=image_size)
        model = MultiMAETransfer(backbone=encoder, head=head, loss="cross_entropy", main_modalities=main)
    filled_model: MultiMAETransfer = filled(model, task=task)
    return filled_model


def inputs(*, size: int, batch: int = 1) -> dict[str, Tensor]:
    return {
        "rgb": (0.05 * ramp(batch, 3, size, size)).sin().float(),
        "depth": (0.03 * ramp(batch, 1, size, size)).cos().float(),
        "semseg": (7 * ramp(batch, size // 4, size // 4)).fmod(133).long(),
    }


@cache
def pretraining() -> MultiMAEPretraining:
    with torch.device("meta"):
        encoder = encoder_config("rgb", "depth", "semseg", image_size=224)
        model = MultiMAEPretraining(backbone=encoder, outputs=OUTPUTS)
    filled_model: MultiMAEPretraining = filled(model)
    return filled_model


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.no_grad():
        yield


def test_pretraining() -> None:
    visible = {"rgb": range(0, 193, 4), "depth": range(1, 194, 8), "semseg": range(2, 187, 8)}
    masks = {name: torch.ones(1, 196, dtype=torch.bool) for name in visible}
    for name, places in visible.items():
        masks[name][:, list(places)] = False
    maps = inputs(size=224)
    result = pretraining().reconstruct(maps, masks=masks)

    for name in ("rgb", "depth", "norm_rgb"):
        close(f"pre_{name}", result.predictions[name][..., ::4, ::4])
    close("pre_semseg", result.predictions["semseg"][:, ::7, ::2, ::2])
    rows = [result.predictions[name] for name in ("rgb", "depth", "semseg", "norm_rgb")]
    close("pre_stats", torch.stack([torch.stack([row.mean(), row.std(), row.min(), row.max()]) for row in rows]))
    losses = pretraining().loss(maps, masks=masks)
    close("pre_losses", torch.stack([losses[f"loss_{name}"] for name in ("rgb", "depth", "semseg", "norm_rgb")]))


def test_adapters_and_tables_of_positions() -> None:
    maps, adapters = inputs(size=224), pretraining().backbone.input_adapters
    for name in ("rgb", "semseg"):
        close(f"tok_{name}", adapters[name](maps[name])[:, ::7, ::8])
    close("posemb_14_768", sincos_positions(dim=768, size=14)[0, ::16], tolerance=1e-6)
    close("posemb_dec_14_256", sincos_positions(dim=256, size=14)[0, ::8], tolerance=1e-6)


def test_tokens_at_another_size() -> None:
    with torch.device("meta"):
        model: MultiMAE = MODELS.build(encoder_config("rgb", "depth", image_size=224))
    model = filled(nn.ModuleDict({"backbone": model}))["backbone"]
    tokens = model.forward_layers(inputs(size=96)).layers[-1]
    close("vit_tokens_96_rgbd", tokens[:, :, ::16])


def test_classification() -> None:
    model = transfer("rgb", image_size=224, task="cls", head={"type": "linear", "num_outputs": 1000})
    close("cls_logits", model(inputs(size=224, batch=2)))


@pytest.mark.parametrize("main", [["rgb"], ["rgb", "depth"]], ids="-".join)
def test_convnext(main: list[str]) -> None:
    head = {"type": "convnext", "num_outputs": 40}
    model = transfer("rgb", "depth", image_size=96, task="semseg", head=head, main=main)
    close(f"convnext_{''.join(main)}", model(inputs(size=96))[:, ::3, ::4, ::4])


def test_segmenter() -> None:
    model = transfer("rgb", image_size=96, task="semseg", head={"type": "segmenter", "num_outputs": 40})
    close("segmenter", model(inputs(size=96))[:, ::3, ::4, ::4])


def test_dpt_for_regression() -> None:
    head = {"type": "dpt", "task": "regression", "num_outputs": 1}
    model = transfer("rgb", image_size=96, task="depth", head=head)
    close("dpt_reg", model(inputs(size=96))[:, :, ::2, ::2], tolerance=DPT_TOLERANCE)


def test_dpt_for_segmentation() -> None:
    head = {"type": "dpt", "task": "semseg", "num_outputs": 40}
    model = transfer("rgb", image_size=96, task="semseg", head=head)
    close("dpt_seg", model(inputs(size=96))[:, ::3, ::4, ::4], tolerance=DPT_TOLERANCE)


def depth_pair() -> tuple[Tensor, Tensor, Tensor]:
    """Return predicted and true normalised depth, and where it is valid."""
    shape = (2, 1, 64, 64)
    index = ramp(*shape)
    return (0.011 * index).sin().float(), (0.8 * (0.017 * index).cos()).float(), index.fmod(5) != 0


def test_depth_losses() -> None:
    prediction, target, valid = depth_pair()
    losses = [loss(prediction, target=target, valid=valid) for loss in (masked_l1, masked_mse, berhu)]
    np.testing.assert_allclose(torch.stack(losses).numpy(), golden()["depth_losses_l1_mse_berhu"], rtol=1e-6)


def test_depth_scores() -> None:
    prediction, target, valid = depth_pair()
    millimetres = [map_[valid].double() * NYU_STD + NYU_MEAN for map_ in (prediction, target)]
    scores = paper_depth_scores(millimetres[0], target=millimetres[1])
    rmse, rel, srel, log10, *deltas = golden()["nyu_metrics"]
    expected = {f"delta{power}": 100 * delta for power, delta in enumerate(deltas, start=1)}
    expected |= {"rel": rel, "srel": srel / 1000, "rmse": rmse / 1000, "rmse_log": log10}
    assert scores == pytest.approx(expected, rel=1e-5)


def test_standardised_depth() -> None:
    maps = (0.03 * ramp(2, 1, 224, 224)).cos().square().float()
    ours = torch.stack([standardize_depth(map_, known=torch.ones_like(map_, dtype=torch.bool)) for map_ in maps])
    close("std_depth", ours[..., ::16, ::16])


def test_mean_intersection_over_union() -> None:
    index = ramp(64, 64).long()
    labels = (5 * index) % 43
    metric = SegmentationMetric(num_classes=40, protocol="paper")
    metric.add((3 * index) % 41 % 40, target=labels.masked_fill(labels >= 40, IGNORE_LABEL))
    scores = metric.evaluate(1)
    ours = [scores[name] / 100 for name in ("aacc", "macc", "miou")]
    np.testing.assert_allclose(ours, golden()["miou"], rtol=1e-12)


def test_schedule() -> None:
    num_steps, num_warmup_steps = 10 * 7, 2 * 7
    schedule = [
        1e-4 * warmup_cosine(step, num_steps=num_steps, num_warmup_steps=num_warmup_steps, final_ratio=1e-2)
        for step in range(num_steps)
    ]
    np.testing.assert_allclose(schedule, golden()["cosine"], rtol=1e-12, atol=1e-18)
