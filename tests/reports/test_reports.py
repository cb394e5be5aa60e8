"""The report as a whole, made from invented run directories in every state a run can be in."""

import csv
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from reports.make import is_fresh, main, make_report
from tests.made.fake_suite import PRETRAINING, FakeSuite

ROOT = Path(__file__).parents[2]
INPUTS = {"nyuv2-semseg": ("rgb", "depth", "rgb+depth"), "nyuv2-depth": ("rgb",)}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> FakeSuite:
    """Return the first suite's 25 runs: 20 finished, the others each in a state of its own."""
    suite = FakeSuite(runs_dir=tmp_path_factory.mktemp("work") / "runs")
    suite.add(task="nyuv2-pretrain", checkpoint="scratch", inputs="rgb+depth+semseg", seed=0)
    states = {
        ("nyuv2-semseg", "pretrain", "depth", 1): "data",
        ("nyuv2-semseg", "scratch", "depth", 2): "running",
        ("nyuv2-depth", "scratch", "rgb", 1): "nan",
        ("nyuv2-depth", "pretrain", "rgb", 2): "new",
    }
    for task, choices in INPUTS.items():
        for inputs in choices:
            for checkpoint in ("pretrain", "scratch"):
                for seed in range(3):
                    state = states.get((task, checkpoint, inputs, seed), "finished")
                    suite.add(task=task, checkpoint=checkpoint, inputs=inputs, seed=seed, state=state)
    suite.finish()
    return suite


