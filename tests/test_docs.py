"""The manual is whole: every public name, every ending of a run, every sub-command; `make docs` checks the rest."""

import importlib.util
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import multimae
from multimae.cli import COMMANDS
from multimae.record.endings import EXIT_KINDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_the_api_page_has_every_public_name_once() -> None:
    shown = re.findall(r"^::: multimae\.(\w+)$", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(multimae.__all__)


@pytest.mark.parametrize("name", multimae.__all__)
def test_public_names_and_their_public_methods_are_documented(name: str) -> None:
    public = getattr(multimae, name)
    if isinstance(public, Mapping):
        module = importlib.import_module(multimae._HOMES[name])
        assert re.search(rf'^{name}: .*?^\)\n"""\w', inspect.getsource(module), re.MULTILINE | re.DOTALL)
        return
    members = vars(public) if inspect.isclass(public) else {}
    methods = {key for key, member in members.items() if not key.startswith("_") and inspect.isfunction(member)}
    assert public.__doc__
    # torch documents `train`.
    assert {key for key in methods if not members[key].__doc__} <= {"train"}


def test_every_ending_and_every_command_is_explained() -> None:
    endings = (DOCS / "run-directory.md").read_text("utf-8")
    assert [kind for kind in EXIT_KINDS if f"`{kind}`" not in endings] == []
    commands = (DOCS / "install.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"`{name}`" not in commands] == []


def test_forms_and_citation_can_be_read() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == multimae.__version__
    assert citation["references"][0]["identifiers"][0]["value"] == "arXiv:2204.01678"
    bug = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug_report.yml").read_text("utf-8"))
    assert [field["id"] for field in bug["body"]][:2] == ["command", "exit-code"]
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    assert {"run": ".ci/run"} in workflow["jobs"]["checks-and-tests"]["steps"]


@pytest.fixture
def readmes() -> ModuleType:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("readmes", DOCS / "readmes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_between_readmes_lead_to_pages(readmes: ModuleType) -> None:
    text = "[data](../multimae/data/README.md#layout), [spec](../multimae/data/spec.py), [web](https://a.b)"
    linked = readmes.linked(text, source="slurm/README.md", page="folders/slurm.md")
    assert linked == "[data](../conventions.md#layout), spec (`multimae/data/spec.py`), [web](https://a.b)"


def test_lists_are_set_off_from_paragraphs_and_code_is_left_alone(readmes: ModuleType) -> None:
    text = "One:\n- a\n  more\n- b\n\n```\nx\n- y\n```\nTwo:\n1. c"
    assert readmes.on_page_markdown(text) == "One:\n\n- a\n  more\n- b\n\n```\nx\n- y\n```\nTwo:\n\n1. c"
