"""The house in a wheel: one top-level name, the drivers in a bundle, nothing that hides somebody else's package."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from multimae import cli

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "experiments", "reports", "slurm")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_adds_one_top_level_name_and_holds_what_it_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"multimae"}
    for needed in (
        "multimae/py.typed",
        "multimae/testing/heads.py",
        "multimae/rooms/rooms.tar.xz",
        "multimae/_bundle/experiments/sweep.py",
        "multimae/_bundle/experiments/suites/nyuv2.py",
        "multimae/_bundle/reports/html/page.html.j2",
        "multimae/_bundle/slurm/launcher.py",
        "multimae/_bundle/benchmarks/nyuv2.py",
        "multimae/_bundle/benchmarks/speed/driver.py",
    ):
        assert needed in names
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_the_installed_wheel_plans_a_suite_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env")}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The dependencies are those of this environment; a path file brings them without our own checkout's.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "elsewhere").mkdir()
    # Nothing of this environment: a PYTHONPATH would come before what is installed.
    env = {"MULTIMAE_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}
    planned = subprocess.run(
        [python, "-m", "multimae.cli", "sweep", "--suite", "smoke", "--dry-run", "--json"],
        cwd=tmp_path / "elsewhere",
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert planned.returncode == 0, planned.stderr
    assert '"nyuv2-semseg"' in planned.stdout
    ask = [python, "-c", "import multimae; print(multimae.__file__)"]
    where = subprocess.run(ask, cwd=tmp_path / "elsewhere", env=env, capture_output=True, text=True, check=True)
    assert Path(where.stdout.strip()).is_relative_to(site)


def test_no_file_of_the_four_folders_has_the_name_of_an_installed_package() -> None:
    installed = set(metadata.packages_distributions()) | set(sys.stdlib_module_names)
    ours = {path.stem for folder in FOLDERS for path in (ROOT / folder).glob("*.py")} - {"__init__"}
    assert not ours & installed


def test_a_script_finds_the_checkout_and_not_its_own_folder() -> None:
    script = ROOT / "experiments" / "sweep.py"
    probe = f"import runpy, sys; sys.argv = ['sweep', '--help']; sys.path[0] = {str(script.parent)!r}\n"
    probe += f"try: runpy.run_path({str(script)!r}, run_name='__main__')\n"
    probe += "finally: print('FIRST', sys.path[0])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert f"FIRST {ROOT}" in done.stdout


def test_tests_are_flat_files() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_console_command_lists_its_sub_commands_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["swep"])
    assert raised.value.code == 2
    assert "sweep" in capsys.readouterr().err
    assert cli.drivers_root() == ROOT
