"""Optimizer groups with layer-wise learning-rate decay, and the warm-up plus half-cosine schedule (section 3.1)."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from timm.optim.lars import Lars
from torch import nn

from multimae.registry import OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS

OPTIMIZERS.register_module(module=Lars, force=True)  # timm's, for linear probes with large batches

NO_DECAY_NAMES = ("global_tokens", "pos_emb", "mask_token")
CLASS_EMBEDDINGS = "class_emb.weight"
DecayedEmbeddings = Literal["none", "parity"]


@dataclass(frozen=True, kw_only=True)
class ParameterSetting:
    """How one parameter is trained: its share of the learning rate, and its weight decay."""

    lr_scale: float
    weight_decay: float


def parameter_setting(
    name: str,
    parameter: nn.Parameter,
    *,
    depth: int,
    layer_decay: float,
    weight_decay: float,
    decayed_embeddings: DecayedEmbeddings = "parity",
) -> ParameterSetting:
    """Return a parameter's setting under layer-wise decay for an encoder of `depth` blocks.

    Input adapters and global tokens are layer 0, block i is layer i + 1, everything else layer depth + 1, whose scale
    is 1. One-dimensional tensors and the names of NO_DECAY_NAMES get no weight decay, nor do class embeddings unless
    `decayed_embeddings` is "parity" (the reference means to spare them and `task_embeddings`, but its names never
    match).
    """
    embeddings = () if decayed_embeddings == "parity" else (CLASS_EMBEDDINGS,)
    kept = parameter.ndim <= 1 or name.endswith((".bias", *NO_DECAY_NAMES, *embeddings))
    exponent = depth + 1 - _layer(name.removeprefix("backbone."), depth=depth)
    return ParameterSetting(lr_scale=layer_decay**exponent, weight_decay=0.0 if kept else weight_decay)


def balanced_setting(name: str, *, balancer_lr_scale: float, weight_decay: float) -> ParameterSetting:
    """Return a parameter's setting in a pre-training with learned loss weights, which alone do not decay."""
    if name.startswith("log_variances."):
        return ParameterSetting(lr_scale=balancer_lr_scale, weight_decay=0.0)
    return ParameterSetting(lr_scale=1.0, weight_decay=weight_decay)


def _layer(name: str, *, depth: int) -> int:
    if name.startswith(("input_adapters.", "global_tokens")):
        return 0
    block = re.match(r"encoder\.(\d+)\.", name)
    return int(block[1]) + 1 if block else depth + 1


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecay(DefaultOptimWrapperConstructor):  # type: ignore[misc]  # mmengine is untyped
    """Build parameter groups by `parameter_setting` or, with learned loss weights, by `balanced_setting`.

    `paramwise_cfg` holds `layer_decay` and perhaps `decayed_embeddings`, or `balancer_lr_scale`. Without it every
    parameter is in one group with the same weight decay, as in the reference's pre-training.
    """

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, **_: Any) -> None:
        depth = len(module.get_submodule("backbone.encoder"))  # type: ignore[arg-type]  # a Sequential
        groups: dict[ParameterSetting, list[nn.Parameter]] = {}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(self._setting(name, parameter, depth=depth), []).append(parameter)
        params.extend(
            {"params": members, "lr": self.base_lr * setting.lr_scale, "weight_decay": setting.weight_decay}
            for setting, members in groups.items()
        )

    def _setting(self, name: str, parameter: nn.Parameter, *, depth: int) -> ParameterSetting:
        settings = self.paramwise_cfg
        if "balancer_lr_scale" in settings:
            return balanced_setting(name, balancer_lr_scale=settings["balancer_lr_scale"], weight_decay=self.base_wd)
        return parameter_setting(
            name,
            parameter,
            depth=depth,
            layer_decay=settings["layer_decay"],
            weight_decay=self.base_wd,
            decayed_embeddings=settings.get("decayed_embeddings", "parity"),
        )

    def _validate_cfg(self) -> None:
        """Accept settings that the default constructor does not know."""


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):  # type: ignore[misc]
    """Run the forward pass under bfloat16 autocast on any device (mmengine's AmpOptimWrapper refuses a CPU)."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device_type=device, dtype=torch.bfloat16):
            yield


def warmup_cosine(step: int, *, num_steps: int, num_warmup_steps: int, final_ratio: float) -> float:
    """Return the learning rate at `step` (from 0) as a share of its base value.

    Warm-up rises linearly from 0 to 1, both ends included; then half a cosine falls from 1 towards `final_ratio`,
    which the last step does not quite reach.
    """
    if step < num_warmup_steps:
        return step / max(1, num_warmup_steps - 1)
    progress = (step - num_warmup_steps) / max(1, num_steps - num_warmup_steps)
    return final_ratio + 0.5 * (1 - final_ratio) * (1 + math.cos(math.pi * progress))


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):  # type: ignore[misc]
    """Set every group's learning rate by `warmup_cosine`, once per iteration."""

    def __init__(
        self, optimizer: Any, *, num_steps: int, num_warmup_steps: int, final_ratio: float = 0.0, end: int = 0
    ) -> None:
        # `end` is mmengine's idea of the last step, counted in epochs unless told otherwise: ours is `num_steps`.
        self.num_steps = num_steps
        self.num_warmup_steps = num_warmup_steps
        self.final_ratio = final_ratio
        super().__init__(optimizer, end=num_steps, by_epoch=False)

    def _get_value(self) -> list[float]:
        factor = warmup_cosine(
            self.last_step,
            num_steps=self.num_steps,
            num_warmup_steps=self.num_warmup_steps,
            final_ratio=self.final_ratio,
        )
        return [base * factor for base in self.base_values]
