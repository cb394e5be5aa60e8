"""Load the network that labels one modality, from wherever it comes."""

import torch

from multimae.engine.failures import SettingsError
from multimae.pseudo_labels.labeller import Labeller
from multimae.pseudo_labels.settings import LabellingSettings


def load_labeller(modality: str, *, settings: LabellingSettings) -> Labeller:
    """Return a labeller for one modality of the settings, ready on its device."""
    device = _device(settings.device)
    # transformers and mmengine take seconds each to import; only one of them is needed.
    if settings.sources[modality].kind == "run":
        from multimae.pseudo_labels.runs import load_run

        return load_run(modality, settings=settings, device=device)
    from multimae.pseudo_labels.pretrained import load_pretrained

    return load_pretrained(modality, settings=settings, device=device)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("--device cuda, but torch sees no GPU here; use --device cpu, or auto")
    return torch.device(name)
