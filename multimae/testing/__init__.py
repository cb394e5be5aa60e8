"""Contracts for data sets and heads: subclass one in your own test file and run pytest (`pip install pytest`).

A contract is a class of tests. A subclass names the data set or the head, and pytest runs every test on it.
"""

import pytest

# Failed assertions show their values, as they do in test files. It has to come before the modules are imported.
pytest.register_assert_rewrite("multimae.testing.datasets", "multimae.testing.heads")

from multimae.testing.datasets import DatasetContract  # noqa: E402
from multimae.testing.heads import HeadContract  # noqa: E402

__all__ = ["DatasetContract", "HeadContract"]
