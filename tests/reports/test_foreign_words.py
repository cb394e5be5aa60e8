"""Names and messages that look like markup, formulas or tables are text on the page and in the tables."""

import csv
import json
import re
from collections.abc import Iterator

import pytest

from reports.make import Report, make_report
from reports.pages.render import _bare, escape_latex
from reports.pages.search import trials_csv
from reports.read.search_trials import SearchRecord, TrialRecord
from tests.made.chromium import dump_dom
from tests.made.fake_suite import FakeSuite

NAMES = ("<b>x<b>", "a$b$", "$\\frac{$", "r[v2]", "[v2]", "_x", "a|b`*c*", "</script>", "ä中")
MESSAGE = "[/opt/pair.cc:545] $\\frac{$ </script><script>document.title='owned'</script> \x1b]0;x\x07"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    suite = FakeSuite(tmp_path_factory.mktemp("foreign"))
    for name in NAMES:
        for seed in (0, 1):
            suite.add(task="nyuv2-depth", checkpoint=name.replace("/", ""), inputs="rgb", seed=seed)
    failed = suite.add(task="nyuv2-depth", checkpoint="scratch", inputs="rgb", seed=0, state="data")
    ending = {"kind": "error", "message": MESSAGE, "exit_code": 1, "time": 1.0}
    (failed / "attempts" / "1" / "exit.json").write_text(json.dumps(ending))
    suite.finish()
    return make_report(suite.runs_dir, suite.suite)


def names() -> Iterator[str]:
    return (name.replace("/", "") for name in NAMES)


def test_names_are_text_in_the_browser(report: Report) -> None:
    page = dump_dom(report.html)
    assert "<title>nyuv2" in page
    assert "<b>x<b></b></b>" not in page
    for name in names():
        shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert f">{shown}</text>" in page  # in the legend of a figure
        assert f"<th>{shown}</th>" in page


def test_a_message_is_text_on_the_page(report: Report) -> None:
    page = report.html.read_text()
    assert "[/opt/pair.cc:545] $\\frac{$ &lt;/script&gt;&lt;script&gt;" in page
    assert "\x1b" not in page


def test_a_cell_of_markdown_is_one_cell(report: Report) -> None:
    rows = [line for line in report.markdown.read_text().splitlines() if line.startswith("| ")]
    columns = {len(re.split(r"(?<!\\)\|", row)) for row in rows[:3]}
    assert len(columns) == 1


@pytest.mark.parametrize(
    ("text", "markdown", "latex"),
    [
        ("a|b", r"a\|b", "a$|$b"),
        ("a\\|b", r"a\\\|b", r"a\textbackslash{}$|$b"),
        ("*a* `b` $c$ ~d~", r"\*a\* \`b\` \$c\$ \~d\~", r"{*}a{*} `b` \$c\$ \textasciitilde{}d\textasciitilde{}"),
        ("[x](y) [0.1, 0.2]", r"[x\](y) [0.1, 0.2]", "{[}x](y) {[}0.1, 0.2]"),
        ("<b> &lt;", "&lt;b> &amp;lt;", r"$<$b$>$ \&lt;"),
        ("_a_ depth_zbuffer", r"\_a\_ depth_zbuffer", r"\_a\_ depth\_zbuffer"),
        ("two\n\nlines\x1b", r"two lines\\x1b", r"two lines\textbackslash{}x1b"),
    ],
)
def test_tables_escape_what_their_language_would_read(text: str, markdown: str, latex: str) -> None:
    assert _bare(text) == markdown
    assert escape_latex(text) == latex


def test_the_trials_of_a_search_are_csv_whatever_they_chose() -> None:
    chosen = {"recipe.a,b": 'one, "two"'}
    trial = TrialRecord(
        number=0, state="complete", chosen=chosen, scores={}, values=(1.0,), diverged=False, why="", run="r", hours=0.0,
        recipe=False,
    )  # fmt: skip
    described = {"space": dict.fromkeys(chosen), "objective": ["val_miou"]}
    search = SearchRecord(described=described, trials=(trial,), repeat_hours=0.0, study=None)
    header, row = csv.reader(trials_csv(search).splitlines())
    assert dict(zip(header, row, strict=True))["recipe.a,b"] == 'one, "two"'
