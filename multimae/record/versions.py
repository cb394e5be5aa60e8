"""Which versions of packages are installed here."""

import platform
from collections.abc import Sequence
from importlib import metadata

IN_A_JOB = ("torch", "torchvision", "timm", "onedl-mmengine", "numpy", "pillow")
"""The packages that act inside a training."""


def versions(packages: Sequence[str] = IN_A_JOB) -> dict[str, str]:
    """Return the version of each package by name, `missing` where it is not installed."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def python_version() -> str:
    """Return Python's major and minor version."""
    major, minor, _ = platform.python_version_tuple()
    return f"{major}.{minor}"
