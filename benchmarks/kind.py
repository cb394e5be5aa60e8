"""What a kind of task is to the driver: how its runs are asked for, rendered and judged. Free of torch.

The other half of a kind, which only jobs need, is the module of the same name in `multimae.kinds`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar

from benchmarks.recipes import Recipe, TransferRecipe
from multimae.data.spec import DatasetSpec
from multimae.tables.sizes import Size

Config = dict[str, Any]
Fit = Literal["gradient descent", "neighbours"]
USUAL_PATCH_SIZE = 16
R = TypeVar("R", bound=Recipe)
T = TypeVar("T", bound=TransferRecipe)

PROBES: Mapping[str, str] = {"linear": "probe", "knn": "neighbours"}
"""The heads that stand in for a task's own, by the recipe's `tuning`."""


@dataclass(frozen=True, kw_only=True)
class Setup(Generic[R]):
    """Everything that the config of one run depends on.

    `outputs` and `target` are empty where the run or its task names none. `num_labels` is the number of classes that
    samples are of, 0 without any.
    """

    recipe: R
    size: Size
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    target: str = ""
    head: str = ""
    head_settings: Mapping[str, Any]
    loss: str = ""
    dataset: DatasetSpec
    num_labels: int = 0
    patch_size: int = USUAL_PATCH_SIZE

    @property
    def padded(self) -> Config:
        """What a pipeline that keeps the aspect makes both sides multiples of, where that is not as usual."""
        return {"multiple_of": self.patch_size} if self.patch_size != USUAL_PATCH_SIZE else {}


class TaskKind(ABC, Generic[R]):
    """One kind of task; `KIND` in each module of `benchmarks.kinds` is one, found by the module's name.

    `recipe`: the class of its recipes. `scope`: what `--set SCOPE.FIELD=VALUE` calls all tasks like it. `modules`: the
    modules that its trainings import, its model's and its pipelines'. `wants_target`: whether a task of the kind names
    the modality it predicts. `wants_classes`: whether samples must be of classes. `takes_all_cores`: whether a run has
    a CPU for itself.
    """

    recipe: type[R]
    scope: str = "recipe"
    modules: tuple[str, ...]
    wants_head: bool = True
    wants_target: bool = False
    wants_classes: bool = False
    takes_all_cores: bool = False

    def check(self, *, task: str, kind: str, target: str, head: str, recipes: Sequence[Recipe]) -> None:
        """Raise ValueError unless a task of this kind may be described so."""
        if self.wants_target != bool(target):
            rule = "names the modality it predicts" if self.wants_target else "names no modality to predict"
            raise ValueError(f"task {task!r} has the target {target!r}; a task of kind {kind!r} {rule}")
        if self.wants_head != bool(head):
            rule = "names its head" if self.wants_head else "has no head"
            raise ValueError(f"task {task!r} has the head {head!r}; a task of kind {kind!r} {rule}")
        if wrong := [type(recipe).__name__ for recipe in recipes if not isinstance(recipe, self.recipe)]:
            wanted = self.recipe.__name__
            raise ValueError(f"task {task!r} has a {wrong[0]}; recipes of a task of kind {kind!r} are {wanted}s")

    def predicts(self, target: str) -> str:
        """Name the modality that is predicted as a map, pixel by pixel; empty where none is."""
        return target

    def truths(self, *, inputs: tuple[str, ...], outputs: tuple[str, ...], target: str) -> tuple[str, ...]:
        """Name the modalities whose files hold what is to be predicted."""
        predicted = self.predicts(target)
        return (predicted,) if predicted else ()

    def folder(self, recipe: R) -> Config:
        """Return what the kind wants of the data set beyond what all want."""
        return {}

    @abstractmethod
    def model(self, setup: Setup[R], *, backbone: Config) -> Config:
        """Return the model's config around that of its backbone."""

    @abstractmethod
    def augmentation(self, setup: Setup[R], *, common: Config) -> Config:
        """Return the pipeline of the training; `common` is what every pipeline takes."""

    @abstractmethod
    def evaluation(self, setup: Setup[R], *, common: Config, protocol: str) -> Config:
        """Return the pipeline of the evaluation under a protocol."""

    @abstractmethod
    def evaluator(self, dataset: DatasetSpec, *, protocol: str) -> Config:
        """Return the metric's config, empty where the kind's scoring needs none."""

    def is_batched(self, protocol: str) -> bool:
        """Say whether an evaluation batches its samples: targets at original resolution differ in size."""
        return True

    def ways(self, recipe: R, *, protocol: str) -> Config:
        """Return what a recipe wants of an evaluation beyond all images, each shown once and whole."""
        return {}

    def paramwise(self, recipe: R) -> Config:
        """Return what the optimizer is told about groups of parameters, empty where all are alike."""
        return {}

    def head_of(self, head: str, *, recipe: R) -> str:
        """Name the head that is trained where the task's own is `head`."""
        return head

    def missing(self, recipe: R) -> Literal["error", "allow"]:
        """Say what is done about samples that lack modalities."""
        return "error"

    def fit(self, recipe: R) -> Fit:
        """Say how a run learns; nearest neighbours look at everything once."""
        return "gradient descent"

    def selection(self, recipe: R) -> str:
        """Say which weights of a run are reported."""
        return "last"

    def new_modalities(self, recipe: R) -> tuple[str, ...]:
        """Name the inputs that what a run starts from may lack."""
        return ()


