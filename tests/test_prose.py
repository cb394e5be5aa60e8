"""Markdown is readable as text: lines within 120 characters, links that lead somewhere, no words that riddle."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIST = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
PAGES = sorted(subprocess.run(LIST, cwd=ROOT, capture_output=True, text=True).stdout.split())
RIDDLES = re.compile(r"\b(of theirs|of ours|of hers|of his|mend|mends|mended|unmended)\b", re.IGNORECASE)


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
