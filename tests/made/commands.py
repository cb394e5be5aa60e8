"""Commands given as a user gives them, and the runs folder before and after."""

from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
BRIEF = ROOT / "tests" / "made" / "brief_suite.py"


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return everything below a folder, with the content of its files."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def done(main: Callable[[list[str]], int], *words: object) -> int:
    """Run a command in this process; argparse leaves by an exception."""
    try:
        return main([str(word) for word in words])
    except SystemExit as left:
        return int(left.code or 0)


def of_sweep(runs: Path, data: Path, *options: object) -> list[object]:
    return ["--suite", BRIEF, "--data-root", data, "--runs-dir", runs, "--executor", "local", *options]


def of_search(runs: Path, data: Path, *options: object) -> list[object]:
    task = ["--task", "nyuv2-semseg", "--inputs", "rgb", "--checkpoint", "scratch", "--pruner", "none"]
    return [*of_sweep(runs, data), *task, *options]
