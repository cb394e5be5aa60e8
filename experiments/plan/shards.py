"""A labelling as runs: the images split over shards, each with a folder, a digest and a job of its own."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from experiments.plan.fingerprint import digest
from experiments.plan.render import as_python
from multimae.pseudo_labels.images import label_name
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.record.files import write_text
from multimae.record.paths import RunDir
from multimae.record.run import Run

SUITE = "pseudo-label"
KIND = "labelling"
JOB = "multimae.pseudo_labels.job"


def plan_shards(settings: LabellingSettings, *, images: Sequence[str], num_shards: int) -> dict[str, LabellingSettings]:
    """Return the settings of every shard by key: `<modalities>-<shard>of<shards>-<digest>`.

    The digest covers the settings and the names of the images: with other images shards are other runs, which find the
    labels that are there.
    """
    names = digest(images)
    shards = {}
    for shard in range(num_shards):
        its = dataclasses.replace(settings, shard=shard, num_shards=num_shards)
        name = f"{'+'.join(settings.sources)}-{shard + 1}of{num_shards}"
        shards[f"{name}-{digest([its.plain(), names])[:8]}"] = its
    return shards


def prepare_shard(run_dir: Path, *, settings: LabellingSettings) -> None:
    """Create a shard's run directory; run.json is written last and never again."""
    files = RunDir(run_dir)
    if files.run.exists():
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    title = f"{run_dir.name}: run again with `python -m multimae.train {run_dir.name}`."
    write_text(files.config, as_python({"labelling": settings.plain()}, title=title))
    Run(key=run_dir.name, suite=SUITE, kind=KIND, job=JOB).write(run_dir)


def reopen_shard(run_dir: Path, *, settings: LabellingSettings, images: Sequence[str]) -> None:
    """Take back the result of a shard whose labels are not all there any more, removed by hand or by --overwrite."""
    result = RunDir(run_dir).result
    if not result.exists():
        return
    names = [label_name(image) for image in images[settings.shard :: settings.num_shards]]
    if not all((settings.folder(modality) / name).exists() for modality in settings.sources for name in names):
        result.unlink()
