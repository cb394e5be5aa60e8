"""Prose is readable and true: short lines, no riddling words, and every file or name that it points to exists."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import multimae

ROOT = Path(__file__).parents[1]
LONGEST_LINE = 120
WRITTEN = {".md", ".py", ".ipynb", ".yml", ".toml", ".j2", ".cff"}
REFUSED = re.compile(r"\b(mend(?:s|ed|ing|able)?|(?:of|by) (?:theirs|ours|yours|mine|hers))\b", re.IGNORECASE)
"""Say "repair", "correct" or "change"; "their fields", "our code", "your own"."""
TESTED_ROWS = {"multimae/data/README.md": "## What you are told"}
"""Sections whose rows a test reads cell by cell, so that they cannot be wrapped."""
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
NAMED_FILE = re.compile(r"`([\w./-]+(?:\.py|\.csv|\.ipynb|/))`")
ROW = re.compile(r"\| (`[^|]+`) \|")


def tracked() -> Iterator[Path]:
    """Yield the files of the repository that people write."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if Path(name).suffix in WRITTEN and (ROOT / name).is_file():
            yield Path(name)


def markdown() -> Iterator[tuple[Path, str]]:
    return ((path, (ROOT / path).read_text("utf-8")) for path in tracked() if path.suffix == ".md")


def test_lines_of_markdown_are_short() -> None:
    long = []
    for path, text in markdown():
        section = ""
        for number, line in enumerate(text.splitlines(), start=1):
            section = line if line.startswith("## ") else section
            excused = line.startswith("| ") and section == TESTED_ROWS.get(str(path))
            if len(line) > LONGEST_LINE and not excused:
                long.append(f"{path}:{number} has {len(line)} characters")
    assert not long


def test_no_riddling_words() -> None:
    found = [
        f"{path}:{number}: {word[0]}"
        for path in tracked()
        if path.name != Path(__file__).name
        for number, line in enumerate((ROOT / path).read_text("utf-8").splitlines(), start=1)
        for word in REFUSED.finditer(line)
    ]
    assert not found


def test_the_refused_words_are_seen_and_others_are_not() -> None:
    assert REFUSED.search("Mended but known")
    assert REFUSED.search("a network of theirs")
    assert not REFUSED.search("we recommend an amendment of their fields")


def test_links_of_markdown_lead_to_files() -> None:
    broken = [
        f"{path}: {target}"
        for path, text in markdown()
        for target in LINK.findall(text)
        if not (ROOT / path.parent / target).exists() and path.parts[0] != "docs"
    ]
    assert not broken  # links between pages in docs/ are checked by `make docs`


def test_tables_of_modules_name_files_that_exist() -> None:
    gone = [
        f"{path}: {name}"
        for path, text in markdown()
        if path.name == "README.md"
        for row in ROW.findall(text)
        for name in NAMED_FILE.findall(row)
        if not (ROOT / path.parent / name).exists() and name != "table.csv"  # a report's
    ]
    assert not gone


def test_every_public_name_has_a_docstring_and_a_place_in_the_api_page() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    documented = set(re.findall(r"^::: multimae\.(\w+)$", page, re.MULTILINE))
    assert documented == set(multimae.__all__)
    values = {name: getattr(multimae, name) for name in multimae.__all__}
    assert not [name for name, value in values.items() if callable(value) and not value.__doc__]
