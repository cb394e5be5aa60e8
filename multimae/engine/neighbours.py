"""Fitting without training: one pass over the training data, of which the head remembers features and labels."""

import time
from typing import Any, cast

import torch
from mmengine.runner import Runner

from multimae.engine.hooks import HEARTBEAT_SECONDS
from multimae.engine.signals import StopRequest
from multimae.record.spool import Spool
from multimae.transfer import MultiMAETransfer


def remember_training_data(model: MultiMAETransfer, dataloader: Any, *, spool: Spool, stop: StopRequest) -> None:
    """Show `model` every batch that the config `dataloader` describes; raise PreemptedError if asked to stop."""
    loader = Runner.build_dataloader(dataloader, seed=0)
    model.eval()
    last_sign = 0.0
    with torch.no_grad():
        for step, batch in enumerate(loader, start=1):
            stop.check()
            data = cast(dict[str, Any], model.data_preprocessor(batch, False))
            model.remember(data["inputs"], targets=data["targets"])
            if time.monotonic() - last_sign > HEARTBEAT_SECONDS:
                last_sign = time.monotonic()
                spool.write("progress", step=step, max_steps=len(loader), loss=None, images_per_s=None, eta_s=None)
