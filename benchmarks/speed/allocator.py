"""CPU time of a tiny training step with glibc's defaults and with the settings the driver gives its jobs.

Both run in turn; what is printed is the median of the ratios, pair by pair.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from experiments.drive.work import ALLOCATOR  # noqa: E402  # found once the path is set

ROUNDS = 5
STEPS = """
import time, torch
import multimae.heads.convnext, multimae.transfer
from multimae.registry import MODELS
torch.set_num_threads(1)
backbone = dict(type="multimae.MultiMAE", modalities=["rgb"], image_size=96, dim=128, depth=4, num_heads=4)
head = dict(type="multimae.convnext", num_outputs=20, token_dim=512, depth=2)
model = MODELS.build(dict(type="multimae.MultiMAETransfer", backbone=backbone, head=head, loss="cross_entropy"))
inputs, labels = {"rgb": torch.randn(8, 3, 96, 96)}, torch.randint(0, 20, (8, 96, 96))
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
for step in range(28):
    if step == 3:
        start = time.process_time()
    optimizer.zero_grad()
    model(inputs, targets={"semseg": labels}, mode="loss")["loss"].backward()
    optimizer.step()
print((time.process_time() - start) / 25)
"""


def seconds_per_step(settings: dict[str, str]) -> float:
    """Return the CPU seconds of a step of batch 8 at 96 x 96 pixels under these environment variables."""
    command = [sys.executable, "-c", STEPS]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **settings})
    return float(done.stdout)


def main() -> int:
    """Measure and print."""
    pairs = [(seconds_per_step(ALLOCATOR), seconds_per_step({})) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"CPU time of a step, the driver's settings / glibc's defaults: {ratio:.2f} (median of {ROUNDS} pairs)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
