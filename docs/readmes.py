"""Show the READMEs of the folders as pages of the site, with links to each other; mkdocs calls the functions here."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "multimae/README.md": "folders/multimae.md",
    "multimae/data/README.md": "conventions.md",
    "multimae/pseudo_labels/README.md": "folders/pseudo_labels.md",
    "benchmarks/README.md": "folders/benchmarks.md",
    "experiments/README.md": "folders/experiments.md",
    "experiments/LOG.md": "folders/log.md",
    "slurm/README.md": "folders/slurm.md",
    "reports/README.md": "folders/reports.md",
    "CONTRIBUTING.md": "folders/contributing.md",
    "CHANGELOG.md": "folders/changelog.md",
    "DECISIONS.md": "folders/decisions.md",
}
"""The page that shows each file; the start page is written for the site."""
ITEM = re.compile(r"(-|\d+\.) ")
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#]*)(#[^)]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page for every file that has none of its own in docs/."""
    for source, page in PAGES.items():
        if files.get_file_from_path(page) is None:
            content = (ROOT / source).read_text("utf-8")
            files.append(File.generated(config, page, content=linked(content, source=source, page=page)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Set lists off from the line before, which GitHub does not ask for but this site's Markdown does."""
    lines: list[str] = []
    fenced = False
    for line in markdown.split("\n"):
        fenced ^= line.startswith("```")
        before = lines[-1] if lines else ""
        if not fenced and ITEM.match(line) and before.strip() and not in_list(lines):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def in_list(lines: list[str]) -> bool:
    """Say whether the paragraph that the lines end in is an item of a list."""
    for line in reversed(lines):
        if not line.strip() or line.startswith(("#", "```")):
            return False
        if ITEM.match(line):
            return True
    return False


def linked(content: str, *, source: str, page: str) -> str:
    """Turn links between files of the repository into links between pages; a file without a page becomes its path."""

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        readme = path if path in PAGES else f"{path}/README.md"
        if readme not in PAGES:
            return f"{text} (`{path}`)" if text.strip("`") != path else f"`{path}`"
        return f"[{text}]({posixpath.relpath(PAGES[readme], posixpath.dirname(page))}{anchor})"

    return LINK.sub(link, content)
