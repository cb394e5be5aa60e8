"""Shapes in signatures are checked while tests run: jaxtyping rewrites the package's modules as they are imported."""

import sys
from collections.abc import Iterator

import pytest
from jaxtyping import install_import_hook

install_import_hook("multimae", "beartype.beartype")


@pytest.fixture(autouse=True)
def no_default_scope() -> Iterator[None]:
    """Forget the default scope that a run in this process has set: names would be looked up in it ever after."""
    yield
    if "mmengine.registry" in sys.modules:
        from mmengine.registry import DefaultScope

        DefaultScope._instance_dict.clear()
