"""Names that become folders: those of suites, searches and runs."""

from experiments.plan.errors import UsageError
from multimae.record.text import printable

MOST_BYTES = 200
"""File systems take 255; a digest and the names of temporary files are added to a run's."""


def require_folder_name(what: str, name: str) -> str:
    """Return a name that can be a folder's; raise UsageError for one that would lie elsewhere or cannot be shown."""
    if not name or name.startswith(".") or "/" in name or printable(name) != name or set(name) & {"\n", "\t"}:
        raise UsageError(
            f"{what} {name!r} would be the name of a folder: wanted one without a slash or control character, that "
            "does not begin with a dot"
        )
    if len(name.encode()) > MOST_BYTES:
        raise UsageError(f"{what} {name!r} would be the name of a folder: wanted at most {MOST_BYTES} bytes")
    return name
