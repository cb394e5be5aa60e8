"""Check what a process inherits: Python's packages, the GPU, variables of an outer job or for sbatch."""

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions, version

from experiments.doctor.diagnosis import Diagnosis

AREA = "environment"
SHARED_NAMES = ("mmengine", "mmcv", "mmseg")
"""Names under which two distributions may lie over each other: OpenMMLab's own, and the maintained ones."""
OF_A_JOB = ("SLURM_JOB_ID", "SLURM_JOBID")


def check_packages() -> Iterator[Diagnosis]:
    """Yield Python's version, and the names that two distributions claim."""
    yield _well(f"Python {sys.version.split()[0]}, multimae {version('multimae')}, torch {version('torch')}")
    owners = packages_distributions()
    for name in SHARED_NAMES:
        found = sorted(set(owners.get(name, ())))
        if len(found) > 1:
            upstream = next(one for one in found if not one.startswith("onedl-"))
            yield Diagnosis(
                area=AREA,
                verdict="wrong",
                said=f"{name} is of two distributions, which write over each other: {', '.join(found)}",
                fix=f"pip uninstall {' '.join(found)} && pip install {' '.join(set(found) - {upstream}) or upstream}",
            )
        elif found:
            yield _well(f"{name} is that of {found[0]} {version(found[0])}")


def check_gpu() -> Iterator[Diagnosis]:
    """Yield the GPUs that torch sees from here; a login node has none."""
    import torch

    if not torch.cuda.is_available():
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without CUDA"
        yield Diagnosis(area="gpu", verdict="note", said=f"torch sees no GPU from here; {built}", fix="nvidia-smi")
        return
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        said = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
        yield Diagnosis(area="gpu", verdict="well", said=said)


def check_variables(environ: Mapping[str, str] = os.environ) -> Iterator[Diagnosis]:
    """Yield variables that change what jobs do without being seen."""
    if any(name in environ for name in OF_A_JOB):
        yield _well(f"inside job {environ.get('SLURM_JOB_ID', '?')}: its variables are kept from jobs started here")
    else:
        yield from _leaked(sorted(name for name in environ if name.startswith("SLURM_") and name != "SLURM_CONF"))
    for name in sorted(name for name in environ if name.startswith("SBATCH_")):
        yield _note(f"{name}={environ[name]} gives every sbatch an option", fix=f"unset {name}")
    if environ.get("CUDA_VISIBLE_DEVICES") == "":
        yield _note("CUDA_VISIBLE_DEVICES is empty: no GPU is seen", fix="unset CUDA_VISIBLE_DEVICES")
    if "PYTHONPATH" in environ:
        yield _note(f"PYTHONPATH is {environ['PYTHONPATH']}: modules there come before installed ones")


def _leaked(names: list[str]) -> Iterator[Diagnosis]:
    if names:
        yield _note(
            f"{', '.join(names)} of a job that this shell is not in any more: sbatch and srun read them",
            fix=f"unset {' '.join(names)}",
        )
    else:
        yield _well("no variables of another job")


def _well(said: str) -> Diagnosis:
    return Diagnosis(area=AREA, verdict="well", said=said)


def _note(said: str, *, fix: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, verdict="note", said=said, fix=fix)
