"""Whether a report still says what the run directories say: sizes and times of the files it was made from."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multimae.record.attempt import attempts_of
from multimae.record.files import read_json, write_json
from multimae.record.paths import RunDir, SuiteDir
from multimae.record.sweep import Sweep

INPUTS_NAME = "inputs.json"


def is_fresh(runs_dir: Path, suite: str) -> bool:
    """Tell whether making the report again would change nothing; reads no file but two small ones."""
    report_dir = SuiteDir(runs_dir / suite).report
    recorded = read_json(report_dir / INPUTS_NAME)
    if recorded is None or not all((report_dir / name).is_file() for name in recorded.get("outputs", [INPUTS_NAME])):
        return False
    expires = recorded.get("expires")
    if expires is not None and time.time() > expires:
        return False
    return bool(recorded.get("inputs") == look(runs_dir, suite=suite))


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
    sweep = Sweep.read(suite_dir)
    if sweep is None:
        return
    yield SuiteDir(suite_dir).sweep
    for key in sweep.keys:
        files = RunDir(suite_dir / key)
        yield from (path for path in (files.run, files.result) if path.exists())
        yield from (path for _, path in files.spool_files())
        for attempt in attempts_of(files.path):
            said = (attempt.files.job, attempt.files.started, attempt.files.ending)
            yield from (path for path in said if path.exists())
