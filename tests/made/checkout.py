"""A checkout to be edited while a sweep goes on, whose jobs train nothing: they end once they are told to."""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("multimae", "benchmarks", "experiments", "slurm", "reports")

TRAIN = """
import argparse, time
from pathlib import Path
from multimae.record.attempt import Attempt
from multimae.record.result import Result
from multimae.record.run import Run

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--attempt", type=int)
    arguments = parser.parse_args()
    attempt, run = Attempt(run_dir=arguments.run_dir, number=arguments.attempt), Run.of(arguments.run_dir)
    attempt.start()
    deadline = time.monotonic() + 60
    while not (attempt.run_dir.parent / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    if (attempt.run_dir.parent / "fail").exists():
        raise SystemExit(attempt.end(kind="error", message="told to"))
    Result(key=run.key, suite=run.suite, kind=run.kind, task=run.task).write(attempt.run_dir)
    attempt.end(kind="finished", message="")
"""
REPORT = """
from pathlib import Path

def make_report(runs_dir, suite):
    (runs_dir / suite / "report").mkdir(exist_ok=True)
    (runs_dir / suite / "report" / "index.html").write_text("as it was")
"""
INGEST = "\n\ndef ingest(*_, **__):\n    return 0\n"


def make_checkout(folder: Path) -> Path:
    """Copy the code to a folder and put jobs, report and tracking in it that cost nothing; return the folder."""
    for name in PACKAGES:
        unneeded = shutil.ignore_patterns("__pycache__", "*.xz", "_bundle")
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded)
    (folder / "multimae" / "train.py").write_text(TRAIN)
    (folder / "reports" / "make.py").write_text(REPORT)
    tracking = folder / "experiments" / "track" / "ingest.py"
    tracking.write_text(tracking.read_text() + INGEST)
    shutil.copy(ROOT / "tests" / "made" / "brief_suite.py", folder / "mine.py")
    return folder


def sweep_in(checkout: Path, data: Path, *options: str) -> list[str]:
    """Return the command that sweeps the suite in a checkout, with its runs beside it."""
    words = ("--suite", str(checkout / "mine.py"), "--data-root", str(data), "--runs-dir", str(checkout / "runs"))
    return [sys.executable, str(checkout / "experiments" / "sweep.py"), *words, "--executor", "local", *options]
