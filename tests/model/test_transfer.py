"""Transfer: every head gives maps of the input's size, learns and says what is wrong."""

from typing import Any

import pytest
import torch
from torch import Tensor

from multimae.registry import MODELS
from multimae.transfer import MultiMAETransfer

BACKBONE = {
    "type": "multimae.MultiMAE",
    "modalities": ["rgb", "depth"],
    "image_size": 64,
    "dim": 32,
    "depth": 4,
    "num_heads": 4,
}
CONVNEXT = {"type": "multimae.ConvNeXtHead", "token_dim": 64, "depth": 1}
DPT = {"type": "multimae.DPTHead", "hooks": [0, 1, 2, 3], "layer_dims": [4, 8, 12, 16], "feature_dim": 8}
HEADS = {
    "convnext": CONVNEXT,
    "dpt_regression": {**DPT, "task": "regression"},
    "dpt_semseg": {**DPT, "task": "semseg"},
}


def tiny(
    head: dict[str, Any], *, num_outputs: int = 5, loss: Any = "cross_entropy", **changes: Any
) -> MultiMAETransfer:
    return MultiMAETransfer(backbone=BACKBONE, head={**head, "num_outputs": num_outputs}, loss=loss, **changes)


def some_inputs(*, height: int = 64, width: int = 64, batch: int = 2) -> dict[str, Tensor]:
    return {"rgb": torch.randn(batch, 3, height, width), "depth": torch.randn(batch, 1, height, width)}


def some_targets(*, height: int = 64, width: int = 64, batch: int = 2) -> dict[str, Tensor]:
    return {
        "semseg": torch.randint(0, 5, (batch, height, width)),
        "depth": torch.linspace(0, 2, width).expand(batch, 1, height, -1),
        "mask_valid": torch.rand(batch, 1, height, width) < 0.8,
    }


@pytest.mark.parametrize("main", [["rgb"], ["depth", "rgb"], None])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 32), (80, 48)])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_maps_have_the_size_of_the_input(head: dict[str, Any], height: int, width: int, main: list[str] | None) -> None:
    model, inputs = tiny(head, main_modalities=main).eval(), some_inputs(height=height, width=width)
    raw = model(inputs)
    assert raw.shape == (2, 5, height, width)
    predictions = model(inputs, mode="predict")
    assert [tuple(item.shape) for item in predictions] == [(5, height, width)] * 2
    torch.testing.assert_close(torch.stack(predictions), raw)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_every_trained_parameter_gets_a_gradient(head: dict[str, Any]) -> None:
    model = tiny(head, num_outputs=1, loss="l1")
    model(some_inputs(), targets=some_targets(), mode="loss")["loss"].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_the_unit_of_dpt_that_never_runs_is_kept_but_not_trained() -> None:
    frozen = {
        name for name, parameter in tiny(HEADS["dpt_semseg"]).head.named_parameters() if not parameter.requires_grad
    }
    prefix = "scratch.refinenet4.resConfUnit1."
    assert frozen == {f"{prefix}{conv}.{kind}" for conv in ("conv1", "conv2") for kind in ("weight", "bias")}


def test_only_main_modalities_reach_the_head() -> None:
    model = tiny(CONVNEXT, main_modalities=["depth"])
    assert model.head.proj_dec.in_features == 32
    assert model.backbone.out_modalities == ("depth",)


@pytest.mark.parametrize(("loss", "num_outputs"), [("cross_entropy", 5), ("berhu", 1), ("l1", 1)])
def test_learns_one_batch(loss: str, num_outputs: int) -> None:
    torch.manual_seed(0)
    model = tiny(CONVNEXT if loss == "cross_entropy" else HEADS["dpt_regression"], num_outputs=num_outputs, loss=loss)
    inputs, targets = some_inputs(), some_targets()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    values = []
    for _ in range(20):
        step = model(inputs, targets=targets, mode="loss")["loss"]
        optimizer.zero_grad()
        step.backward()
        optimizer.step()
        values.append(step.item())
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize(("loss", "num_outputs"), [("cross_entropy", 5), ("berhu", 1), ("l1", 1)])
def test_a_step_never_asks_the_device_for_a_value(loss: str, num_outputs: int) -> None:
    """Run on the meta device, which has no values: whatever would make the host wait raises there."""
    with torch.device("meta"):
        model = tiny(CONVNEXT, num_outputs=num_outputs, loss=loss)
        step = model(some_inputs(), targets=some_targets(), mode="loss")["loss"]
        step.backward()
    assert step.shape == ()


def test_predictions_are_float32_under_autocast() -> None:
    model = tiny(CONVNEXT).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(some_inputs())[0].dtype == torch.bfloat16
        assert model(some_inputs(), mode="predict")[0].dtype == torch.float32


def test_builds_from_any_openmmlab_config() -> None:
    config = {
        "type": "multimae.MultiMAETransfer",
        "backbone": BACKBONE,
        "head": {**CONVNEXT, "num_outputs": 5, "dim": 32, "num_main": 2},
        "loss": "cross_entropy",
    }
    assert isinstance(MODELS.build(config), MultiMAETransfer)


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="no loss 'berhuu'; did you mean berhu"):
        tiny(CONVNEXT, loss="berhuu")
    with pytest.raises(ValueError, match=r"needs the target 'depth', but targets hold only \['semseg'\]"):
        tiny(CONVNEXT, num_outputs=1, loss="berhu")(
            some_inputs(), targets={"semseg": some_targets()["semseg"]}, mode="loss"
        )
    with pytest.raises(ValueError, match="needs targets"):
        tiny(CONVNEXT)(some_inputs(), mode="loss")
    with pytest.raises(ValueError, match="must be a square"):
        tiny({**CONVNEXT, "num_sub_tokens": 12})
    with pytest.raises(ValueError, match="DPT reads four blocks"):
        tiny({**HEADS["dpt_semseg"], "hooks": [1, 2]})
