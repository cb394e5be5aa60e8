"""`multimae demo IMAGE`: a page with a pre-training's predictions for an image, with sliders for the visible part."""

import argparse
import sys
import tempfile
import webbrowser
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from multimae.data.sample import DataError
from multimae.door import enter, explained
from multimae.record.files import write_text
from multimae.record.paths import CheckpointDir, RunDir, finished_in
from multimae.record.result import Result
from multimae.record.run import PRETRAINING
from multimae.record.text import tell
from reports.pages.reconstruction import Heading, Index, label, read_index, render_page
from reports.say import words

COMMAND = "python experiments/sweep.py --suite nyuv2"
PREFERRED = ("nyuv2", "rooms")


@dataclass(frozen=True, kw_only=True)
class FinishedPretraining:
    """A finished pre-training, as its folder tells; `finished` is in unix seconds."""

    directory: Path
    suite: str
    dataset: str
    size: str
    finished: float


@explained("multimae demo")
def main(argv: Sequence[str] | None = None) -> int:
    """Make the page and return the exit code: 3 where there is no pre-training, or no image in a file."""
    arguments = _parser().parse_args(argv)
    files = {"rgb": arguments.image, "depth": arguments.depth, "semseg": arguments.semseg}
    files = {name: path for name, path in files.items() if path}
    try:
        _check_there(files.values())
        pretraining = find_pretraining(arguments.runs_dir, run_dir=arguments.checkpoint)
        tell(f"{pretraining.directory}: pre-trained on {words.dataset_label(pretraining.dataset)}")
        page = make_page(pretraining, files=files)
    except DataError as error:
        tell(f"multimae demo: {error}", stream="err")
        return 3
    out: Path = arguments.out or arguments.runs_dir / "demo" / f"{_name(files)}.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, page)
    tell(out)
    if arguments.open:
        webbrowser.open(out.resolve().as_uri())
    return 0


def find_pretraining(runs_dir: Path, *, run_dir: Path | None = None) -> FinishedPretraining:
    """Return the pre-training of `run_dir`, else the newest finished one under `runs_dir`, nyuv2's on rooms first."""
    directories = [run_dir] if run_dir else list(finished_in(runs_dir))
    found = [pretraining for directory in directories if (pretraining := _read_pretraining(directory))]
    if not found:
        what = f"{run_dir} is not the run directory" if run_dir else f"under {runs_dir} there is no run directory"
        raise DataError(f"{what} of a finished pre-training; make one with\n  {COMMAND} --runs-dir {runs_dir}")
    return max(found, key=lambda one: ((one.suite, one.dataset) == PREFERRED, one.finished))


def make_page(pretraining: FinishedPretraining, *, files: Mapping[str, Path]) -> str:
    """Return the page about the modalities in `files`, or about a test frame of the pre-training's data set."""
    # Here, so that --help and what there is to say without a model do not wait for torch.
    from multimae.pictures.exploration import explore
    from reports.pages.own_images import example_of, load_pretraining, test_example

    loaded = load_pretraining(pretraining.directory)
    example = example_of(files, loaded=loaded, name=_name(files)) if files else test_example(loaded)
    with tempfile.TemporaryDirectory() as folder:
        index = explore(loaded.model, [example], facts=loaded.facts, folder=Path(folder))
        of_its_own = read_index(pretraining.directory) or {}
        index["cross_modal"] = of_its_own.get("cross_modal")
        of_what = index["samples"][0] if files else f"test frame {index['samples'][0]}"
        return render_page(index, folder=Path(folder), heading=_heading(pretraining, index=index, of_what=of_what))


def _heading(pretraining: FinishedPretraining, *, index: Index, of_what: str) -> Heading:
    facts = {
        "Pre-trained on": words.dataset_label(pretraining.dataset),
        "Model": pretraining.size,
        "Given": ", ".join(label(name) for name in index["settings"]["given"]),
        "Predicted": ", ".join(label(column["name"]) for column in index["columns"] if column["output"]),
    }
    return Heading(
        kind=pretraining.directory.name,
        title=f"What the pre-training makes of {of_what}",
        caveat=f"It knows {words.dataset_label(pretraining.dataset)} only; whatever looks different is new to it.",
        facts=facts,
    )


def _check_there(paths: Iterable[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: there is no such file")


def _read_pretraining(directory: Path) -> FinishedPretraining | None:
    result, files = Result.read(directory), RunDir(directory)
    if result is None or result.kind != PRETRAINING or not CheckpointDir(files.checkpoints).last.is_file():
        return None
    return FinishedPretraining(
        directory=directory,
        suite=result.suite,
        dataset=result.dataset,
        size=result.size,
        finished=result.finished,
    )


def _name(files: Mapping[str, Path]) -> str:
    return next((path.stem for path in files.values()), "test-frame")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="multimae demo",
        description="Make a page with a pre-training's predictions for an image; sliders choose the visible part.",
        epilog="Without any file a test frame of the pre-training's own data set is shown, in all its modalities.",
    )
    made.add_argument(
        "image", nargs="?", type=Path, metavar="IMAGE", help="a photograph of any size; its centre is used"
    )
    made.add_argument("--depth", type=Path, metavar="FILE", help="its depth, a 16-bit PNG")
    made.add_argument("--semseg", type=Path, metavar="FILE", help="its labels, as the data set stores them")
    made.add_argument(
        "--checkpoint", type=Path, metavar="RUN_DIR", help="a pre-training's run directory (default: the newest)"
    )
    made.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    made.add_argument("--out", type=Path, metavar="FILE", help="the page to write (default: <runs>/demo/<image>.html)")
    made.add_argument("--open", action="store_true", help="show it in the browser")
    return made


if __name__ == "__main__":
    sys.exit(enter(main, name="multimae demo"))
