"""Optimizer groups against the reference's list, and the schedule against its formula."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from multimae.engine.optim import parameter_setting, warmup_cosine

PARITY = Path(__file__).parent / "parity" / "layer_decay_groups.json"


def test_layer_decay_groups_are_the_references() -> None:
    recorded = json.loads(PARITY.read_text())
    config = recorded["config"]
    assert len(recorded["params"]) > 50
    for name, expected in recorded["params"].items():
        # Of a parameter only its number of dimensions counts: tensors with one are norms and biases.
        ndim = 1 if name.endswith((".bias", "norm.weight")) or ".norm" in name else 2
        setting = parameter_setting(
            name,
            torch.nn.Parameter(torch.zeros([1] * ndim)),
            depth=config["depth"],
            layer_decay=config["layer_decay"],
            weight_decay=config["weight_decay"],
        )
        assert setting.lr_scale == pytest.approx(expected["lr_scale"], rel=1e-6), name
        assert setting.weight_decay == expected["weight_decay"], name


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
