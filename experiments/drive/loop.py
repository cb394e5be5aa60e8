"""The one loop of every driver: look, act, wait."""

import time
from collections.abc import Callable, Collection, Mapping

from experiments.drive.driver import Driver
from multimae.record.state import RunState
from slurm.launcher import Launcher

LOCAL_POLL_S = 1.0
SLURM_POLL_S = 10.0

States = Mapping[str, RunState]


def keep_on(step: Callable[[], bool], *, launcher: Launcher) -> None:
    """Repeat a step until it says that nothing is left to do; in between, wait for as long as the launcher deserves."""
    while step():
        time.sleep(SLURM_POLL_S if launcher.name == "slurm" else LOCAL_POLL_S)


def bring_to_end(
    driver: Driver,
    *,
    see: Callable[[States], object],
    may_submit: Callable[[], bool] = lambda: True,
    only: Collection[str] | None = None,
) -> States:
    """Submit what is ready until nothing is left to do; return the last states.

    `see` is shown the states at every look. `may_submit` says whether this process may drive, or only watches another
    that does. `only` are the keys that have to come to their end, by default all.
    """
    last: dict[str, RunState] = {}

    def step() -> bool:
        states = driver.look()
        if may_submit() and driver.submit_ready(states):
            states = driver.look()
        last.clear()
        last.update({key: state for key, state in states.items() if only is None or key in only})
        see(last)
        return not driver.is_over(last)

    keep_on(step, launcher=driver.launcher)
    return last
