"""Shapes in signatures are checked while tests run: jaxtyping rewrites the package's modules as they are imported."""

from jaxtyping import install_import_hook

install_import_hook("multimae", "beartype.beartype")
