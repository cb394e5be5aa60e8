"""`multimae data verify` prints a table or JSON, and its exit code tells of errors."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from multimae.data.dataset import OpenedDataset
from multimae.data_cli import main
from multimae.verify import command as verify_cli
from multimae.verify.check import verify
from multimae.verify.findings import Verification
from tests.made.damages import DAMAGED, cut


def test_the_command_prints_a_table_and_the_findings(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", "nyuv2", "--data-root", str(root), "--workers", "1"]
    assert main(command) == 0
    said, bar = capsys.readouterr()
    assert "0 errors, 0 warnings" in said
    assert "at most 100 samples a split" in said
    assert bar == ""
    DAMAGED["unlabelled"][0](root)
    assert main(command) == 0
    assert "warning: labels without one labelled pixel: 1 in train/semseg" in capsys.readouterr().out
    for index in range(6):
        cut(f"train/rgb/all/{index:04d}.png", keep=0.5)(root)
    assert main([*command, "--decode-all", "--hashes"]) == 3
    lines = capsys.readouterr().out.splitlines()
    [row] = [line for line in lines if "train" in line and "rgb" in line and "│" in line]
    assert row.replace("│", " ").split() == ["train", "rgb", "6", "0", "6", "6", "0"]
    assert "no hashes were compared: there is no manifest.jsonl in" in "\n".join(lines)
    start = next(
        i for i, line in enumerate(lines) if line.startswith("error: truncated or damaged files: 6 in train/rgb")
    )
    assert lines[start + 1].startswith("  train/rgb/all/0000.png: cannot be decoded as rgb")
    assert lines[start + 6] == "  ... and 1 more (all with --json)"
    assert lines[-1] == f"nyuv2 in {root}: 6 errors, 1 warnings"


def test_the_command_prints_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DAMAGED["8-bit depth"][0](root)
    assert main(["verify", "nyuv2", "--data-root", str(root.parent), "--workers", "1", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["dataset"], told["root"], told["num_errors"], told["num_warnings"]) == ("nyuv2", str(root), 1, 0)
    assert told["counts"][0] == {"split": "train", "modality": "rgb", "files": 6, "missing": 0, "decoded": 6}
    assert told["findings"][0]["severity"] == "error"
    assert told["findings"][0]["name"] == "train/depth/all/0001.png"


def test_the_command_can_be_interrupted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(opened: OpenedDataset, **settings: Any) -> Verification:
        settings["progress"] = lambda what, done, total: signal.raise_signal(signal.SIGINT) if done else None
        return verify(opened, **settings)

    monkeypatch.setattr(verify_cli, "verify", interrupted)
    assert main(["verify", "nyuv2", "--data-root", str(root), "--workers", "2"]) == 130


def test_the_command_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["verify", "nyuv3"])
    assert "no data set 'nyuv3'; did you mean nyuv2" in capsys.readouterr().err
    assert main(["verify", "nyuv2"]) == 3
    assert "pass the folder that holds nyuv2 as --data-root DIR" in capsys.readouterr().err
    assert main(["verify", "nyuv2", "--data-root", str(tmp_path / "absent")]) == 3
    assert "absent does not exist" in capsys.readouterr().err


def test_a_data_set_of_the_users_own_is_a_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = tmp_path / "three.py"
    described.write_text(
        "from dataclasses import replace\nfrom multimae.data.sets.nyuv2 import SPEC as NYUV2\n"
        "SPEC = replace(NYUV2, name='three', classes=NYUV2.classes[:3], palette=NYUV2.palette[:3])\n"
    )
    assert main(["verify", str(described), "--data-root", str(root), "--workers", "1"]) == 3
    assert "three has labels 1 to 3, and 0 for unlabelled" in capsys.readouterr().out
    described.write_text("SPEC = 3\n")
    with pytest.raises(SystemExit, match="2"):
        main(["verify", str(described), "--data-root", str(root)])
    assert "has a SPEC of type int, wanted SPEC = DatasetSpec(...)" in capsys.readouterr().err


def test_checking_loads_no_torch() -> None:
    code = "import sys; import multimae.verify.command; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
