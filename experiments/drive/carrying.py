"""A command that another process carries on: what it was understood to mean, and a copy of the code of then.

A driver works for hours. Were it to plan again, or to load its last modules at the end, an edited comment would name
new runs and a half-written file would end it. So the command only plans; what drives is started from the copy.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import cloudpickle

from multimae.record.files import write_atomically
from multimae.record.paths import SuiteDir
from slurm.snapshot import snapshot

PACKAGES = ("multimae", "benchmarks", "experiments", "slurm", "reports")
DOOR = "experiments.drive.carry_on"
LEFT_FROM = 128
"""Exit codes from here on are of a driver that was left, and may go on."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """Work that a command has left in a file, to be done by the copy of the code in `code`."""

    path: Path
    code: Path

    @property
    def command(self) -> list[str]:
        """What does the work."""
        # -P: a file in the folder that a driver is started from hides no module of it.
        return [sys.executable, "-P", "-m", DOOR, str(self.path)]

    @property
    def variables(self) -> dict[str, str]:
        """The variables that let the copy of the code come before all other."""
        return {"PYTHONPATH": os.pathsep.join([str(self.code), *filter(None, [os.environ.get("PYTHONPATH")])])}

    def take_over(self) -> NoReturn:
        """Become the process that does the work, in the terminal that this one has."""
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, self.command, {**os.environ, **self.variables})

    def forget(self, code: int = 0) -> None:
        """Remove the file once nobody will go on from it, going by the exit code of who did the work."""
        if code < LEFT_FROM:
            self.path.unlink(missing_ok=True)

    def go_on_in_background(self, folder: SuiteDir) -> int:
        """Start the work in a session of its own and return its process id."""
        with folder.log.open("a") as output:
            process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        process.returncode = 0  # it is meant to outlive this process
        return process.pid


def keep_code(suite_dir: Path) -> Path:
    """Copy all code that jobs and drivers run into a suite's folder, unless it is there; return where."""
    specs = [importlib.util.find_spec(name) for name in PACKAGES]
    folders = [Path(spec.origin).parent for spec in specs if spec and spec.origin]
    return snapshot(folders, into=SuiteDir(suite_dir).code)


def carry(work: Callable[[Errand], int], *, suite_dir: Path) -> Errand:
    """Write down what a command has planned, for a process that runs the code of now."""
    for module in _modules_of_user():
        cloudpickle.register_pickle_by_value(module)
    content = cloudpickle.dumps(work)
    path = SuiteDir(suite_dir).carried / f"{hashlib.sha256(content).hexdigest()[:12]}.pickle"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(content))
    return Errand(path=path, code=keep_code(suite_dir))


def _modules_of_user() -> Iterator[ModuleType]:
    """Yield the modules that a suite or a space of the user's has imported: the process that goes on lacks them."""
    installed = tuple(str(Path(prefix).resolve()) for prefix in {sys.prefix, sys.base_prefix})
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or name.split(".")[0] in (*PACKAGES, "__main__"):
            continue
        if "site-packages" not in file and not str(Path(file).resolve()).startswith(installed):
            yield module
