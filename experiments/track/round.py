"""One round of mirroring as a process of its own: a store that hangs can be ended, and a driver loads no MLflow."""

import pickle
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.plan.errors import PreconditionError
from experiments.track.ingest import Driving, TrackingError, ingest
from multimae.record.state import RunState
from multimae.record.text import tell

FAILED = 1
ENDS_AFTER_S = 150


@dataclass(frozen=True, kw_only=True)
class Round:
    """What to mirror: a suite's runs, as their driver saw them."""

    suite_dir: Path
    states: Mapping[str, RunState]
    driver: Driving


def main() -> int:
    """Mirror the round on our standard input, as a driver pickled it; the last line on stderr says what failed."""
    signal.alarm(ENDS_AFTER_S)  # should the driver end before us, nobody else would end one that hangs
    asked: Round = pickle.load(sys.stdin.buffer)
    try:
        ingest(asked.suite_dir.parent, asked.suite_dir.name, states=asked.states, driver=asked.driver)
    except TrackingError as error:
        tell(error, stream="err")
        return PreconditionError.exit_code
    except Exception as error:
        traceback.print_exc()
        tell(f"{type(error).__name__}: {error}", stream="err")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
