"""The published checkpoints: the catalogue, and the commands `multimae weights get`, `ls` and `export`."""

import json
import re
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from multimae import cli
from multimae.cache import cache_dir
from multimae.checkpoints.catalogue import CATALOGUE, cached_path, published
from multimae.checkpoints.download import WAITS_S
from multimae.tables.modalities import MODALITIES
from tests.made.weights_mirror import BODY, TINY, Handler, Mirror, held


def test_a_checkpoint_is_exported_in_another_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from safetensors.torch import load_file

    from multimae.backbone import MultiMAE

    backbone = MultiMAE(modalities=["rgb", "depth"], image_size=32, dim=16, depth=1, num_heads=2)
    source, target = tmp_path / "ours.pth", tmp_path / "vit.safetensors"
    torch.save({"model": {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}}, source)
    assert cli.main(["weights", "export", str(source), str(target), "--layout", "timm"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(target)
    assert "left out 3 parameters that timm has no place for" in said.err
    assert torch.equal(load_file(target)["blocks.0.norm1.weight"], backbone.state_dict()["encoder.0.norm1.weight"])
    assert cli.main(["weights", "export", str(source), str(tmp_path / "vit.onnx")]) == 2
    assert "ends in '.onnx'" in capsys.readouterr().err
    assert cli.main(["weights", "export", str(tmp_path / "none.pth"), str(target)]) == 3
    assert "No such file" in capsys.readouterr().err


def test_the_catalogue_holds_the_four_published_files() -> None:
    assert set(CATALOGUE) == {"multimae-b-1600e", "multimae-b-1600e-timm", "mae-b-1600e", "mae-b-1600e-timm"}
    assert {name: checkpoint.sha256_prefix for name, checkpoint in CATALOGUE.items()} == {
        "multimae-b-1600e": "afff3f8c",
        "multimae-b-1600e-timm": "bafa5499",
        "mae-b-1600e": "c477195b",
        "mae-b-1600e-timm": "f74f3a8d",
    }
    for checkpoint in CATALOGUE.values():
        assert set(checkpoint.modalities) <= set(MODALITIES)
        assert checkpoint.file.split("_")[-1].startswith(checkpoint.format)
        assert checkpoint.licence == "CC-BY-NC 4.0"
        assert f"{checkpoint.epochs}e" in checkpoint.file
    assert published("mae-b-1600e").url == (
        "https://github.com/EPFL-VILAB/MultiMAE/releases/download/pretrained-weights/"
        "mae-b_dec512d8b_1600e_multivit-c477195b.pth"
    )


def get(name: str, *options: str) -> int:
    return cli.main(["weights", "get", name, *options])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a file small enough to serve into the catalogue, as no test can make bytes with a published digest."""
    for module in ("multimae.checkpoints.command", "multimae.checkpoints.catalogue"):
        monkeypatch.setattr(f"{module}.CATALOGUE", {**CATALOGUE, TINY.name: TINY})
    return TINY.name


def test_get_prints_the_path_alone_and_the_licence_beside_it(
    mirror: Mirror, cache: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(tiny) == 0
    said = capsys.readouterr()
    assert said.out == f"{cached_path(TINY, cache=cache)}\n"
    assert said.err == f"{TINY.file} is CC-BY-NC 4.0 (non-commercial), from https://github.com/EPFL-VILAB/MultiMAE\n"
    assert get(tiny) == 0
    said = capsys.readouterr()
    assert said.out == f"{cached_path(TINY, cache=cache)}\n"
    assert "is there already and verified" in said.err
    assert len(mirror.ranges) == 1


def test_get_to_another_folder_takes_it_from_the_cache_where_it_can(
    mirror: Mirror, cache: Path, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(tiny, "--to", str(tmp_path / "a")) == 0
    assert (tmp_path / "a" / TINY.file).read_bytes() == BODY
    assert held(cache) == []
    assert get(tiny) == 0
    assert len(mirror.ranges) == 2
    assert get(tiny, "--to", str(tmp_path / "b")) == 0
    assert (tmp_path / "b" / TINY.file).read_bytes() == BODY
    assert len(mirror.ranges) == 2
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "b" / TINY.file)


def test_a_folder_can_be_the_mirror(
    cache: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", tmp_path.as_uri())
    assert get(tiny) == 3
    assert "No such file" in capsys.readouterr().err
    (tmp_path / TINY.file).write_bytes(BODY)
    assert get(tiny) == 0
    assert cached_path(TINY, cache=cache).read_bytes() == BODY


def expect_one_sentence(capsys: pytest.CaptureFixture[str], *, path: Path, told: str) -> None:
    said = capsys.readouterr()
    assert said.out == ""
    (sentence,) = [line for line in said.err.splitlines() if "(non-commercial)" not in line]
    assert re.search(told, sentence), sentence
    assert re.search(rf"put https://\S+ at {re.escape(str(path))} by hand", sentence)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("closed", r"cannot reach 127\.0\.0\.1:\d+: Connection refused"),
        ("missing", r"/gone/\S+ answered 404 Not Found"),
        ("unknown", r"cannot reach weights\.invalid: Name or service not known"),
        ("no url", r"cannot reach weights/\S+: unknown url type"),
        ("tampered", r"gave \d+ bytes with SHA-256 \w{64}, wanted one that begins with c477195b"),
    ],
)
def test_what_cannot_be_downloaded_can_be_put_there_by_hand(
    where: str,
    told: str,
    mirror: Mirror,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if where == "closed":
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", f"http://127.0.0.1:{port}")
    elif where == "missing":
        monkeypatch.setattr(Handler, "do_GET", lambda self: self.send_error(404))
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", mirror.url + "/gone")
    elif where == "unknown":

        def not_found(*args: object, **kwargs: object) -> object:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", not_found)
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", "http://weights.invalid")
    elif where == "no url":
        monkeypatch.setenv("MULTIMAE_WEIGHTS_URL", "weights")
    before = time.monotonic()
    assert get("mae-b-1600e") == 3
    assert time.monotonic() - before < WAITS_S[0]
    assert held(cache) == []
    expect_one_sentence(capsys, path=cached_path(published("mae-b-1600e"), cache=cache), told=told)


def test_a_cache_that_cannot_be_written_is_told(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "file" / "cache"))
    assert get("mae-b-1600e") == 3
    path = cached_path(published("mae-b-1600e"), cache=cache_dir())
    expect_one_sentence(capsys, path=path, told=r"cannot write .*: Not a directory")
    assert mirror.ranges == []


def test_an_unknown_name_is_wrong_usage_and_lists_the_nearest_first(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get("mae-b-1600e-tim") == 2
    assert "did you mean mae-b-1600e-timm or " in capsys.readouterr().err
    with pytest.raises(SystemExit) as raised:
        cli.main(["weights", "fetch"])
    assert raised.value.code == 2


def test_ctrl_c_ends_without_a_traceback(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object, **kwargs: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("multimae.checkpoints.command.fetch", interrupt)
    assert get("mae-b-1600e") == 130
    assert "goes on from here" in capsys.readouterr().err


def test_ls_tells_what_there_is_and_what_is_here(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cached_path(published("mae-b-1600e"), cache=cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert cli.main(["weights", "ls", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(CATALOGUE)
    assert [name for name, entry in listed.items() if entry["cached"]] == ["mae-b-1600e"]
    assert listed["mae-b-1600e"]["path"] == str(path)
    assert listed["multimae-b-1600e"]["modalities"] == ["rgb", "depth", "semseg"]
    assert listed["multimae-b-1600e"]["url"].endswith("/multimae-b_98_rgb+-depth-semseg_1600e_multivit-afff3f8c.pth")
    assert cli.main(["weights", "ls"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in CATALOGUE)
    assert re.search(r"mae-b-1600e .* CC-BY-NC 4.0 .* yes", table)


def test_ls_in_a_process_of_its_own_is_quick_and_loads_no_torch(cache: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-X", "importtime", "-m", "multimae.cli", "weights", "ls"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "multimae-b-1600e" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "multimae.checkpoints.catalogue" in loaded
    assert not {name for name in loaded if name.split(".")[0] in ("torch", "timm", "mmengine", "numpy")}
    assert after.ru_utime - before.ru_utime < 1.0


def test_the_cache_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MULTIMAE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "multimae"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "multimae"
    monkeypatch.setenv("MULTIMAE_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
