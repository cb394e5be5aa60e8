"""How a driver waits for another of the same folder: it shows what that one does, and takes over where it ends."""

from collections.abc import Callable, Mapping
from pathlib import Path

from experiments.drive.driver import Driver, look_at
from experiments.drive.loop import keep_on
from experiments.drive.screen import Screen, say
from multimae.console import PlainConsole
from multimae.record.locks import FileLock
from multimae.record.run import Run
from multimae.record.state import RunState, with_dependencies
from multimae.record.sweep import Sweep


def wait_for_turn(driver: Driver, *, lock: FileLock, console: PlainConsole, check: Callable[[], None]) -> None:
    """Return once this process has the lock; until then say who has it and show how its runs stand.

    What failed meanwhile is not tried again: whoever waited has seen it fail.
    """
    say(f"{lock.holder} drives {driver.suite_dir}; this one waits, then drives its own plan", console=console)
    before = driver.look()
    with Screen(console, title=f"{driver.suite_dir.name}, as another process drives it") as screen:

        def look() -> bool:
            check()
            if lock.try_take():
                return False
            screen.show(_states_of_another(driver))
            return True

        keep_on(look, launcher=driver.launcher)
    say("the other process has ended; this one goes on", console=console)
    for key, state in driver.look().items():
        if state.status == "failed" and (state.attempt, "failed") != (before[key].attempt, before[key].status):
            driver.submissions[key] += 1


def same_plan(driver: Driver) -> bool:
    """Say whether all runs of this driver are part of the plan that is driven already."""
    sweep = Sweep.read(driver.suite_dir)
    return sweep is not None and set(driver.works) <= set(sweep.keys)


def _states_of_another(driver: Driver) -> Mapping[str, RunState]:
    """Look at the runs of the plan that is driven, which may be others than this driver's."""
    sweep = Sweep.read(driver.suite_dir)
    folders: dict[str, Path] = {key: driver.suite_dir / key for key in sweep.keys} if sweep else {}
    needs = {key: run.depends_on for key, folder in folders.items() if (run := Run.read(folder)) is not None}
    return with_dependencies(look_at(folders, launcher=driver.launcher), depends_on=needs)
