"""Optimizer groups against the reference's lists, built for real models, and the schedule against its formula."""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from multimae.checkpoints.formats import from_reference
from multimae.engine.optim import LayerDecay, ParameterSetting, parameter_setting, warmup_cosine
from multimae.transfer import MultiMAETransfer
from tests.made.parity_files import files_of

# Sizes for files that do not say theirs: groups depend on names and numbers of dimensions alone.
SIZES = {"dim": 24, "heads": 3, "size": 64, "semseg_classes": 7, "dim_class_emb": 8, "global_tokens": 1}
HEAD_SIZES = {"convnext_dim": 64, "hooks": [0, 1, 2, 3], "layer_dims": [8, 8, 12, 16], "feature_dim": 8}
# Reads nothing in the reference; whether it is in a group there changes nothing.
NEVER_RUN = "head.scratch.refinenet4.resConfUnit1."


def our_name(theirs: str) -> str:
    return next(iter(from_reference({theirs: torch.empty(0)})))


def model_of(config: dict[str, Any], *, names: Iterable[str]) -> MultiMAETransfer:
    """Build the fine-tuned model whose parameters bear these names, of the sizes the config gives."""
    config = {**SIZES, **HEAD_SIZES, **config}
    modalities = dict.fromkeys(name.split(".")[2] for name in names if name.startswith("backbone.input_adapters."))
    return MultiMAETransfer(
        backbone={
            "type": "multimae.MultiMAE",
            "modalities": list(modalities),
            "image_size": config["size"],
            "dim": config["dim"],
            "depth": num_blocks(names, prefix="backbone.encoder"),
            "num_heads": config["heads"],
            "num_global_tokens": config["global_tokens"],
            "num_semseg_classes": config["semseg_classes"],
            "dim_class_emb": config["dim_class_emb"],
        },
        head={"num_outputs": 3, **head_of(config, names=names)},
        loss="cross_entropy",
    )


def head_of(config: dict[str, Any], *, names: Iterable[str]) -> dict[str, Any]:
    if "head.final_layer.weight" in names:
        return {
            "type": "convnext",
            "depth": num_blocks(names, prefix="head.blocks"),
            "token_dim": config["convnext_dim"],
        }
    if "head.cls_emb" in names:
        sizes = {"decoder_dim": config["dim"], "num_heads": config["heads"]}
        return {"type": "segmenter", "depth": num_blocks(names, prefix="head.blocks"), **sizes}
    if "head.norm.weight" in names:
        return {"type": "linear"}
    task = "regression" if "head.head.2.weight" in names else "semseg"
    return {"type": "dpt", "task": task, **{name: config[name] for name in ("hooks", "layer_dims", "feature_dim")}}


def num_blocks(names: Iterable[str], *, prefix: str) -> int:
    return len({found[1] for name in names if (found := re.match(rf"{re.escape(prefix)}\.(\d+)\.", name))})


def optimizer_settings(model: nn.Module, *, layer_decay: float, weight_decay: float) -> dict[str, ParameterSetting]:
    """Return what an optimizer built for the model does with each parameter it trains."""
    build = LayerDecay(
        {"optimizer": {"type": "AdamW", "lr": 2.0, "weight_decay": weight_decay}}, {"layer_decay": layer_decay}
    )
    settings = {
        parameter: ParameterSetting(lr_scale=group["lr"] / 2, weight_decay=group["weight_decay"])
        for group in build(model).optimizer.param_groups
        for parameter in group["params"]
    }
    return {name: settings[parameter] for name, parameter in model.named_parameters() if parameter in settings}


@pytest.mark.parametrize("path", files_of("layer_decay_groups", suffix="json"))
def test_layer_decay_groups_are_the_references(path: Path) -> None:
    recorded = json.loads(path.read_text())
    config = recorded["config"]
    expected = {our_name(name): setting for name, setting in recorded["params"].items()}
    frozen = {our_name(name) for name in config.get("frozen", [])}
    model = model_of(config, names={*expected, *frozen})
    ours = optimizer_settings(model, layer_decay=config["layer_decay"], weight_decay=config["weight_decay"])

    assert set(ours) == {name for name in expected if not name.startswith(NEVER_RUN)}
    untrained = {name for name, _ in model.named_parameters() if name not in ours and not name.startswith(NEVER_RUN)}
    assert untrained == frozen or "frozen" not in config
    for name, setting in ours.items():
        assert setting.lr_scale == pytest.approx(expected[name]["lr_scale"], rel=1e-6, abs=1e-8), name
        assert setting.weight_decay == pytest.approx(expected[name]["weight_decay"]), name


def test_our_prefix_changes_nothing() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    for name in ("global_tokens", "input_adapters.rgb.proj.weight", "encoder.1.mlp.fc1.weight"):
        settings = {
            parameter_setting(full, parameter, depth=4, layer_decay=0.5, weight_decay=0.1)
            for full in (name, f"backbone.{name}")
        }
        assert len(settings) == 1


def test_the_schedule_is_a_linear_rise_and_half_a_cosine() -> None:
    warmup, total, final = 14, 70, 0.01
    rise = np.linspace(0, 1, warmup)
    fall = [final + 0.5 * (1 - final) * (1 + math.cos(math.pi * i / (total - warmup))) for i in range(total - warmup)]
    ours = [warmup_cosine(step, num_steps=total, num_warmup_steps=warmup, final_ratio=final) for step in range(total)]
    np.testing.assert_allclose(ours, [*rise, *fall], rtol=1e-12)
