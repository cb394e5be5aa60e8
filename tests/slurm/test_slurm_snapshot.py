"""Jobs run the code of their submission, whatever happens to the checkout afterwards."""

from pathlib import Path

from slurm.snapshot import snapshot


def test_a_copy_is_made_once_and_keeps_what_was_there(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("x = 1\n")
    (package / "sub" / "module.py").write_text("y = 1\n")
    (package / "large.tar").write_text("not code")
    first = snapshot([package], into=tmp_path / "code")
    assert sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file()) == [
        "package/__init__.py",
        "package/sub/module.py",
    ]
    assert snapshot([package], into=tmp_path / "code") == first
    (package / "sub" / "module.py").write_text("y = 2\n")
    second = snapshot([package], into=tmp_path / "code")
    assert second != first
    assert (first / "package" / "sub" / "module.py").read_text() == "y = 1\n"
    assert len(list((tmp_path / "code").iterdir())) == 2
