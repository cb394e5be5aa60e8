"""One training by several ranks: how they meet, what each of them does, what of their state a checkpoint holds."""

import os
from typing import Any, Literal

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import all_gather_object, all_reduce_params
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from torch import nn

from multimae.engine.failures import SettingsError

Launcher = Literal["pytorch", "none"]


def join_ranks() -> Launcher:
    """Join the other ranks where this process was started as one of several; return mmengine's name for that."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return "none"
    if not torch.distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return "pytorch"


def share_among_ranks(config: Config, *, world_size: int) -> None:
    """Give every rank its share of a batch and random numbers of its own; an optimizer step sees as many samples."""
    if world_size == 1:
        return
    if config.job.fit == "neighbours":
        raise SettingsError("nearest neighbours are remembered on one device; start the run with one")
    batch_size = config.train_dataloader.batch_size
    if batch_size % world_size:
        raise SettingsError(
            f"{batch_size} samples cannot be shared evenly among {world_size} devices; choose recipe.micro_batch_size "
            "(or recipe.batch_size, where that is 0) as a multiple of it"
        )
    config.train_dataloader.batch_size = batch_size // world_size
    # All ranks shuffle alike and take every so-manyth sample; crops, masks and dropped paths are each rank's own.
    config.train_dataloader.sampler.seed = config.randomness.seed
    config.randomness.diff_rank_seed = True


def wrap(model: nn.Module) -> nn.Module:
    """Average gradients over ranks; every parameter that is trained gets one in every step."""
    on_gpu = get_device() == "cuda"
    wrapped: nn.Module = MMDistributedDataParallel(
        module=model.to(get_device()),
        device_ids=[torch.cuda.current_device()] if on_gpu else None,
        broadcast_buffers=False,
    )
    return wrapped


def share_statistics(model: nn.Module) -> None:
    """Give all ranks the mean of what layers such as BatchNorm have seen, each in its own samples."""
    statistics = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    if statistics:
        all_reduce_params(statistics, op="mean")


def unwrapped(model: Any) -> Any:
    """Return the model itself where a wrapper of a distributed training holds it."""
    return model.module if is_model_wrapper(model) else model


def of_all_ranks(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the state that every rank gives, in the order of ranks; all of them have to ask."""
    gathered: list[dict[str, Any]] = all_gather_object(state)
    return gathered
