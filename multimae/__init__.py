"""MultiMAE (Bachmann et al., ECCV 2022): multi-modal masked pre-training and its transfers.

Importing this package loads no torch: names are looked up when they are used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multimae.backbone import MultiMAE as MultiMAE
    from multimae.checkpoints.loading import export_checkpoint as export_checkpoint
    from multimae.checkpoints.loading import load_backbone as load_backbone
    from multimae.checkpoints.loading import load_model as load_model
    from multimae.data.folder import MultiModalFolder as MultiModalFolder
    from multimae.data.spec import DatasetSpec as DatasetSpec
    from multimae.data.spec import spec as spec
    from multimae.pretraining import MultiMAEPretraining as MultiMAEPretraining
    from multimae.tables.metrics import METRICS as METRICS
    from multimae.tables.modalities import MODALITIES as MODALITIES
    from multimae.tables.sizes import SIZES as SIZES
    from multimae.transfer import MultiMAETransfer as MultiMAETransfer

__version__ = "0.1.0"

_HOMES = {
    "METRICS": "multimae.tables.metrics",
    "MODALITIES": "multimae.tables.modalities",
    "SIZES": "multimae.tables.sizes",
    "DatasetSpec": "multimae.data.spec",
    "MultiMAE": "multimae.backbone",
    "MultiMAEPretraining": "multimae.pretraining",
    "MultiMAETransfer": "multimae.transfer",
    "MultiModalFolder": "multimae.data.folder",
    "export_checkpoint": "multimae.checkpoints.loading",
    "load_backbone": "multimae.checkpoints.loading",
    "load_model": "multimae.checkpoints.loading",
    "spec": "multimae.data.spec",
}

__all__ = [*_HOMES]  # noqa: PLE0604  # the names are the keys, all strings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no {name!r}; public names: {', '.join(sorted(_HOMES))}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names as well: tab completion and `help` ask for them before they are looked up."""
    return sorted({*globals(), *_HOMES} - {"Any", "TYPE_CHECKING", "import_module"})
