"""Words of jobs, users and paths on a driver's screen: text, whole lines, and what matters at any width."""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from experiments.drive.driver import Driver
from experiments.drive.screen import live_table, print_changes, print_lost
from experiments.drive.shortening import shortened
from experiments.drive.work import Machine, Work, execution
from experiments.searches.show import TrialLog
from multimae.console import PlainConsole, label, plain_console
from multimae.record.endings import EXIT_KINDS
from multimae.record.job import JobState
from multimae.record.state import Progress, RunState, Status
from slurm.cluster import Resources

GLOO = "[/opt/gloo/transport/tcp/pair.cc:545] Connection closed by peer"
MESSAGES = [GLOO, "cannot read [/data/x.png]", "[/red] [bold]b[/bold] :smiley: {x}", "C:\\[x]\\", "a%20b $x$ <b>"]
WILD = "\x1b]0;owned\x07 10 %\r99 %\n10:00:00 fake: finished"
KEYS = ["a[/v2]-s0", "[red]b-s0", "p%20x-s0", ":smile:-s0"]


def screen(*, width: int = 200, terminal: bool = False) -> PlainConsole:
    console = plain_console(width=width)
    console.file = io.StringIO()
    console._force_terminal = terminal
    return console


def shown(console: PlainConsole) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_shown_as_it_is(message: str) -> None:
    console = screen()
    states = {key: RunState(status="failed", kind="error", message=message) for key in KEYS}
    print_changes(states, seen={}, console=console)
    assert print_lost(states, console=console)
    console.print(live_table(states, title=f"title {message}", width=200))
    for key in KEYS:
        assert f"{key}: failed ({message})" in shown(console)
        assert f"{key}: failed (error): {message}" in shown(console)
    squeezed = "".join(shown(console).split())
    assert "".join(f"title {message}".split()) in squeezed


def test_a_message_neither_moves_the_cursor_nor_fakes_a_line() -> None:
    console = screen()
    states = {"run": RunState(status="failed", kind="error", message=WILD)}
    print_changes(states, seen={}, console=console)
    print_lost(states, console=console)
    console.print(live_table({"\x1b[2Jrun": states["run"]}, title=WILD, width=200))
    assert not set(shown(console)) & {"\x1b", "\r", "\x07"}
    assert not [line for line in shown(console).splitlines() if line.startswith("10:00:00 fake")]


def test_a_trial_says_why_it_failed_as_it_was_said() -> None:
    console = screen()
    trial: FrozenTrial = create_trial(state=TrialState.FAIL, user_attrs={"failed": f"error: {GLOO}\x1b[2J"})
    TrialLog(console).show([trial])
    assert rf"failed: error: {GLOO}\x1b[2J" in shown(console)


def test_a_bar_is_labelled_with_text() -> None:
    column = label("[/v2] {task.x}")
    assert column.text_format.format() == "[/v2] {task.x}"
    assert not column.markup


@pytest.mark.parametrize("kind", [*EXIT_KINDS, None])
@pytest.mark.parametrize("status", get_args(Status))
def test_no_state_says_a_word_twice(status: Status, kind: str | None) -> None:
    words = RunState(status=status, kind=kind).text.split(": ")
    assert len(words) == len(set(words))


TRAINING = Progress(step=12_345, max_steps=200_000, loss=0.123, images_per_s=12_345.6, eta_s=7500.0)
TASKS = ("nyuv2-semseg", "nyuv2-depth")
RUNS = [f"{task}-pretrain-rgb+depth+semseg-s{seed}-{seed}a2b3c4d" for task in TASKS for seed in (0, 1)]
STATES = {key: RunState(status="running", progress=TRAINING) for key in RUNS} | {
    "nyuv2-semseg-scratch-rgb-s0-0a2b3c4d": RunState(status="preempted", kind="timeout"),
    "nyuv2-pretrain-scratch-rgb+depth+semseg-s0-1a2b3c4d": RunState(status="finished", kind="finished"),
}


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_step_loss_and_eta_are_whole_at_any_width(width: int) -> None:
    console = screen(width=width)
    console.print(live_table(STATES, title="NYUv2", width=width))
    lines = [line for line in shown(console).splitlines() if "running" in line and "Ctrl" not in line]
    assert len(lines) == len(RUNS)
    for line in lines:
        assert len(line) <= width
        assert "12345/200000" in line
        assert "0.123" in line
        assert "2 h 05" in line
    assert len({line.strip("┃│ ").split()[0] for line in lines}) == len(RUNS)
    assert ("preempted: timeout" if width >= 80 else "preempted") in shown(console)


def test_a_wide_screen_shows_all_of_it() -> None:
    console = screen(width=160)
    console.print(live_table(STATES, title="NYUv2", width=160))
    assert all(key in shown(console) for key in STATES)
    assert "images/s" in shown(console)


@pytest.mark.parametrize(
    ("names", "width", "short"),
    [
        (["a-b-s0-00000001", "a-c-s0-00000002"], 20, ["a-b-s0-00000001", "a-c-s0-00000002"]),
        (["a-b-s0-00000001", "a-c-s0-00000002"], 8, ["a-b-s0", "a-c-s0"]),
        (["nyuv2-semseg-s0-00000001", "nyuv2-depth-s1-00000002"], 12, ["…-semseg-s0", "…-depth-s1"]),
        (["nyuv2-s0-00000001", "nyuv2-s0-00000002"], 12, ["…-00000001", "…-00000002"]),
        (["only-one-name-s0-00000001"], 10, ["only…me-s0"]),
        ([], 10, []),
    ],
)
def test_names_lose_what_they_share_first(names: list[str], width: int, short: list[str]) -> None:
    assert shortened(names, width=width) == short


class Launcher:
    """Starts attempts that end as they are told."""

    name = "made up"
    has_queue = True

    def __init__(self, *endings: Mapping[str, Any]) -> None:
        self.endings = list(endings)

    def submit(self, command: Any, *, attempt_dir: Path, **_: Any) -> str:
        (attempt_dir / "exit.json").write_text(json.dumps(self.endings.pop(0)))
        return attempt_dir.name

    def states(self, ids: Iterable[str]) -> Mapping[str, JobState]:
        return dict.fromkeys(ids, JobState.ENDED)

    def cancel(self, ids: Iterable[str]) -> None: ...

    def find(self, run_dirs: Iterable[Path]) -> Mapping[Path, str]:
        return {}


def test_what_is_started_again_is_said_with_its_reason(tmp_path: Path) -> None:
    heard: list[str] = []
    launcher = Launcher({"kind": "timeout", "message": "saved"}, {"kind": "error", "message": "no luck"})
    asked = Resources(cpus=1, gpus=0, memory_gb=1, minutes=1)
    work = Work(key="run", folder=tmp_path / "run", command=execution(tmp_path / "run"), resources=asked)
    driver = Driver([work], suite_dir=tmp_path, launcher=launcher, machine=Machine(cores=1), hear=heard.append)
    driver.code = tmp_path
    for _ in range(3):
        driver.submit_ready(driver.look())
    assert heard == ["run: attempt 2, resumes after timeout"]
    assert not launcher.endings
