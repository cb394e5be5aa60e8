"""What becomes a folder's name lies where it belongs, whoever chose it."""

from pathlib import Path

import pytest

from experiments import search, sweep
from experiments.plan.errors import UsageError
from experiments.plan.folders import require_folder_name

SMOKE = ("--suite", "smoke", "--dry-run")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "/etc", ".hidden", "a\nb", "a\x1b[2J", "caf\udce9", "x" * 201])
def test_names_that_lie_elsewhere_or_cannot_be_shown_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="would be the name of a folder"):
        require_folder_name("run", name)


@pytest.mark.parametrize("name", ["<b>$x$", "p%20x", "[red]", "-x y", "ä中", "a|b`*", "q?mode=memory"])
def test_other_names_are_nobodys_business(name: str) -> None:
    assert require_folder_name("run", name) == name


@pytest.mark.parametrize("start", ["../x", "a/b", "a\x1b[2Jb"])
def test_a_start_is_no_way_out_of_the_runs_folder(
    tmp_path: Path, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "w.pth"
    weights.touch()
    assert sweep.main([*SMOKE, "--runs-dir", str(tmp_path / "runs"), "--checkpoints", f"{start}={weights}"]) == 2
    said = capsys.readouterr().err
    assert "would be the name of a folder" in said
    assert "\x1b" not in said


def test_a_search_is_none_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--suite", "smoke", "--task", "nyuv2-semseg", "--name", "../x", "--dry-run", "--runs-dir", str(tmp_path)]
    assert search.main(words) == 2
    assert "search '../x' would be the name of a folder" in capsys.readouterr().err
