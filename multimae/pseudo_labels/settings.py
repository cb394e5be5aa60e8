"""What is to be labelled, by which networks and how: plain values, as a run's config.py holds them. Free of torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from multimae.engine.failures import SettingsError
from multimae.pseudo_labels.sources import LabelSource

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16", "fp16"]
DepthOutput = Literal["metres", "relative", "inverse"]


@dataclass(frozen=True, kw_only=True)
class LabellingSettings:
    """Describe one labelling; `sources` are the networks by modality.

    `min_side`, `max_side`, `depth_output` None: as the network was made. Of the sorted images those are labelled whose
    index is `shard` modulo `num_shards`.
    """

    rgb_dir: Path
    out_dir: Path
    sources: Mapping[str, LabelSource]
    prefix: str = "pseudo_"
    batch_size: int = 8
    device: Device = "auto"
    precision: Precision = "fp32"
    min_side: int | None = None
    max_side: int | None = None
    depth_output: DepthOutput | None = None
    shard: int = 0
    num_shards: int = 1

    def __post_init__(self) -> None:
        if not self.sources:
            raise SettingsError("no network is named: pass --depth, --semseg or --normal with a MODEL, or several")
        if self.batch_size < 1 or self.num_shards < 1:
            raise SettingsError(f"batch size and shards start at 1: got {self.batch_size} and {self.num_shards}")
        low, high = self.min_side or 1, self.max_side
        if low < 1 or (high is not None and high < low):
            raise SettingsError(f"sides are at least 1 pixel, the longest no less than the shortest: got {low}, {high}")
        for folder in map(self.folder, self.sources):
            if folder.is_relative_to(self.rgb_dir):
                raise SettingsError(f"{folder} lies inside the images at {self.rgb_dir}; choose another --out")

    def folder(self, modality: str) -> Path:
        """Return where the labels of a modality go."""
        return self.out_dir / f"{self.prefix}{modality}"

    def identity(self, modality: str) -> dict[str, Any]:
        """Return what labels of one folder have in common: the weights, and the settings that change their values."""
        return {
            "weights_sha256": self.sources[modality].sha256,
            "settings": {
                "precision": self.precision,
                "min_side": self.min_side,
                "max_side": self.max_side,
                "depth_output": self.depth_output if modality == "depth" else None,
            },
        }

    def plain(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        sources = {name: {**asdict(source), "folder": str(source.folder)} for name, source in self.sources.items()}
        return {**asdict(self), "rgb_dir": str(self.rgb_dir), "out_dir": str(self.out_dir), "sources": sources}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "LabellingSettings":
        """Return the settings that `plain` gave."""
        sources = {
            name: LabelSource(**{**source, "folder": Path(source["folder"])})
            for name, source in values["sources"].items()
        }
        paths = {name: Path(values[name]) for name in ("rgb_dir", "out_dir")}
        return cls(**{**values, **paths, "sources": sources})
