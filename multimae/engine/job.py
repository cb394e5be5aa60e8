"""A run from its config to its result, read top to bottom."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from multimae.checkpoints.loading import load_backbone
from multimae.engine.distributed import Launcher, join_ranks, share_among_ranks, unwrapped, wrap
from multimae.engine.failures import SettingsError
from multimae.engine.hooks import SpoolHook, StopHook, ValidationHook
from multimae.engine.neighbours import remember_training_data
from multimae.engine.places import config_of, starting_weights
from multimae.engine.results import write_result
from multimae.engine.resume import CheckpointHook, is_weights_alone, keep_of_finished, load_checkpoint
from multimae.engine.rungs import RungHook
from multimae.engine.selection import BestWeights, selection_of
from multimae.engine.signals import StopRequest
from multimae.engine.steps import is_one_batch
from multimae.evaluation.evaluate import Evaluations
from multimae.kinds import kind
from multimae.record.attempt import Attempt
from multimae.record.paths import RunDir
from multimae.record.run import Run
from multimae.record.spool import Spool


class JobRunner(Runner):  # type: ignore[misc]
    """mmengine's Runner without the files that a run directory holds already: its config, environment and log."""

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        """Leave out the probe of compilers and drivers: a second a job, and the environment is in result.json."""

    def dump_config(self) -> None:
        """Leave config.py alone: it is what is executed."""

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        """Let the ranks train one model; mmengine's own way wants a GPU for each."""
        return wrap(model) if self.distributed else super().wrap_model(model_wrapper_cfg, model)

    def _maybe_compile(self, target: str) -> None:
        """Compile a model's whole step where it is mmengine's; `take_step` calls the model itself."""
        loop = self.cfg.train_cfg
        one = is_one_batch(loop.get("num_micro_batches", 1), loss_average=loop.get("loss_average", "step"))
        super()._maybe_compile(target if one else "forward")


def execute(attempt: Attempt, *, stop: StopRequest) -> None:
    """Train or go on training, evaluate under every protocol, write the result."""
    started = time.time()
    run_dir, run = attempt.run_dir, Run.of(attempt.run_dir)
    files = RunDir(run_dir)
    config = config_of(attempt, run=run)
    launcher = join_ranks()
    share_among_ranks(config, world_size=get_world_size())

    spool = Spool(attempt.spool_path if is_main_process() else None)
    selection = selection_of(config.job)
    best = None if selection == "last" else BestWeights(metric=run.primary.metric)
    checkpoints = CheckpointHook(attempt=attempt, spool=spool, interval=config.job.checkpoint_interval, best=best)
    saved = load_checkpoint(checkpoints.folder)
    resumed_from = saved["step"] if saved else 0
    max_steps = config.train_cfg.max_iters
    spool.write("start", attempt=attempt.number, resumed_from_step=resumed_from, max_steps=max_steps)
    spool.write("params", values=dict(run.settings))

    own = kind(config.job.kind)
    evaluations = Evaluations(own.scorer(config.job.get("target", "")), check=stop.check)
    rungs = RungHook(run_dir=run_dir, rungs=config.job.get("rungs", ()))
    hooks = [checkpoints, StopHook(request=stop), rungs]
    hooks += _hooks(config, spool=spool, evaluations=evaluations, best=best)
    runner = _runner(config, attempt=attempt, hooks=hooks, launcher=launcher)
    model = unwrapped(runner.model)
    if config.job.init_from and not saved:
        weights, read_as = starting_weights(config, run=run, attempt=attempt), config.job.get("read_as", {})
        _start_from(weights, model, new_modalities=config.job.new_modalities, read_as=read_as)
    if config.job.fit == "neighbours":
        remember_training_data(model, config.train_dataloader, spool=spool, stop=stop)
    elif saved and is_weights_alone(saved):  # trained to the end before, and now scored again
        model.load_state_dict(saved["model"])
        if best is not None:
            best.load_state_dict(saved["best"])
    else:
        rungs.before_training(step=resumed_from)
        runner.train()
        stop.check()
        rungs.after_training()
    if best is not None:
        best.load_into(model)

    scores = [evaluations.run(model, item) for item in config.job.evaluations]
    for item in scores:
        values = {f"{item.split}/{item.protocol}/{name}": value for name, value in item.metrics.items()}
        spool.metrics(step=max_steps, values=values)
    if is_main_process():
        predictions = own.draw(model, config.job, artifacts=files.artifacts, spool=spool)
        attempt.require_lease()
        write_result(
            run_dir,
            run=run,
            evaluations=scores,
            predictions=predictions,
            num_params=sum(parameter.numel() for parameter in model.parameters()),
            steps=max_steps,
            started=started,
            selection=selection,
            best=best,
        )
        keep_of_finished(checkpoints.folder, keep=config.job.get("keep_checkpoints", "all"))
    spool.write("end", kind_of_end="finished")
    spool.close()


def _start_from(
    checkpoint: Path, model: nn.Module, *, new_modalities: Sequence[str], read_as: Mapping[str, Any]
) -> None:
    """Load the encoder's weights and log what was loaded; weights that do not fit are a matter of settings."""
    try:
        backbone = model.get_submodule("backbone")
        print(load_backbone(backbone, checkpoint, new_modalities=new_modalities, **read_as), flush=True)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _runner(config: Config, *, attempt: Attempt, hooks: list[Hook], launcher: Launcher) -> JobRunner:
    unused = ("runtime_info", "timer", "sampler_seed", "logger", "checkpoint")
    return JobRunner(
        model=config.model,
        work_dir=str(attempt.folder / "mmengine"),
        train_dataloader=config.train_dataloader,
        train_cfg=config.train_cfg,
        optim_wrapper=config.optim_wrapper,
        param_scheduler=config.param_scheduler,
        default_hooks=dict.fromkeys(unused),
        custom_hooks=hooks,
        randomness=config.randomness,
        default_scope=config.default_scope,
        log_level="ERROR",
        launcher=launcher,
        # mmengine keeps what it makes by this name and the second: two runs of one process may begin in the same one.
        experiment_name=str(attempt.folder),
        cfg=config,
    )


def _hooks(config: Config, *, spool: Spool, evaluations: Evaluations, best: BestWeights | None) -> list[Hook]:
    job = config.job
    num_batches = config.train_cfg.get("num_micro_batches", 1) * get_world_size()
    batch_size = config.train_dataloader.batch_size * num_batches
    record = SpoolHook(spool=spool, interval=job.log_interval, batch_size=batch_size)
    if job.validation is None:
        return [record]
    validation = ValidationHook(
        score=lambda model: evaluations.run(model, job.validation).metrics,
        split=job.validation.split,
        interval=job.validation_interval,
        spool=spool,
        rungs=job.get("rungs", ()),
        best=best,
    )
    return [record, validation]
