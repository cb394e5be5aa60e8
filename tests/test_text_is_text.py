"""Words of jobs, files and users are text everywhere: what would make them anything else is found here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [path for folder in ("experiments", "reports", "slurm", "multimae") for path in (ROOT / folder).rglob("*.py")]
DOORS = ("multimae/console.py", "multimae/record/text.py")
IN_JOBS = ("multimae/engine/job.py", "multimae/pseudo_labels/job.py")
"""Their lines go into logs, not to a terminal."""
TOOLS = ("multimae/rooms/render/pack.py",)
FORBIDDEN = {
    "Console": "plain_console() of multimae/console.py",
    "TextColumn": "label() or description() of multimae/console.py",
    "from_markup": "a string",
    "print": "tell() of multimae/record/text.py",
    "Markup": "a template that escapes",
}


def offenders(path: Path) -> Iterator[str]:
    """Name the calls of a module by which words of others would reach a person as more than text."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = called(node)
            if name == "print" and isinstance(node.func, ast.Name) and not is_json(node):
                yield f"line {node.lineno}: print; use {FORBIDDEN['print']}"
            elif name in ("Console", "TextColumn", "from_markup", "Markup"):
                yield f"line {node.lineno}: {name}; use {FORBIDDEN[name]}"
            elif name == "Progress" and any(isinstance(word, ast.Constant) for word in node.args):
                yield f"line {node.lineno}: Progress with a string, which is markup; use {FORBIDDEN['TextColumn']}"


def called(node: ast.Call) -> str:
    return getattr(node.func, "id", "") or getattr(node.func, "attr", "")


def is_json(node: ast.Call) -> bool:
    """JSON escapes what a terminal would obey, as long as it keeps to ASCII."""
    first = node.args[0] if node.args else None
    if not isinstance(first, ast.Call) or called(first) not in ("dumps", "as_json"):
        return False
    return not any(word.arg == "ensure_ascii" for word in first.keywords)


def test_no_module_has_a_way_of_its_own_to_a_terminal() -> None:
    names = {path.relative_to(ROOT).as_posix(): path for path in SOURCES}
    found = {name: list(offenders(path)) for name, path in names.items() if name not in (*DOORS, *IN_JOBS, *TOOLS)}
    assert {name: some for name, some in found.items() if some} == {}


@pytest.mark.parametrize(
    "line",
    [
        "print(f'{error}')",
        "rich.console.Console()",
        "print(json.dumps(plan, ensure_ascii=False))",
        "Progress('x', BarColumn())",
        "Text.from_markup(name)",
    ],
)
def test_a_new_way_would_be_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "module.py").write_text(line)
    assert len(list(offenders(tmp_path / "module.py"))) == 1


def test_templates_escape_what_they_are_given() -> None:
    """`| safe` is for style sheets, scripts and figures, whose text is escaped as they are drawn."""
    drawn = {"row.plot", "svg", "curves[section.task]", "picture", 'include_text("style.css")'}
    drawn |= {'include_text("reconstruction.css")', 'include_text("reconstruction.js")', 'include_text("sort.js")'}
    for template in (ROOT / "reports" / "html").glob("*.j2"):
        marked = [part.rpartition("{{")[2].strip() for part in template.read_text("utf-8").split("| safe")[:-1]]
        assert set(marked) <= drawn, template.name