@pytest.fixture(scope="module")
def page(suite: FakeSuite) -> str:
    """Return the suite's page as text, made by a process of its own as a user would."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "reports.make", "--suite", suite.suite, "--runs-dir", str(suite.runs_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 8, "a report of 25 runs takes seconds"
    return Path(done.stdout.strip()).read_text("utf-8")


def report_dir(suite: FakeSuite) -> Path:
    return suite.runs_dir / suite.suite / "report"


def test_the_csv_agrees_with_values_computed_by_hand(suite: FakeSuite, page: str) -> None:
    with (report_dir(suite) / "table.csv").open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["task"], row["checkpoint"], row["inputs"], row["protocol"], row["metric"])
            == ("nyuv2-semseg", "pretrain", "rgb", "paper", "macc")
        ]
    values = [
        value
        for key, value in suite.values.items()
        if key.startswith("nyuv2-semseg-pretrain-rgb-s") and key.endswith("/paper/macc")
    ]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))

    (row,) = rows
    assert [float(row[name]) for name in ("mean", "low", "high")] == pytest.approx([np.mean(values), low, high])
    assert (row["n"], row["planned"], row["diverged"], row["missing"]) == ("3", "3", "0", "")


def test_a_missing_number_has_its_reason_in_every_format(suite: FakeSuite, page: str) -> None:
    for name in ("index.html", "table.md", "table.tex"):
        text = (report_dir(suite) / name).read_text("utf-8")
        assert "n = 2 of 3; 1 failed: data" in text
        assert "n = 2 of 3; 1 running" in text
        assert "n = 2 of 3; 1 diverged" in text


def test_the_parquet_holds_every_value_and_every_run(suite: FakeSuite, page: str) -> None:
    frame = pd.read_parquet(report_dir(suite) / "results.parquet")
    measured = frame[frame["checkpoint"] != "constant"].dropna(subset=["metric"])
    found = {
        f"{row.run}/{row.protocol}/{row.metric}": row.value
        for row in measured.itertuples()
        if not str(row.task).endswith("-pretrain")
    }
    assert found == suite.values
    assert set(frame["run"]) == set(suite.keys)
    unfinished = frame[frame["metric"].isna()]
    assert sorted(unfinished["status"]) == ["diverged", "failed: data", "new", "running"]
    assert unfinished["value"].isna().all()
    assert set(frame.loc[frame["metric"] == "rmse", "unit"]) == {"m"}
    assert not frame.loc[frame["metric"] == "rmse", "higher_is_better"].any()


def test_the_page_needs_nothing_but_itself(suite: FakeSuite, page: str) -> None:
    assert re.findall(r"https?://", page) == []
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    for link in links:
        assert link.startswith(("data:", "#")) or (report_dir(suite) / unquote(link)).exists(), link
    assert len(page.encode()) < 1_500_000


def test_the_page_says_rooms_and_lists_failures_first(page: str) -> None:
    assert page.count("never to be compared with published numbers") >= 3
    runs = page[page.index('<section id="runs">') :]
    assert re.findall(r'chip (\w+)"', runs)[:6] == ["failed", "diverged"] * 2 + ["running", "new"]
    assert "truncated &lt;PNG&gt;" in runs
    assert "Repair or replace the file" in runs


def test_answers_are_in_words(page: str) -> None:
    assert "pre-training helps (p = " in page
    assert "one pair of seeds: no interval, so no answer" in page
    assert "1 pair left out because a training diverged" in page


def test_latex_is_balanced_and_escaped(suite: FakeSuite, page: str) -> None:
    text = (report_dir(suite) / "table.tex").read_text("utf-8")
    assert text.isascii()
    body = re.sub(r"\\[&%$#_{}]", "", "\n".join(line for line in text.splitlines() if not line.startswith("%")))
    assert body.count("{") == body.count("}")
    assert body.count("$") % 2 == 0
    assert not re.search(r"[_#%]", body)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 5
    for tabular in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, flags=re.DOTALL):
        columns, lines = tabular
        body_lines = lines[lines.index(r"\midrule") :].splitlines()
        assert {line.count(" & ") + 1 for line in body_lines if line.endswith(r"\\")} == {len(columns)}


def test_a_sweep_that_has_only_begun_can_be_reported(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    suite.add(task="nyuv2-pretrain", checkpoint="scratch", inputs="rgb+depth+semseg", seed=0, state="data")
    suite.add(task="nyuv2-semseg", checkpoint="pretrain", inputs="rgb", seed=0, state="new")
    suite.add(task="nyuv2-semseg", checkpoint="scratch", inputs="rgb", seed=0, state="running")
    suite.keys.append("nyuv2-depth-scratch-rgb-s0-0badcafe")  # planned, its directory not made yet
    suite.finish()
    report = make_report(tmp_path, "nyuv2")
    page = report.html.read_text("utf-8")
    assert "No answer yet in 1 of 1 setting." in page
    assert f"needs {PRETRAINING} (failed: data)" in page
    assert "| pre-trained | blocked |" in report.markdown.read_text("utf-8")
    assert "nyuv2-depth-scratch-rgb-s0-0badcafe" in page


def test_a_suite_that_only_pretrains_says_so_and_shows_its_losses(tmp_path: Path) -> None:
    suite = FakeSuite(tmp_path)
    suite.add(task="nyuv2-pretrain", checkpoint="scratch", inputs="rgb+depth+semseg", seed=0)
    suite.finish()
    page = make_report(tmp_path, "nyuv2").html.read_text()
    assert "measures no transfer" in page
    assert 'id="results"' not in page
    assert "Pre-training on rgb+depth+semseg" in page
    assert "constant predictor" in page


def test_one_seed_gets_no_interval_no_bold_and_no_answer(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    for checkpoint in ("pretrain", "scratch"):
        suite.add(task="nyuv2-semseg", checkpoint=checkpoint, inputs="rgb", seed=0)
    suite.finish()
    report = make_report(tmp_path, "nyuv2")
    markdown = report.markdown.read_text("utf-8")
    assert "**" not in markdown
    assert "±" not in markdown.replace("mean ± half-width", "")
    assert "nothing is bold: a test needs" in markdown
    assert "one pair of seeds: no interval, so no answer" in report.html.read_text("utf-8")


def test_a_report_is_fresh_until_something_changes(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    run_dir = suite.add(task="nyuv2-semseg", checkpoint="scratch", inputs="rgb", seed=0)
    suite.finish()
    assert not is_fresh(tmp_path, "nyuv2")
    report = make_report(tmp_path, "nyuv2")
    assert is_fresh(tmp_path, "nyuv2")

    (run_dir / "checkpoints").mkdir()
    assert is_fresh(tmp_path, "nyuv2"), "a checkpoint is no part of a report"
    with (run_dir / "spool" / "1.jsonl").open("a") as file:
        file.write("\n")
    assert not is_fresh(tmp_path, "nyuv2")
    make_report(tmp_path, "nyuv2")
    report.latex.unlink()
    assert not is_fresh(tmp_path, "nyuv2")


def test_a_report_of_running_jobs_goes_stale_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    suite.add(task="nyuv2-semseg", checkpoint="scratch", inputs="rgb", seed=0, state="running")
    suite.finish()
    make_report(tmp_path, "nyuv2")
    assert is_fresh(tmp_path, "nyuv2")
    later = time.time() + 3600
    monkeypatch.setattr("reports.read.freshness.time.time", lambda: later)
    assert not is_fresh(tmp_path, "nyuv2")


def test_freshness_is_cheap() -> None:
    code = "import sys, reports.make; print({'pandas', 'matplotlib', 'scipy', 'numpy', 'torch'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


def test_an_unknown_suite_names_the_nearest(suite: FakeSuite, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--suite", "nyuv3", "--runs-dir", str(suite.runs_dir)]) == 2
    assert "did you mean nyuv2?" in capsys.readouterr().err


def test_two_runs_of_one_setting_and_seed_are_refused(tmp_path: Path) -> None:
    suite = FakeSuite(runs_dir=tmp_path)
    for _ in range(2):
        suite.add(task="nyuv2-semseg", checkpoint="scratch", inputs="rgb", seed=0)
    suite.finish()
    with pytest.raises(ValueError, match="a suite of its own"):
        make_report(tmp_path, "nyuv2")


def test_the_page_opens_in_a_real_browser(suite: FakeSuite, page: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    screenshot = tmp_path / "page.png"
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --window-size=1200,3000"
    )
    done = subprocess.run(
        [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={screenshot}",
         (report_dir(suite) / "index.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    with Image.open(screenshot) as opened:
        pixels = np.asarray(opened.convert("L"))
    assert pixels.shape == (3000, 1200)
    inked = (pixels < 200).mean(axis=1)
    assert (inked[:1000] > 0.002).sum() > 200, "the top of the page shows text"
    assert (inked[2000:] > 0.002).sum() > 200, "and so does what follows"
