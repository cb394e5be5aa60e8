"""The contracts are for outsiders: the examples of docs/contracts.md run as they stand, and faults are found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made import tiny_dataset

ROOT = Path(__file__).parents[1]
FAULTY = """
import torch
from multimae.registry import MODELS
from multimae.testing import HeadContract

@MODELS.register_module(name="forgetful")
class Forgetful(torch.nn.Module):
    def __init__(self, *, dim, num_main, num_outputs):
        super().__init__()
        self.used, self.unused = (torch.nn.Linear(dim, num_outputs) for _ in range(2))

    def forward(self, encoded, *, image_size):
        return self.used(encoded.pooled("mean"))

class TestForgetful(HeadContract):
    config = {"type": "forgetful"}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Write the page's examples as files, each named by its first line, and the data set they are about."""
    tiny_dataset.write(tmp_path / "data", num_train=24)
    (tmp_path / "data" / "nyuv2").rename(tmp_path / "data" / "kitchens")
    page = (ROOT / "docs" / "contracts.md").read_text("utf-8")
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(code.replace("/data", str(tmp_path / "data")))
    return tmp_path


def outcomes(place: Path, *files: str) -> str:
    """Run pytest on files there, as an outsider does, and return all that it prints."""
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *files]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=240).stdout


def test_the_examples_of_the_page_pass(place: Path) -> None:
    printed = outcomes(place, "test_kitchens.py", "test_point.py")
    assert re.search(r"^\d+ passed, \d+ skipped", printed, re.MULTILINE), printed
    assert "PASSED test_kitchens.py::TestKitchens::test_train_val_and_test_share_no_sample" in printed
    assert "PASSED test_point.py::TestPointHead::test_gradients_reach_every_parameter_and_the_encoder" in printed


def test_what_a_data_set_or_a_head_does_wrong_is_found(place: Path) -> None:
    (place / "data/kitchens/train/depth/all/0003.png").unlink()
    (place / "test_forgetful.py").write_text(FAULTY)
    printed = outcomes(place, "test_kitchens.py", "test_forgetful.py")
    assert "depth lacks 1 of 24 names: 0003" in printed
    assert "FAILED test_forgetful.py::TestForgetful::test_outputs_have_the_size_of_the_image[2x2-rgb]" in printed
    # The names of the parameters are shown, as pytest shows values in a test file.
    assert "Left contains 2 more items, first extra item: 'unused.weight'" in printed
    assert "PASSED test_forgetful.py::TestForgetful::test_evaluation_repeats_itself" in printed
