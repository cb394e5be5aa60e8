"""The runs of a plan as work for a driver: what each asks for."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from experiments.drive.work import Machine, Work, execution
from experiments.plan.planning import PlannedRun, kind_of
from experiments.plan.render import places_of
from slurm.cluster import Resources


def works_of(plan: Iterable[PlannedRun], *, suite_dir: Path, machine: Machine) -> Iterator[Work]:
    """Yield the work that each run of a plan is."""
    return (work_of(planned, suite_dir=suite_dir, machine=machine) for planned in plan)


def work_of(planned: PlannedRun, *, suite_dir: Path, machine: Machine) -> Work:
    """Return the work that a run is."""
    folder, devices = suite_dir / planned.key, devices_of(planned, machine=machine)
    return Work(
        key=planned.key,
        folder=folder,
        command=execution(folder, devices=devices),
        resources=resources_of(planned, machine=machine),
        processes=devices,
        places=places_of(planned),
        needs=planned.depends_on,
    )


def resources_of(planned: PlannedRun, *, machine: Machine) -> Resources:
    """Ask for what a run uses: on a CPU the pre-training, which everything waits for, takes all cores."""
    devices = devices_of(planned, machine=machine)
    if planned.run.profile == "paper":
        return Resources(cpus=10 * devices, gpus=devices, memory_gb=64 * devices, minutes=24 * 60)
    cpus = machine.cores if kind_of(planned.run).takes_all_cores else devices
    return Resources(cpus=cpus, gpus=0, memory_gb=4, minutes=4 * 60)


def devices_of(planned: PlannedRun, *, machine: Machine) -> int:
    """Return how many devices a run trains on; nearest neighbours are remembered on one."""
    fit = kind_of(planned.run).fit(planned.run.recipe)
    return 1 if fit == "neighbours" else machine.devices
