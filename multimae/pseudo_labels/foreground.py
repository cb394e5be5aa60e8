"""Label in this process, with a progress bar where there is somebody to see it."""

from collections.abc import Iterable
from typing import Literal

from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from multimae.console import PlainConsole, plain_console
from multimae.console import label as column
from multimae.pseudo_labels.images import list_images
from multimae.pseudo_labels.labelling import LabellingProgress, label_images
from multimae.pseudo_labels.manifest import complete, make_room
from multimae.pseudo_labels.settings import LabellingSettings

STOPPED = 130


def label(settings: LabellingSettings, *, others: Literal["refuse", "replace"] = "refuse") -> int:
    """Label all images and return the exit code: 1 where some could not be read."""
    list_images(settings.rgb_dir)  # nothing is removed on behalf of images that are not there
    for modality, source in settings.sources.items():
        make_room(
            settings.folder(modality),
            model=source.model,
            identity=settings.identity(modality),
            others=others,
        )
    screen = plain_console()
    try:
        num_broken = _watch(label_images(settings), screen=screen)
    except KeyboardInterrupt:
        screen.print("stopped; what was labelled stays, the same command goes on")
        return STOPPED
    for modality in settings.sources:
        folder = settings.folder(modality)
        screen.print(f"{complete(folder)} labels in {folder}", soft_wrap=True)
    if num_broken:
        screen.print(f"left out, as they could not be read: {num_broken} images")
    return 1 if num_broken else 0


def _watch(labelling: Iterable[LabellingProgress], *, screen: PlainConsole) -> int:
    """Show how far it is, name the images that cannot be read, return their number."""
    columns = (column("labels"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    num_broken = 0
    with ProgressBar(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        shown = bar.add_task("labels", total=None)
        for progress in labelling:
            bar.update(shown, completed=progress.done, total=progress.total)
            for message in progress.broken:
                screen.print(message, soft_wrap=True)
            num_broken += len(progress.broken)
    return num_broken
