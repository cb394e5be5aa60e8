"""Learned loss weights (uncertainty weighting): any number of losses, the formula, what is logged and trained."""

import math
from typing import Any

import torch
from mmengine.optim import build_optim_wrapper

from multimae.engine.optim import LayerDecay  # noqa: F401  # registers itself
from multimae.pretraining import MultiMAEPretraining

OUTPUTS = ["rgb", "depth", "semseg", "norm_rgb"]


def model(**changes: Any) -> MultiMAEPretraining:
    torch.manual_seed(0)
    backbone = {"type": "multimae.MultiMAE", "modalities": ["rgb", "depth", "semseg"], "image_size": 32}
    sizes = {"dim": 16, "depth": 1, "num_heads": 2, "num_semseg_classes": 4, "dim_class_emb": 4}
    settings = {"outputs": OUTPUTS, "decoder_dim": 8, "decoder_depth": 1, "decoder_heads": 2, "num_visible_tokens": 4}
    return MultiMAEPretraining(
        backbone={**backbone, **sizes}, **{**settings, "loss_weighting": "uncertainty", **changes}
    )


def batch() -> dict[str, Any]:
    torch.manual_seed(1)
    return {
        "rgb": torch.randn(2, 3, 32, 32),
        "depth": torch.randn(2, 1, 32, 32),
        "semseg": torch.randint(0, 4, (2, 8, 8)),
    }


def test_four_losses_are_weighted_by_the_formula() -> None:
    trained = model()
    with torch.no_grad():
        for index, name in enumerate(OUTPUTS):
            trained.log_variances[name].fill_(0.3 * index - 0.4)
    losses = trained.loss(batch(), generator=torch.Generator().manual_seed(0))
    total, logged = trained.parse_losses(losses)
    values = {name: loss.item() for name, loss in losses.items()}
    expected = sum(
        math.exp(-(0.3 * i - 0.4)) * values[f"loss_{name}"] + 0.3 * i - 0.4 for i, name in enumerate(OUTPUTS)
    )
    assert abs(total.item() - expected) < 1e-5
    assert {name: value.item() for name, value in logged.items() if name.startswith("loss_")} == values
    total.backward()
    for index, name in enumerate(OUTPUTS):
        gradient = trained.log_variances[name].grad
        assert gradient is not None
        slope = 1 - math.exp(-(0.3 * index - 0.4)) * values[f"loss_{name}"]
        assert abs(gradient.item() - slope) < 1e-5


def test_an_output_that_hides_nothing_takes_no_part() -> None:
    trained = model()
    masks = {name: torch.ones(2, 4, dtype=torch.bool) for name in ("rgb", "depth", "semseg")}
    masks["depth"][:] = False
    losses = trained.loss(batch(), masks=masks)
    assert losses["loss_depth"] == 0
    with torch.no_grad():
        trained.log_variances["depth"].fill_(5.0)
    total, _ = trained.parse_losses(losses)
    others = sum(losses[f"loss_{name}"].item() for name in OUTPUTS if name != "depth")
    assert abs(total.item() - others) < 1e-5
    total.backward()
    gradient = trained.log_variances["depth"].grad
    assert gradient is not None
    assert gradient.item() == 0


def test_equal_weights_are_a_plain_sum() -> None:
    plain = model(loss_weighting="equal")
    losses = plain.loss(batch(), generator=torch.Generator().manual_seed(0))
    total, _ = plain.parse_losses(losses)
    assert not list(plain.log_variances)
    torch.testing.assert_close(total, torch.stack(list(losses.values())).sum())


def test_weights_have_a_learning_rate_of_their_own_and_no_decay() -> None:
    trained = model()
    config = {
        "type": "OptimWrapper",
        "constructor": "multimae.LayerDecay",
        "optimizer": {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05},
        "paramwise_cfg": {"balancer_lr_scale": 10.0},
    }
    groups = build_optim_wrapper(trained, config).optimizer.param_groups
    balancers = {id(parameter) for parameter in trained.log_variances.values()}
    settings = {
        (group["lr"], group["weight_decay"], id(parameter) in balancers)
        for group in groups
        for parameter in group["params"]
    }
    assert settings == {(1e-2, 0.0, True), (1e-3, 0.05, False)}


def test_training_steps_move_weights_towards_smaller_ones_for_larger_losses() -> None:
    trained = model()
    optimizer = torch.optim.SGD(trained.log_variances.values(), lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        total, _ = trained.parse_losses(trained.loss(batch(), generator=torch.Generator().manual_seed(0)))
        total.backward()
        optimizer.step()
    losses = trained.loss(batch(), generator=torch.Generator().manual_seed(0))
    order = sorted(OUTPUTS, key=lambda name: losses[f"loss_{name}"].item())
    weights = [trained.log_variances[name].item() for name in order]
    assert weights == sorted(weights)
