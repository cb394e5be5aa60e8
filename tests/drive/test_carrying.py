"""What a command leaves for the process that carries it on: its plan, all code that a driver reads, and no longer."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.drive.carrying import Errand, carry, keep_code
from experiments.plan.freeing import CARRIED_FOR_S, unneeded

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mine:
    """A class of a user's own module, which the process that goes on cannot import."""

    number: int

    def write(self, path: Path) -> None:
        path.write_text(f"{self.number}")


def work(_: Errand, *, mine: Mine, path: Path, code: int) -> int:
    mine.write(path)
    return code


def test_an_errand_is_done_without_the_users_modules_and_forgotten(tmp_path: Path) -> None:
    for code, kept in ((0, False), (1, False), (130, True), (143, True)):
        errand = carry(partial(work, mine=Mine(7), path=tmp_path / "said", code=code), suite_dir=tmp_path)
        environment = {**os.environ, "PYTHONPATH": ""}
        done = subprocess.run(errand.command, env={**environment, "PYTHONPATH": str(errand.code)}, cwd=tmp_path)
        assert done.returncode == code
        assert (tmp_path / "said").read_text() == "7"
        assert errand.path.exists() is kept


def test_the_copy_holds_what_a_driver_reads_besides_python(tmp_path: Path) -> None:
    code = keep_code(tmp_path)
    assert code.parent == tmp_path / "code"
    for name in ("benchmarks/published.csv", "reports/html/page.html.j2", "experiments/plan/schema_1.json"):
        assert (code / name).read_bytes() == (ROOT / name).read_bytes()
    listed = [path for path in code.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in listed) < 3e6
    assert not [path for path in listed if path.suffix in (".xz", ".pyc")]
    assert keep_code(tmp_path) == code
    # The copy copies itself to the same place: jobs of a driver that was started from it share it.
    again = "import sys; from pathlib import Path; from experiments.drive.carrying import keep_code; "
    again += "print(keep_code(Path(sys.argv[1])))"
    said = subprocess.run(
        [sys.executable, "-P", "-c", again, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(code)},
    )
    assert said.stdout.strip() == str(code), said.stderr


def test_copies_of_the_code_are_freed_once_nobody_may_carry_on_from_them(tmp_path: Path) -> None:
    errand = carry(partial(work, mine=Mine(7), path=tmp_path, code=0), suite_dir=tmp_path)
    assert not list(unneeded(tmp_path))
    long_ago = errand.path.stat().st_mtime - CARRIED_FOR_S - 1
    os.utime(errand.path, (long_ago, long_ago))
    assert {one.path for one in unneeded(tmp_path)} == {errand.path, errand.code}
