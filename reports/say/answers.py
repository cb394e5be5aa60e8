"""The questions a suite is run for, answered in words that never say more than the seeds do."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from multimae.tables.metrics import Metric
from reports.read.results import CONSTANT, inputs_order, metric_of
from reports.say import words
from reports.say.stats import ALPHA, Difference, holm, paired_difference
from reports.say.tables import Setting, split, values_by_seed

if TYPE_CHECKING:
    import pandas as pd

Question = Literal["pretraining", "variant", "depth", "baseline"]
Verdict = Literal["better", "worse", "hint", "unclear", "open"]

_PHRASES: Mapping[Question, Mapping[Verdict, str]] = MappingProxyType(
    {
        "pretraining": {"better": "pre-training helps", "worse": "pre-training hurts"},
        "variant": {"better": "the change helps", "worse": "the change hurts"},
        "depth": {"better": "depth helps", "worse": "depth hurts"},
        "baseline": {"better": "better than the constant predictor", "worse": "worse than the constant predictor"},
    }
)


SCRATCH, PRETRAIN = "scratch", "pretrain"


@dataclass(frozen=True, kw_only=True)
class PrimaryMetric:
    """The one number a task is judged by."""

    task: str
    metric: str
    protocol: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One setting minus another. `adjusted_p` is corrected for the `num_asked` answers to the same question.

    It is NaN where there was no test.
    """

    question: Question
    task: str
    setting: str
    metric: Metric
    protocol: str
    difference: Difference
    adjusted_p: float = math.nan
    num_asked: int = 0

    @property
    def verdict(self) -> Verdict:
        if not self.difference.n or not math.isfinite(self.difference.p_value):
            return "open"
        if self.adjusted_p < ALPHA:
            return "better" if self.gain > 0 else "worse"
        return "hint" if self.difference.p_value < ALPHA else "unclear"

    @property
    def gain(self) -> float:
        """The difference, positive where the first setting is the better one."""
        return self.difference.mean if self.metric.higher_is_better else -self.difference.mean

    @property
    def effect(self) -> str:
        """Write `+3.1 [1.2, 5.0] mIoU`; the interval only where there is one."""
        difference, metric = self.difference, self.metric
        if not difference.n:
            return ""
        interval = ""
        if difference.n > 1:
            low, high = (words.number(end, metric=metric) for end in (difference.low, difference.high))
            interval = f" [{low}, {high}]"
        unit = f" {metric.unit}" if metric.unit == "m" else ""
        return f"{words.signed(difference.mean, metric=metric)}{interval}{unit} {metric.label}"

    @property
    def sentence(self) -> str:
        """Say what can be said, from this comparison alone."""
        difference, verdict, phrases = self.difference, self.verdict, _PHRASES[self.question]
        if not difference.n:
            text = "no answer yet: no pair of runs with the same seed has finished"
        elif verdict == "open":
            text = "one pair of seeds: no interval, so no answer"
        elif verdict == "unclear":
            text = f"no difference can be told with {words.count(difference.n, 'seed')} ({_p(difference.p_value)})"
        elif verdict == "hint":
            direction = phrases["better" if self.gain > 0 else "worse"]
            text = f"a hint that {direction}: {_p(difference.p_value)} alone, {_p(self.adjusted_p)} after correction"
        else:
            text = f"{phrases[verdict]} ({_p(self.adjusted_p)})"
        return text + self._left_out()

    def _left_out(self) -> str:
        if not self.difference.num_left_out:
            return ""
        return f"; {words.count(self.difference.num_left_out, 'pair')} left out because a training diverged"


def lead(question: Question, answers: Sequence[Answer]) -> str:
    """Sum up the answers to one question in a sentence that counts them."""
    phrases: dict[Verdict, str] = {
        **_PHRASES[question],
        "hint": "there is a hint, no more,",
        "unclear": "no difference can be told",
        "open": "no answer yet",
    }
    counts = Counter(found.verdict for found in answers)
    asked = words.count(len(answers), "setting")
    parts = [f"{text} in {counts[verdict]}" for verdict, text in phrases.items() if counts[verdict]]
    sentence = "; ".join([f"{parts[0]} of {asked}", *parts[1:]])
    return sentence[0].upper() + sentence[1:] + "."


def answer(frame: "pd.DataFrame", *, primary: PrimaryMetric) -> tuple[Answer, ...]:
    """Make every comparison `primary.task` allows, not yet corrected for their number."""
    settings = split(frame[frame["task"] == primary.task])
    values = {
        setting: values_by_seed(rows, protocol=primary.protocol, metric=primary.metric)
        for setting, rows in settings.items()
    }
    planned = sorted(
        (setting for setting in settings if setting.checkpoint != CONSTANT),
        key=lambda setting: (inputs_order(setting.inputs), setting.checkpoint),
    )
    return tuple(
        Answer(
            question=question,
            task=primary.task,
            setting=label,
            metric=metric_of(primary.metric),
            protocol=primary.protocol,
            difference=paired_difference(values[first], minus=values.get(second, {})),
        )
        for question, first, second, label in _pairs(planned)
    )


def corrected(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """Correct the p-values of answers to one question for how often it was asked (Holm)."""
    tested = [index for index, found in enumerate(answers) if math.isfinite(found.difference.p_value)]
    adjusted = dict(zip(tested, holm([answers[index].difference.p_value for index in tested]), strict=True))
    return tuple(
        replace(found, adjusted_p=adjusted.get(index, math.nan), num_asked=len(tested))
        for index, found in enumerate(answers)
    )


def _pairs(planned: Sequence[Setting]) -> Iterator[tuple[Question, Setting, Setting, str]]:
    pretrained = [setting for setting in planned if setting.checkpoint != SCRATCH]
    several = len({setting.checkpoint for setting in pretrained}) > 1
    for first in pretrained:
        second = first._replace(checkpoint=SCRATCH)
        if second in planned:
            name = f"{words.checkpoint_label(first.checkpoint)}, " if several else ""
            yield "pretraining", first, second, f"{name}from {first.inputs}"
    for first in pretrained:
        second = first._replace(checkpoint=PRETRAIN)
        if second != first and second in planned:
            yield "variant", first, second, f"{words.checkpoint_label(first.checkpoint)}, from {first.inputs}"
    for first in planned:
        second = first._replace(inputs=first.inputs.removesuffix("+depth"))
        if second != first and second in planned:
            yield (
                "depth",
                first,
                second,
                f"{words.checkpoint_label(first.checkpoint)}, added to {second.inputs}",
            )
    for first in planned:
        label = f"{words.checkpoint_label(first.checkpoint)}, from {first.inputs}"
        yield "baseline", first, first._replace(checkpoint=CONSTANT), label


def _p(p_value: float) -> str:
    return f"p = {p_value:.2g}" if p_value >= 0.001 else "p < 0.001"
