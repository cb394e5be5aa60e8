"""Which classes a map of labels is of, and from which number its files count them. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from multimae.data import coco
from multimae.data.spec import DatasetSpec


@dataclass(frozen=True, kw_only=True)
class LabelCode:
    """Say what labels mean: class `classes[i]` is stored as i + `first_label`; `first_label` as in `DatasetSpec`."""

    classes: tuple[str, ...]
    first_label: Literal[0, 1]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def names(self) -> dict[str, str]:
        """Return the names by code, as the manifest of a labelling has them."""
        return {str(code): name for code, name in enumerate(self.classes, start=self.first_label)}


FIXED: Mapping[str, LabelCode] = MappingProxyType(
    {"pseudo_semseg": LabelCode(classes=coco.CLASSES, first_label=0)},
)
"""Modalities whose labels mean the same in every data set: those of a network, read beside the data set's own."""


def label_code(modality: str, *, spec: DatasetSpec) -> LabelCode:
    """Return the code of a modality's labels: its own, or the data set's."""
    return FIXED.get(modality, LabelCode(classes=spec.classes, first_label=spec.first_label))
