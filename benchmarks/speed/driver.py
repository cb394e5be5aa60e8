"""How long a user waits for the driver: `--help`, the plan, and a sweep with nothing to do.

Each command runs in turn with `python -c "import torch"`, which none of them may do; what is printed are medians and
the medians of the ratios, pair by pair. Absolute times are this machine's, now.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 7


def seconds(command: Sequence[str]) -> float:
    """Run a command once and return its wall time."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - start


def main() -> int:
    """Measure and print a table."""
    sweep = [sys.executable, "experiments/sweep.py"]
    with tempfile.TemporaryDirectory() as runs:
        smoke = [*sweep, "--suite", "smoke", "--runs-dir", runs, "--executor", "local"]
        subprocess.run(smoke, check=True, capture_output=True, cwd=ROOT)
        commands = {
            "--help": [*sweep, "--help"],
            "--suite nyuv2 --dry-run": [*sweep, "--suite", "nyuv2", "--dry-run"],
            "nothing to do (smoke)": smoke,
        }
        print(f"{'command':28}{'seconds':>10}{'/ import torch':>16}")
        for name, command in commands.items():
            pairs = [(seconds(command), seconds([sys.executable, "-c", "import torch"])) for _ in range(ROUNDS)]
            ratio = statistics.median(ours / torch for ours, torch in pairs)
            print(f"{name:28}{statistics.median(ours for ours, _ in pairs):>10.2f}{ratio:>16.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
