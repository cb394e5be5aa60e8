"""Which images of Taskonomy are for training, validation and test: tables, or the tiny split's buildings."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from multimae.data.sample import DataError
from multimae.data.sets.taskonomy import TEST_BUILDINGS, VAL_BUILDINGS

SPLITS = ("train", "val", "test")
COLUMNS = ("building", "point", "view")


@dataclass(frozen=True)
class ViewSplits:
    """Read the splits of the images `{building}/point_{p}_view_{v}` from `*{split}.csv` in `root`.

    A split without a table is its buildings of the tiny split; for training that is every building of no other split.
    """

    root: Path

    def listed(self, split: str) -> frozenset[str] | None:
        """Return the images that a table lists; None where there is no table."""
        return self._listed.get(split)

    def buildings(self, split: str, *, among: Collection[str]) -> frozenset[str]:
        """Return the buildings of a split; those `among` which it may choose are all there are."""
        if split in self._listed:
            return self._listed_buildings[split]
        if split == "train":
            tiny = {*VAL_BUILDINGS, *TEST_BUILDINGS}
            return frozenset(among) - tiny - self.buildings("val", among=()) - self.buildings("test", among=())
        return frozenset({"val": VAL_BUILDINGS, "test": TEST_BUILDINGS}.get(split, ()))

    def split_of(self, name: str) -> str | None:
        """Return the split of an image, None where it is in none."""
        building = name.split("/")[0]
        for split in SPLITS:
            listed = self.listed(split)
            if name in listed if listed is not None else building in self.buildings(split, among=(building,)):
                return split
        return None

    def table(self, split: str) -> Path | None:
        """Return the table of a split."""
        tables = sorted(self.root.glob(f"*{split}.csv"))
        if len(tables) > 1:
            names = ", ".join(table.name for table in tables)
            raise DataError(f"{self.root} has several tables for {split}: {names}; keep the one that is meant")
        return tables[0] if tables else None

    @cached_property
    def _listed_buildings(self) -> Mapping[str, frozenset[str]]:
        return {split: frozenset(name.split("/")[0] for name in names) for split, names in self._listed.items()}

    @cached_property
    def _listed(self) -> Mapping[str, frozenset[str]]:
        tables = {split: self.table(split) for split in SPLITS}
        listed = {split: _views(table) for split, table in tables.items() if table is not None}
        for split, names in listed.items():
            for other in SPLITS[: SPLITS.index(split)]:
                if both := names & listed.get(other, frozenset()):
                    raise DataError(
                        f"{len(both)} images, such as {min(both)}, are in the tables for {other} and for {split} of "
                        f"{self.root}; remove them from one"
                    )
        return listed


def _views(table: Path) -> frozenset[str]:
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := [column for column in COLUMNS if column not in (rows.fieldnames or ())]:
            raise DataError(f"{table} lacks the columns {missing}, it has {rows.fieldnames}")
        return frozenset(f"{row['building']}/point_{row['point']}_view_{row['view']}" for row in rows)
