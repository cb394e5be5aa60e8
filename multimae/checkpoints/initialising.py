"""Weights that an OpenMMLab config names: `init_cfg` and `load_from` load them as `load_backbone` does, or raise."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule, PretrainedInit
from torch import Tensor

from multimae.checkpoints.formats import layout_of
from multimae.checkpoints.loading import load_head
from multimae.checkpoints.report import LoadReport, abbreviated

ADVICE = (
    "a file in another layout or of another size loads by init_cfg=dict(type='Pretrained', checkpoint=FILE) of the "
    "model or its backbone, or by multimae.load_backbone"
)
Config = Mapping[str, Any]
_OWN_KEYS = ("new_modalities", "new_outputs", "weights", "pixels", "prefix")


class InitialisedFromFile(BaseModule):  # type: ignore[misc]  # mmengine is untyped
    """Let `init_cfg=dict(type="Pretrained", checkpoint=...)` read any layout; mmengine's own loads nothing, silently.

    Beside `checkpoint` and `prefix` it takes the keyword arguments of `load_backbone`, or of `load_model`.
    """

    init_cfg: Any
    load_report: LoadReport | None = None
    """What the newest loading of a file did."""

    def load_file(self, path: str, **settings: Any) -> LoadReport:
        """Load a file into this module."""
        raise NotImplementedError

    def init_weights(self) -> None:
        """Initialise as `init_cfg` says; files come last, over everything else."""
        if self.is_init:
            super().init_weights()  # which says so
            return
        asked = self.init_cfg
        files, self.init_cfg = _parted(asked)
        try:
            super().init_weights()
        finally:
            self.init_cfg = asked
        for config in files:
            self.load_report = self.load_file(config["checkpoint"], **_settings(config))
            print_log(f"{config['checkpoint']}: {self.load_report}", logger="current")


class HeadFromFile(InitialisedFromFile):
    """Let a head's `init_cfg` name a whole model's file, the head of which is loaded."""

    def load_file(self, path: str, **settings: Any) -> LoadReport:
        """Load the head of a file."""
        return load_head(self, path, **settings)


class ModelFromFile(InitialisedFromFile):
    """Refuse what mmengine's loading, which is never strict, would leave out with no more than a warning.

    That is how its Runner loads the file of `load_from`, which wants our names.
    """

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args: Any) -> None:
        own = {name.removeprefix(prefix): value for name, value in state_dict.items() if name.startswith(prefix)}
        if own:
            self.check_state(own)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def check_state(self, state: Mapping[str, Tensor]) -> None:
        """Raise ValueError where not one parameter of a state dict is this module's."""
        wanted = self.state_dict()
        if not any(name in wanted for name in state):
            layout = layout_of(state)
            is_in = f" (they are in the layout of {layout!r})" if layout else ""
            raise ValueError(
                f"none of {len(state)} parameters is one of {type(self).__name__}'s: "
                f"{abbreviated(list(state))}{is_in}; {ADVICE}"
            )


def _parted(init_cfg: Config | Sequence[Config] | None) -> tuple[list[Config], Any]:
    """Part what names a file from the rest of an `init_cfg`."""
    given = [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg or ())
    files = [config for config in given if config.get("type") in ("Pretrained", "mmengine.Pretrained", PretrainedInit)]
    if not files:
        return [], init_cfg
    return files, [config for config in given if config not in files] or None


def _settings(config: Config) -> dict[str, Any]:
    others = [name for name in config if name not in (*_OWN_KEYS, "type", "checkpoint", "map_location")]
    if others or "checkpoint" not in config:
        raise ValueError(
            f"init_cfg of type 'Pretrained' takes checkpoint, {', '.join(_OWN_KEYS)}; got {', '.join(map(str, config))}"
        )
    return {name: config[name] for name in _OWN_KEYS if config.get(name) is not None}
