"""A shard of a labelling as a job: started, stopped and resumed like a training, with the maps as its state."""

import time

from mmengine.config import Config

from multimae.data.sample import DataError
from multimae.engine.signals import StopRequest
from multimae.pseudo_labels.labelling import PACKAGES, LabellingProgress, label_images
from multimae.pseudo_labels.settings import LabellingSettings
from multimae.record.attempt import Attempt
from multimae.record.paths import RunDir
from multimae.record.result import Result
from multimae.record.run import Run
from multimae.record.spool import Spool
from multimae.record.versions import versions

HEARTBEAT_SECONDS = 2.0
NUM_NAMED = 5


def execute(attempt: Attempt, *, run: Run, stop: StopRequest) -> None:
    """Label what is missing and write the result; images that cannot be read fail the run, after all others."""
    started = time.time()
    config = Config.fromfile(RunDir(attempt.run_dir).config)
    settings = LabellingSettings.from_plain(config.labelling.to_dict())
    spool = Spool(attempt.spool_path)
    record = _Record(spool, attempt=attempt.number)
    broken: list[str] = []
    for progress in label_images(settings):
        record.add(progress)
        broken += progress.broken
        for message in progress.broken:
            print(message, flush=True)
        stop.check()
        attempt.require_lease()
    if broken:
        named = "\n".join(broken[:NUM_NAMED])
        raise DataError(f"{len(broken)} images could not be read and were left out, such as\n{named}")
    attempt.require_lease()
    result = Result(
        key=run.key,
        suite=run.suite,
        kind=run.kind,
        counts={"num_maps": progress.total, "num_written": progress.done - progress.skipped},
        started=started,
        finished=time.time(),
        environment=versions(PACKAGES),
    )
    result.write(attempt.run_dir)
    spool.write("end", kind_of_end="finished")
    spool.close()


class _Record:
    """Write the start and, every two seconds, how far it is, to the spool; a step is a map."""

    def __init__(self, spool: Spool, *, attempt: int) -> None:
        self._spool = spool
        self._attempt = attempt
        self._began = time.monotonic()
        self._last: float | None = None

    def add(self, progress: LabellingProgress) -> None:
        now = time.monotonic()
        if self._last is None:
            self._spool.write(
                "start", attempt=self._attempt, resumed_from_step=progress.skipped, max_steps=progress.total
            )
        elif now - self._last < HEARTBEAT_SECONDS:
            return
        self._last = now
        rate = (progress.done - progress.skipped) / max(now - self._began, 1e-3)
        self._spool.write(
            "progress",
            step=progress.done,
            max_steps=progress.total,
            loss=None,
            images_per_s=rate,
            eta_s=(progress.total - progress.done) / rate if rate else None,
        )
