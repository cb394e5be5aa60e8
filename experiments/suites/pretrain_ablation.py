"""What matters in the pre-training: modalities, masks, losses; each variant measured by what its weights transfer to.

`pretrain` is the paper's way; every other pre-training differs from it in one thing. Their masked losses are not
compared: the variants predict different things.
"""

from dataclasses import replace
from typing import Any

from benchmarks.nyuv2 import DEPTH, PRETRAINING, SEMSEG
from benchmarks.task import Profile
from experiments.plan.suite import SCRATCH, Pretraining, Suite, Transfer

ALL = ("rgb", "depth", "semseg")


# MAE hides three quarters of one modality, which is half of the visible tokens that the paper keeps of three.
HALF: dict[Profile, int] = {"cpu": 9, "paper": 49}
TWICE: dict[Profile, int] = {"cpu": 36, "paper": 196}


def variant(
    name: str,
    *,
    inputs: tuple[str, ...] = ALL,
    outputs: tuple[str, ...] = (),
    visible: dict[Profile, int] | None = None,
    **changes: Any,
) -> Pretraining:
    """Change one thing of the pre-training; `visible` is the number of visible tokens by profile."""
    tokens: dict[Profile, dict[str, Any]] = {
        profile: {"num_visible_tokens": number} for profile, number in (visible or {}).items()
    }
    recipes = {
        profile: replace(recipe, **changes, **tokens.get(profile, {}))
        for profile, recipe in PRETRAINING.recipes.items()
    }
    task = replace(PRETRAINING, name=f"nyuv2-{name}-pretrain", recipes=recipes)
    return Pretraining(name=name, task=task, inputs=inputs, outputs=outputs)


PRETRAININGS = (
    Pretraining(task=PRETRAINING, inputs=ALL),
    # RGB alone is MAE with this decoder: a quarter of the patches is visible.
    variant("rgb", inputs=("rgb",), visible=HALF),
    variant("rgb+depth", inputs=("rgb", "depth")),
    variant("rgb_to_all", inputs=("rgb",), outputs=ALL, visible=HALF),
    variant("all_to_rgb", outputs=("rgb",)),
    variant("alpha0.2", alphas=(0.2,)),
    variant("alpha5", alphas=(5.0,)),
    variant("uniform_subsets", sampling="uniform_subsets"),
    variant("half_visible", visible=HALF),
    variant("twice_visible", visible=TWICE),
    variant("no_norm_pix", rgb_targets="pixels"),
    variant("only_norm_pix", rgb_targets="normalised"),
    variant("uncertainty", loss_weighting="uncertainty"),
)

SUITE = Suite(
    name="pretrain-ablation",
    title="Ablation of the pre-training",
    dataset="nyuv2",
    pretrainings=PRETRAININGS,
    transfers=(Transfer(task=SEMSEG, inputs=("rgb",)), Transfer(task=DEPTH, inputs=("rgb",))),
    checkpoints=(*(pretraining.name for pretraining in PRETRAININGS), SCRATCH),
)
