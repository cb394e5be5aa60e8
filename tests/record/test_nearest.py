"""The sentence for an unknown name: one voice, nearest first, never pages long."""

import pytest

from multimae.record.nearest import MOST_LISTED, unknown


@pytest.mark.parametrize(
    ("name", "known", "says"),
    [
        ("nyuv3", ["smoke", "nyuv2"], "no suite 'nyuv3'; did you mean nyuv2? (known: nyuv2, smoke)"),
        ("NYUv2", ["smoke", "nyuv2"], "no suite 'NYUv2'; did you mean nyuv2? (known: nyuv2, smoke)"),
        ("nyuv", ["nyuv1", "nyuv2"], "no suite 'nyuv'; did you mean nyuv1 or nyuv2? (known: nyuv1, nyuv2)"),
        ("xyz", ["smoke", "brief"], "no suite 'xyz' (known: smoke, brief)"),
        ("xyz", [], "no suite 'xyz' (known: none)"),
    ],
)
def test_the_sentence(name: str, known: list[str], says: str) -> None:
    assert unknown("suite", name, known) == says


def test_of_hundreds_the_nearest_are_listed() -> None:
    said = unknown("model", "vit_base_399", (f"vit_base_{number}" for number in range(400)))
    assert "did you mean vit_base_399 or " in said
    assert said.count(", ") == MOST_LISTED - 1
    assert said.endswith("and 380 more)")
