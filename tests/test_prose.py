"""Markdown is readable as text: lines within 120 characters, links that lead somewhere, no words that riddle."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIST = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
PAGES = sorted(subprocess.run(LIST, cwd=ROOT, capture_output=True, text=True).stdout.split())
CODE = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.ipynb", "*.j2"]
SOURCES = sorted(subprocess.run(CODE, cwd=ROOT, capture_output=True, text=True).stdout.split())
RIDDLES = re.compile(
    r"\b(of theirs|of ours|of yours|of mine|of hers|of his|mend|mends|mended|mending|unmended)\b", re.IGNORECASE
)


@pytest.mark.parametrize("page", PAGES)
def test_lines_of_markdown_have_at_most_120_characters(page: str) -> None:
    lines = (ROOT / page).read_text("utf-8").split("\n")
    assert [f"{number}: {len(line)}" for number, line in enumerate(lines, start=1) if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_of_markdown_lead_to_files(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)", (ROOT / page).read_text("utf-8"))
    # The site makes pages of READMEs (docs/readmes.py); `mkdocs build --strict` checks links to those.
    written = [link for link in links if not link.startswith("folders/") and link != "conventions.md"]
    assert [link for link in written if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("CHANGELOG.md", "DECISIONS.md")])
def test_prose_has_no_riddling_words(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert RIDDLES.findall(text) == []


def test_sources_have_no_riddling_words() -> None:
    texts = {name: (ROOT / name).read_text("utf-8") for name in SOURCES if (ROOT / name).is_file()}
    del texts["tests/test_prose.py"]
    assert {name: RIDDLES.findall(text) for name, text in texts.items() if RIDDLES.search(text)} == {}


@pytest.mark.parametrize("page", [page for page in PAGES if page.endswith("README.md")])
def test_tables_of_modules_name_files_that_exist(page: str) -> None:
    first_cells = re.findall(r"^\| (`[^|]+) \|", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    named = [name for cell in first_cells for name in re.findall(r"`([\w./-]+(?:\.py|/))`", cell)]
    assert [name for name in named if not (ROOT / page).parent.joinpath(name).exists()] == []
