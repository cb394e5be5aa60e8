"""Our children of mmengine's registries: `dict(type="multimae.MultiMAE", ...)` works from any OpenMMLab config."""

from pathlib import Path

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

from multimae.named import modules_in


def _all_in(*folders: str) -> list[str]:
    """Name every module of some folders of the package: adding one of what they hold is adding a file."""
    return [
        f"multimae.{folder.replace('/', '.')}.{name}"
        for folder in folders
        for name in modules_in(Path(__file__).parent / folder)
    ]


MODELS = Registry(
    "model",
    parent=MMENGINE_MODELS,
    scope="multimae",
    # Heads are found by their files, so that adding one is adding a file.
    locations=["multimae.backbone", "multimae.pretraining", "multimae.transfer", *_all_in("heads")],
)
DATASETS = Registry("dataset", parent=MMENGINE_DATASETS, scope="multimae", locations=["multimae.data.folder"])
TRANSFORMS = Registry(
    "transform",
    parent=MMENGINE_TRANSFORMS,
    scope="multimae",
    locations=_all_in("data/pipelines", "kinds"),
)
EVALUATORS = Registry("metric", parent=MMENGINE_METRICS, scope="multimae", locations=_all_in("evaluation", "kinds"))
LOOPS = Registry("loop", parent=MMENGINE_LOOPS, scope="multimae", locations=["multimae.engine.steps"])
PARAM_SCHEDULERS = Registry(
    "parameter scheduler", parent=MMENGINE_PARAM_SCHEDULERS, scope="multimae", locations=["multimae.engine.optim"]
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor",
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope="multimae",
    locations=["multimae.engine.optim"],
)
