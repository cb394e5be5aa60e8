"""Pseudo labels in jobs: shards that are submitted, watched and resumed like any run."""

import argparse
from functools import partial

from experiments.drive.carrying import Errand, carry
from experiments.drive.driver import Driver
from experiments.drive.launching import launcher_of
from experiments.drive.leaving import LeftError, detach, exit_code, leave, may_be_left
from experiments.drive.loop import States, bring_to_end
from experiments.drive.screen import Screen, log_to, print_lost, say, summary
from experiments.drive.work import Machine, Work, execution
from experiments.plan.errors import PreconditionError
from experiments.plan.folders import check_runs_dir
from experiments.plan.shards import SUITE, plan_shards, prepare_shard, reopen_shard
from multimae.console import PlainConsole, plain_console
from multimae.pseudo_labels.images import list_images
from multimae.pseudo_labels.manifest import complete, make_room
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.record.locks import FileLock
from slurm.cluster import Resources
from slurm.errors import SubmissionError
from slurm.launcher import Launcher


def label_in_jobs(settings: LabellingSettings, *, arguments: argparse.Namespace) -> int:
    """Submit the shards that are not finished, watch them, report; return the exit code."""
    check_runs_dir(arguments.runs_dir, to="write")
    arguments = argparse.Namespace(**{**vars(arguments), "runs_dir": arguments.runs_dir.resolve()})
    launcher, detached = launcher_of(arguments), argparse.Namespace(**{**vars(arguments), "detach": False})
    work = partial(_label, settings=settings, arguments=detached, launcher=launcher)
    errand = carry(work, suite_dir=arguments.runs_dir / SUITE)
    code = 1
    try:
        code = _label(errand, settings=settings, arguments=arguments, launcher=launcher)
    finally:
        if code or not arguments.detach:  # else it has only begun
            errand.forget(code)
    return code


def _label(errand: Errand, *, settings: LabellingSettings, arguments: argparse.Namespace, launcher: Launcher) -> int:
    suite_dir = arguments.runs_dir / SUITE
    images = list_images(settings.rgb_dir)
    shards = plan_shards(settings, images=images, num_shards=arguments.shards)
    for modality, source in settings.sources.items():
        make_room(
            settings.folder(modality),
            model=source.model,
            identity=settings.identity(modality),
            others="replace" if arguments.overwrite else "refuse",
        )
    for key, shard in shards.items():
        prepare_shard(suite_dir / key, settings=shard)
        reopen_shard(suite_dir / key, settings=shard, images=images)
    asked = _resources(settings, num_shards=len(shards))
    folders = {key: suite_dir / key for key in shards}
    console = plain_console()
    driver = Driver(
        [Work(key=key, folder=folder, command=execution(folder), resources=asked) for key, folder in folders.items()],
        suite_dir=suite_dir,
        launcher=launcher,
        machine=Machine.this(max_parallel=arguments.max_parallel),
        hear=log_to(console),
    )
    if settings.device == "auto":
        say("the jobs ask for no GPU; --device cuda asks for one each", console=console)
    # A lock per labelling: several of them may share the suite's folder.
    with FileLock(suite_dir / f".{next(iter(shards))}.lock") as lock:
        states = _drive(driver, lock=lock, errand=errand, arguments=arguments, console=console)
    return states if isinstance(states, int) else _conclude(states, settings=settings, console=console)


def _drive(
    driver: Driver, *, lock: FileLock, errand: Errand, arguments: argparse.Namespace, console: PlainConsole
) -> States | int:
    """Submit and show the shards until nothing is left to do; return an exit code where they go on without us."""
    with may_be_left() as outlet:
        try:
            driver.recover()
            if lock.try_take():
                lock.sign()
                if arguments.detach:
                    return detach(driver, errand=errand, lock=lock, console=console)
            else:
                say(f"{lock.holder} labels these images; this one takes over where it ends", console=console)
            with Screen(console, title="pseudo labels") as screen:

                def see(states: States) -> None:
                    screen.show(states)
                    outlet.require()

                return bring_to_end(driver, see=see, may_submit=lock.try_take)
        except SubmissionError as error:
            raise PreconditionError(f"{error}\nwhat was submitted before goes on") from error
        except (KeyboardInterrupt, LeftError) as reason:
            if lock.try_take():
                return leave(driver, reason=reason, errand=errand, lock=lock, console=console)
            return exit_code(reason)


def _conclude(states: States, *, settings: LabellingSettings, console: PlainConsole) -> int:
    """Say how the shards ended; the number of labels enters the manifests once all have finished."""
    lost = print_lost(states, console=console)
    say(f"shards: {summary(states)}", console=console)
    for modality in () if lost else settings.sources:
        folder = settings.folder(modality)
        say(f"{complete(folder)} labels in {folder}", console=console)
    return 1 if lost else 0


def _resources(settings: LabellingSettings, *, num_shards: int) -> Resources:
    """Ask for what a shard uses; on a CPU, for its share of as many cores as this machine has."""
    if settings.device == "cuda":
        return Resources(cpus=8, gpus=1, memory_gb=32, minutes=24 * 60)
    return Resources(cpus=max(1, Machine.this().cores // num_shards), gpus=0, memory_gb=8, minutes=4 * 60)
