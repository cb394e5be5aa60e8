"""Which classes a map of labels is of, and from which number its files count them. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from multimae.data import coco
from multimae.data.spec import RGB, DatasetSpec, distinct_palette


@dataclass(frozen=True, kw_only=True)
class LabelCode:
    """Say what labels mean and how they are drawn.

    Class `classes[i]` is stored as i + `first_label`, as in `DatasetSpec`, and has the colour `palette[i]`.
    """

    classes: tuple[str, ...]
    first_label: Literal[0, 1]
    palette: tuple[RGB, ...]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def names(self) -> dict[str, str]:
        """Return the names by code, as the manifest of a labelling has them."""
        return {str(code): name for code, name in enumerate(self.classes, start=self.first_label)}


FIXED: Mapping[str, LabelCode] = MappingProxyType(
    {"pseudo_semseg": LabelCode(classes=coco.CLASSES, first_label=0, palette=distinct_palette(len(coco.CLASSES)))},
)
"""Modalities whose labels mean the same in every data set: those of a network, read beside the data set's own."""


def label_code(modality: str, *, spec: DatasetSpec) -> LabelCode:
    """Return the code of a modality's labels: its own, or the data set's."""
    own = LabelCode(classes=spec.classes, first_label=spec.first_label, palette=spec.palette)
    return FIXED.get(modality, own)
