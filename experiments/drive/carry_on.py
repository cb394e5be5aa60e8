"""`python -P -m experiments.drive.carry_on FILE`: do what a command has planned, by the code that it had."""

import sys
from pathlib import Path

import cloudpickle

from experiments.drive.carrying import Errand
from experiments.plan.errors import PreconditionError, UsageError
from multimae.door import enter
from multimae.record.text import tell


def main(path: Path) -> int:
    """Do the work in a file and return its exit code; the file goes once nobody will go on from it."""
    errand = Errand(path=path, code=Path(__file__).parents[2])
    try:
        code = int(cloudpickle.loads(path.read_bytes())(errand))
    except (UsageError, PreconditionError) as error:
        tell(error, stream="err")
        code = error.exit_code
    errand.forget(code)
    return code


if __name__ == "__main__":
    sys.exit(enter(lambda: main(Path(sys.argv[1])), name="driver"))
