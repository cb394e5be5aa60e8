"""Whether a report still says what the run directories say: sizes and times of the files it was made from."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multimae.record.files import write_json
from reports.read.status import read_json

INPUTS_NAME = "inputs.json"
_PATTERNS = (
    "run.json",
    "result.json",
    "spool/*.jsonl",
    "attempts/*/job.json",
    "attempts/*/started.json",
    "attempts/*/exit.json",
)


def is_fresh(runs_dir: Path, suite: str) -> bool:
    """Tell whether making the report again would change nothing; reads no file but two small ones."""
    report_dir = runs_dir / suite / "report"
    try:
        recorded = json.loads((report_dir / INPUTS_NAME).read_text("utf-8"))
        if not all((report_dir / name).is_file() for name in recorded["outputs"]):
            return False
        if recorded["expires"] is not None and time.time() > recorded["expires"]:
            return False
        return bool(recorded["inputs"] == look(runs_dir, suite=suite))
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return False


def look(runs_dir: Path, *, suite: str) -> dict[str, list[int]]:
    """Map every file a report is made from, the reporting code included, to its time (ns) and size."""
    suite_dir, code_dir = runs_dir / suite, Path(__file__).parents[1]
    named = [(path.relative_to(suite_dir).as_posix(), path) for path in _inputs(suite_dir)]
    code = [*code_dir.rglob("*.py"), *code_dir.glob("html/*"), *code_dir.parent.glob("benchmarks/published.*")]
    named += [(path.relative_to(code_dir.parent).as_posix(), path) for path in code]
    return {name: [stat.st_mtime_ns, stat.st_size] for name, path in sorted(named) for stat in [path.stat()]}


def remember(report_dir: Path, *, inputs: dict[str, list[int]], outputs: list[str], expires: float | None) -> None:
    """Record what a report was made from; `expires` is when a running job would count as silent, None if none runs."""
    recorded: dict[str, Any] = {"schema": 1, "inputs": inputs, "outputs": outputs, "expires": expires}
    write_json(report_dir / INPUTS_NAME, recorded)


def _inputs(suite_dir: Path) -> Iterator[Path]:
    sweep = read_json(suite_dir / "sweep.json")
    if sweep is None:
        return
    yield suite_dir / "sweep.json"
    for key in sweep["keys"]:
        for pattern in _PATTERNS:
            yield from (suite_dir / key).glob(pattern)
