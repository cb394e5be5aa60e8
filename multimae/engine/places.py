"""A job's config with the places that its start was submitted with, and whether there lies what was planned."""

import hashlib
from pathlib import Path

from mmengine.config import Config

from multimae.data.open import find_dataset
from multimae.data.sample import DataError
from multimae.data.spec import spec
from multimae.engine.failures import SettingsError
from multimae.engine.ranks import rank_of_this_process
from multimae.record.attempt import Attempt
from multimae.record.paths import RunDir
from multimae.record.places import Places
from multimae.record.run import Run
from multimae.record.text import tell

AGAIN = "give the sweep's command again, which plans with the places of now"


def config_of(attempt: Attempt, *, run: Run) -> Config:
    """Read a run's config with the places of this start; a start by hand reads what config.py names.

    Raises DataError where other data lies there than the run was planned on.
    """
    config = Config.fromfile(RunDir(attempt.run_dir).config)
    bound = attempt.places
    if bound is not None:
        bound.put_into(config)
    if rank_of_this_process() == 0:
        _require_data(config, run=run, attempt=attempt)
    return config


def starting_weights(config: Config, *, run: Run, attempt: Attempt) -> Path:
    """Return the file of weights that a run starts from; SettingsError if it has gone or is another than planned."""
    path: Path = attempt.run_dir / config.job.init_from
    if not path.is_file():
        raise SettingsError(f"attempt {attempt.number} starts from the weights in {path}, which is gone; {AGAIN}")
    planned = run.digest.get("checkpoint", {}).get(run.checkpoint)
    if planned and Path(config.job.init_from).is_absolute():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(planned):
            raise SettingsError(
                f"{path} holds other weights than attempt {attempt.number} was planned to start from: sha256 "
                f"{found[:8]}, planned {planned[:8]}; {AGAIN}"
            )
    return path


def _require_data(config: Config, *, run: Run, attempt: Attempt) -> None:
    """Raise DataError unless what lies in the place has the names and sizes of the files that were planned."""
    root, planned = Path(Places.of_config(config).data), run.dataset
    tell(f"reads {planned.name or 'its data'} from {root}")
    if not root.is_dir():
        raise DataError(f"attempt {attempt.number} reads {planned.name} from {root}, which is gone; {AGAIN}")
    if not planned.folders:  # written by a version that did not note them
        return
    opened = find_dataset(root, spec(config.job.dataset))
    found = opened.fingerprint(opened.splits, planned.folders)
    if found != planned.fingerprint:
        raise DataError(
            f"{root} holds other data than attempt {attempt.number} was planned on: fingerprint {found[:8]}, planned "
            f"{planned.fingerprint[:8]}; {AGAIN}, and on the data of now"
        )
