"""Our pre-training step and the straightforward form of it: same weights, masks and images, hence same losses.

A step is everything between two batches: masks, forward, losses, backward, optimizer. All forms take theirs in turn;
what is printed are medians, and medians of the ratios round by round. Absolute times are this machine's, now. Exits
with 1 if the losses of the two forms in fp32 differ.
"""

import argparse
import copy
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from benchmarks.speed import straightforward
from experiments.drive.work import ALLOCATOR
from multimae.engine.optim import Bf16OptimWrapper
from multimae.pretraining import MultiMAEPretraining
from multimae.tables.sizes import SIZES

MODALITIES = ("rgb", "depth", "semseg")
PATCH_SIZE = 16
NUM_CLASSES = 133
WARM_UP = 2
MASKS = 256
# AdamW as MultiMAE pre-trains with it (numbers of its code); the learning rate is one of its warm-up's.
ADAMW: Mapping[str, Any] = {"lr": 1e-5, "betas": (0.9, 0.95), "weight_decay": 0.05}
# Relative: sums in another order, and what some optimizer steps make of that.
TOLERANCE = 1e-4
BASELINE, OURS = "straightforward fp32", "ours fp32"

Inputs = Mapping[str, Tensor]
Step = Callable[[Inputs], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one step took and gave; `memory` is what it needed at most beyond its state, on a GPU, in bytes."""

    seconds: float
    losses: Mapping[str, float]
    memory: int


def new_model(size: str, *, image_size: int) -> MultiMAEPretraining:
    """Make a model as MultiMAE pre-trains it: half as many visible tokens as a modality has, 98 at 224 x 224."""
    numbers = SIZES[size]
    backbone = {
        "type": "multimae.MultiMAE",
        "modalities": list(MODALITIES),
        "image_size": image_size,
        "patch_size": PATCH_SIZE,
        "dim": numbers.dim,
        "depth": numbers.depth,
        "num_heads": numbers.num_heads,
        "num_semseg_classes": NUM_CLASSES,
    }
    return MultiMAEPretraining(
        backbone=backbone,
        outputs=[*MODALITIES, "norm_rgb"],
        decoder_dim=numbers.decoder_dim,
        decoder_depth=numbers.decoder_depth,
        decoder_heads=numbers.decoder_heads,
        num_visible_tokens=(image_size // PATCH_SIZE) ** 2 // 2,
    )


def some_inputs(*, image_size: int, batch_size: int, device: torch.device) -> dict[str, Tensor]:
    """Draw images and labels of noise."""
    labels_size = image_size // 4
    return {
        "rgb": torch.randn(batch_size, 3, image_size, image_size, device=device),
        "depth": torch.randn(batch_size, 1, image_size, image_size, device=device),
        "semseg": torch.randint(NUM_CLASSES, (batch_size, labels_size, labels_size), device=device),
    }


def straightforward_step(model: MultiMAEPretraining) -> Step:
    """Return the straightforward step of a copy of the model."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(_trained(model), **ADAMW, foreach=False, fused=False)
    return lambda inputs: straightforward.train_step(model, inputs, optimizer=optimizer)


def our_step(
    model: MultiMAEPretraining, *, precision: Literal["fp32", "bf16"], run: Literal["eager", "compiled"] = "eager"
) -> Step:
    """Return the step of a copy of the model as jobs take it."""
    model = copy.deepcopy(model)
    wrapper = {"fp32": OptimWrapper, "bf16": Bf16OptimWrapper}[precision]
    optim_wrapper = wrapper(torch.optim.AdamW(_trained(model), **ADAMW, fused=True))
    train_step = torch.compile(model.train_step) if run == "compiled" else model.train_step
    return lambda inputs: train_step({"inputs": inputs}, optim_wrapper)


def make_steps(model: MultiMAEPretraining, *, compiled: bool) -> dict[str, Step]:
    """Return the step of every form to measure."""
    steps = {
        BASELINE: straightforward_step(model),
        OURS: our_step(model, precision="fp32"),
        "ours bf16": our_step(model, precision="bf16"),
    }
    if compiled:
        steps["ours bf16 compiled"] = our_step(model, precision="bf16", run="compiled")
    return steps


def measure(steps: Mapping[str, Step], *, draw: Callable[[], Inputs], rounds: int) -> dict[str, list[Measured]]:
    """Let every form take a step in every round, on the same images and with the same random numbers."""
    measured: dict[str, list[Measured]] = {name: [] for name in steps}
    for number in range(WARM_UP + rounds):
        torch.manual_seed(number)
        inputs = draw()
        for name, step in steps.items():
            torch.manual_seed(number)
            measured[name].append(_take(step, inputs))
    return measured


def report(measured: Mapping[str, Sequence[Measured]], *, batch_size: int) -> None:
    """Print what every form took, then what it gave in the last round and how far off it ever was."""
    baseline = measured[BASELINE]
    names = list(baseline[-1].losses)
    print(f"{'form':22}{'seconds':>9}{'images/s':>10}{'ratio':>7}{'(lowest, highest)':>19}{'GB':>7}")
    for form, steps in measured.items():
        seconds = statistics.median(step.seconds for step in steps[WARM_UP:])
        ratios = [one.seconds / step.seconds for one, step in zip(baseline, steps, strict=True)][WARM_UP:]
        spread = f"({min(ratios):.2f}, {max(ratios):.2f})"
        memory = max(step.memory for step in steps) / 1e9
        row = f"{form:22}{seconds:>9.3f}{batch_size / seconds:>10.1f}{statistics.median(ratios):>7.2f}{spread:>19}"
        print(row + (f"{memory:>7.2f}" if memory else f"{'-':>7}"))
    print(f"\n{'losses at the end':22}" + "".join(f"{name:>14}" for name in names) + f"{'difference':>12}")
    for form, steps in measured.items():
        values = "".join(f"{steps[-1].losses[name]:>14.6f}" for name in names)
        print(f"{form:22}{values}{largest_difference(steps, baseline):>12.0e}")


def largest_difference(steps: Sequence[Measured], others: Sequence[Measured]) -> float:
    """Return the largest relative difference of a loss in any round."""
    return max(
        abs(step.losses[name] / other.losses[name] - 1)
        for step, other in zip(steps, others, strict=True)
        for name in other.losses
    )


def report_masks(model: MultiMAEPretraining, *, image_size: int, device: torch.device) -> None:
    """Print how many masks a second both ways of drawing them make."""
    num_tokens = dict.fromkeys(MODALITIES, (image_size // PATCH_SIZE) ** 2)
    num_visible = model.sampler.num_visible_tokens
    drawers: dict[str, Callable[[], object]] = {
        "straightforward": lambda: straightforward.draw_masks(
            num_tokens, num_visible=num_visible, batch_size=MASKS, device=device
        ),
        "ours": lambda: model.sampler(num_tokens, batch_size=MASKS, device=device),
    }
    seconds: dict[str, list[float]] = {name: [] for name in drawers}
    for _ in range(WARM_UP + 20):
        for name, draw in drawers.items():
            start = _now(device)
            draw()
            seconds[name].append(_now(device) - start)
    rates = {name: MASKS / statistics.median(times[WARM_UP:]) for name, times in seconds.items()}
    ratio = statistics.median(a / b for a, b in zip(*(times[WARM_UP:] for times in seconds.values()), strict=True))
    print(f"\nmasks a second: {', '.join(f'{rate:.0f} {name}' for name, rate in rates.items())}, ratio {ratio:.2f}")


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    model = new_model(arguments.size, image_size=arguments.image_size).to(device)
    sizes = {"image_size": arguments.image_size, "batch_size": arguments.batch_size}
    forms = make_steps(model, compiled=arguments.compile)
    print(f"{arguments.size}, {sizes}, {_describe(device)}, medians of {arguments.rounds} rounds")
    measured = measure(forms, draw=lambda: some_inputs(**sizes, device=device), rounds=arguments.rounds)
    report(measured, batch_size=arguments.batch_size)
    report_masks(model, image_size=arguments.image_size, device=device)
    return int(largest_difference(measured[OURS], measured[BASELINE]) > TOLERANCE)


def _trained(model: MultiMAEPretraining) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _take(step: Step, inputs: Inputs) -> Measured:
    device = inputs["rgb"].device
    before = 0
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    start = _now(device)
    losses = step(inputs)
    seconds = _now(device) - start
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    values = {name: float(torch.as_tensor(loss).detach()) for name, loss in losses.items()}
    return Measured(seconds=seconds, losses=values, memory=peak - before)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type} with {torch.get_num_threads()} threads"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="base")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10, help=f"measured after {WARM_UP} to warm up")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="also measure with torch.compile")
    return parser.parse_args()


def _as_in_jobs() -> None:
    """Start again with the settings of memory that the driver gives its jobs; both forms run with them."""
    if not ALLOCATOR.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})


if __name__ == "__main__":
    _as_in_jobs()
    sys.exit(main())
