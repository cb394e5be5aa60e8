"""Why a sweep trains or scores a run again: the exact key that differs, said once for all runs that share it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.plan.planning import Parts, PlannedRun
from multimae.record.paths import RunDir
from multimae.record.result import Result, scoring_changes
from multimae.record.run import Run

SCORED_AGAIN = "score again"
OLD_SCORES = "old scores"
"""Where a finished run stands whose scores are of other code: with weights to score again, or without."""
NO_RUN = "no run of this name yet"
KEPT = "kept with the scores of earlier code, without weights to score again; delete its folder to train it"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One reason, and the keys of the runs that are trained or scored again for it."""

    does: str
    reason: str
    keys: tuple[str, ...]

    @property
    def text(self) -> str:
        """Say it in a line."""
        runs = f"{len(self.keys)} runs are" if len(self.keys) > 1 else f"{self.keys[0]} is"
        return f"{runs} {self.does}: {self.reason}"


def why_new(planned: PlannedRun, *, suite_dir: Path) -> list[str]:
    """Name the exact keys that make a run new, against the run of the same name that is most alike."""
    recorded = [run for path in suite_dir.glob(f"{planned.run.name}-????????") if (run := Run.read(path)) is not None]
    if not recorded:
        return [NO_RUN]
    return min((difference(planned.parts, run.digest) for run in recorded), key=len)


def why_scored_again(planned: PlannedRun, *, suite_dir: Path) -> list[str]:
    """Name the modules and protocols whose change makes other scores of a finished run's weights."""
    result = Result.read(suite_dir / planned.key)
    return scoring_changes(result.scoring if result else {}, planned.scoring)


def reasons_of(
    plan: Sequence[PlannedRun], *, suite_dir: Path, standings: Mapping[str, str]
) -> dict[str, tuple[str, list[str]]]:
    """Return per key what a sweep would do again, and why; runs that stay as they are are left out.

    `standings` say by key where each run stands.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for planned in plan:
        if not RunDir(suite_dir / planned.key).run.exists():
            found[planned.key] = ("new", why_new(planned, suite_dir=suite_dir))
        elif standings[planned.key] == SCORED_AGAIN:
            found[planned.key] = ("scored again", why_scored_again(planned, suite_dir=suite_dir))
    return found


def kept_scores(
    plan: Sequence[PlannedRun], *, suite_dir: Path, standings: Mapping[str, str]
) -> dict[str, tuple[str, list[str]]]:
    """Return per key why finished runs keep the scores of other code: those that stand so in `standings`."""
    kept = [planned for planned in plan if standings[planned.key] == OLD_SCORES]
    return {planned.key: (KEPT, why_scored_again(planned, suite_dir=suite_dir)) for planned in kept}


def causes(reasons: Mapping[str, tuple[str, list[str]]]) -> list[Cause]:
    """Sort reasons by what they have in common, the ones that most runs share first."""
    keys: dict[tuple[str, str], list[str]] = {}
    for key, (does, why) in reasons.items():
        for reason in why:
            keys.setdefault((does, reason), []).append(key)
    found = [Cause(does=does, reason=reason, keys=tuple(some)) for (does, reason), some in keys.items()]
    return sorted(found, key=lambda cause: -len(cause.keys))


def difference(parts: Parts, recorded: Parts) -> list[str]:
    """Say which keys of the digest differ from a recorded run's: `part.key: recorded -> now`."""
    everything = [
        (part, name) for part in {*parts, *recorded} for name in {**parts.get(part, {}), **recorded.get(part, {})}
    ]
    pairs = {
        f"{part}.{name}": (recorded.get(part, {}).get(name, "absent"), parts.get(part, {}).get(name, "absent"))
        for part, name in sorted(everything)
    }
    return [f"{key}: {then} -> {now}" for key, (then, now) in pairs.items() if then != now]
