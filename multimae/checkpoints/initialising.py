"""Weights that an OpenMMLab config names: `init_cfg` and `load_from` load them as `load_backbone` does, or raise."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule, PretrainedInit
from torch import Tensor

from multimae.checkpoints.formats import layout_of
from multimae.checkpoints.report import LoadReport, abbreviated

Config = Mapping[str, Any]
Load = Callable[..., LoadReport]
_OWN_KEYS = ("new_modalities", "new_outputs", "weights", "pixels", "prefix")


class InitialisedFromFile(BaseModule):  # type: ignore[misc]  # mmengine is untyped
    """Let `init_cfg=dict(type="Pretrained", checkpoint=...)` read any layout; mmengine's own loads nothing, silently.

    Beside `checkpoint` and `prefix` it takes the keyword arguments of `load_backbone`, or of `load_model`.
    """

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

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args: Any) -> None:
        """Refuse what mmengine's loading, which is never strict, would leave out without an error (`load_from`)."""
        own = {name.removeprefix(prefix): value for name, value in state_dict.items() if name.startswith(prefix)}
        if own:
            _check(own, wanted=self.state_dict(), of=type(self).__name__)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _check(own: Mapping[str, Tensor], *, wanted: Mapping[str, Tensor], of: str) -> None:
    advice = (
        "a file in another layout or of another size loads by init_cfg=dict(type='Pretrained', checkpoint=FILE) of the "
        "model or its backbone, or by multimae.load_backbone"
    )
    if not any(name in wanted for name in own):
        layout = layout_of(own)
        is_in = f" (they are in the layout of {layout!r})" if layout else ""
        raise ValueError(f"none of {len(own)} parameters is one of {of}'s: {abbreviated(list(own))}{is_in}; {advice}")
    encoder = [name for name in wanted if "encoder." in name]
    if any(name in own for name in encoder) and (lacking := [name for name in encoder if name not in own]):
        raise ValueError(f"the parameters hold a part of {of}'s encoder, they lack {abbreviated(lacking)}; {advice}")
    wrong = [name for name in own if name in wanted and own[name].shape != wanted[name].shape]
    if wrong:
        shapes = "; ".join(f"{name} {tuple(own[name].shape)}, wanted {tuple(wanted[name].shape)}" for name in wrong[:6])
        raise ValueError(f"{len(wrong)} parameters have other shapes than {of}'s: {shapes}; {advice}")


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