class TransferKind(TaskKind[T]):
    """A kind of task that a backbone is fine-tuned for with one head.

    `answers`: what the head makes, a map or a vector a sample. `truth`: the key of what is right among the targets of
    an example.
    """

    answers: Literal["map", "vector"] = "map"
    truth: str

    @abstractmethod
    def num_outputs(self, setup: Setup[T]) -> int:
        """Return how many numbers the head answers, of a pixel or of a sample."""

    def model(self, setup: Setup[T], *, backbone: Config) -> Config:
        # The reference decodes the RGB tokens alone; depth reaches them through the encoder's attention.
        main = ["rgb"] if "rgb" in setup.inputs else list(setup.inputs[:1])
        tuned = {"full": None, "partial": setup.recipe.num_tuned_blocks}.get(setup.recipe.tuning, 0)
        return {
            "type": "multimae.MultiMAETransfer",
            "backbone": {**backbone, "drop_path_rate": setup.recipe.drop_path_rate},
            "head": self.head(setup),
            "loss": setup.loss,
            "main_modalities": main,
            **({} if tuned is None else {"num_tuned_blocks": tuned}),
        }

    def head(self, setup: Setup[T]) -> Config:
        """Return the head's config: of a size, the fields that begin with the head's name are its own."""
        head = self.head_of(setup.head, recipe=setup.recipe)
        prefix = f"{head}_"
        own = {
            name.removeprefix(prefix): value for name, value in asdict(setup.size).items() if name.startswith(prefix)
        }
        if head == setup.head:
            own |= setup.head_settings
        elif head == "probe":
            own["output"] = self.answers
        else:
            own |= {"target": self.truth, "num_neighbours": setup.recipe.num_neighbours}
        return {"type": f"multimae.{head}", "num_outputs": self.num_outputs(setup), **own}

    def ways(self, recipe: T, *, protocol: str) -> Config:
        if protocol == "paper":
            return {"num_images": recipe.paper_num_images} if recipe.paper_num_images else {}
        chosen = {"inference": recipe.inference, "flip": recipe.flip}
        return {} if chosen == {"inference": "whole", "flip": "none"} else chosen

    def paramwise(self, recipe: T) -> Config:
        return {"layer_decay": recipe.layer_decay, "decayed_embeddings": recipe.decayed_embeddings}

    def head_of(self, head: str, *, recipe: T) -> str:
        return PROBES.get(recipe.tuning, head)

    def fit(self, recipe: T) -> Fit:
        return "neighbours" if recipe.tuning == "knn" else "gradient descent"

    def selection(self, recipe: T) -> str:
        return recipe.selection

    def new_modalities(self, recipe: T) -> tuple[str, ...]:
        return recipe.new_modalities
