"""What a pre-training makes of a few samples: nested masks, pictures of its predictions, numbers beside constants."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import default_collate
from PIL import Image
from torch import Tensor

from multimae.data.pipelines.pipeline import Example
from multimae.data.sets.nyuv2 import SPEC
from multimae.layers import Grid, unfold_patches
from multimae.pictures.budgets import apportion, make_settings, shares_among
from multimae.pictures.exploration import draw_ranks, explore, save_exploration, score_cross_modal
from multimae.pictures.sheets import SHEET_COLUMNS, cell_size
from multimae.pretraining import MultiMAEPretraining
from multimae.registry import MODELS
from tests.made.pretrained import GRID, INPUTS, SIZE, job_config, model_config
from tests.made.tinydata import write_frames

TOKENS = {"rgb": 36, "depth": 36, "semseg": 36}


def model(*, inputs: list[str] = INPUTS, outputs: list[str] = INPUTS) -> MultiMAEPretraining:
    torch.manual_seed(0)
    built = MODELS.build(model_config(inputs=inputs, outputs=outputs))
    assert isinstance(built, MultiMAEPretraining)
    return built.eval()


def example(number: int, *, names: list[str] = INPUTS, **meta: Any) -> Example:
    generator = torch.Generator().manual_seed(number)
    maps: dict[str, Tensor] = {
        "rgb": torch.randn(3, SIZE, SIZE, generator=generator),
        "depth": torch.randn(1, SIZE, SIZE, generator=generator),
        "semseg": torch.randint(0, 41, (SIZE // 4, SIZE // 4), generator=generator),
    }
    return {"inputs": {name: maps[name] for name in names}, "targets": {}, "meta": {"name": f"{number:04d}", **meta}}


def cell(index: dict[str, Any], folder: Path, *, name: str, sample: int, number: int) -> np.ndarray:
    """Cut one picture out of its sheet: 0 is the target, n + 1 the prediction under budget n."""
    (column,) = (column for column in index["columns"] if column["name"] == name)
    height, width = column["cell"]
    row, across = divmod(number, SHEET_COLUMNS)
    with Image.open(folder / column["sheets"][sample]["file"]) as image:
        pixels = np.asarray(image.convert("L" if column["kind"] == "depth" else "RGB"))
    return pixels[row * height : (row + 1) * height, across * width : (across + 1) * width]


@pytest.mark.parametrize("num_modalities", [1, 2, 3, 4, 5])
def test_shares_have_every_corner_and_the_centre(num_modalities: int) -> None:
    shares = shares_among(num_modalities)
    assert len(set(shares)) == len(shares) <= 16
    assert all(sum(own) == pytest.approx(1) for own in shares)
    for place in range(num_modalities):
        assert tuple(float(place == other) for other in range(num_modalities)) in shares
    assert (1 / num_modalities,) * num_modalities in shares


def test_a_larger_number_only_adds_tokens() -> None:
    for shares in shares_among(3):
        for smaller, larger in pairwise(apportion(number, shares=shares, sizes=[36] * 3) for number in range(109)):
            assert all(before <= after for before, after in zip(smaller, larger, strict=True))


def test_budgets_follow_the_shares_and_stop_at_what_there_is() -> None:
    settings = make_settings(TOKENS, given=list(TOKENS), num_visible_tokens=18)
    assert settings.numbers == (5, 11, 18, 36, 54, 108)
    for number, row in zip(settings.numbers, settings.places, strict=True):
        for shares, place in zip(settings.shares, row, strict=True):
            budget = settings.budgets[place]
            assert sum(budget) == min(number, 36 * sum(share > 0 for share in shares))
            if number * max(shares) <= 36:
                assert all(abs(own - number * share) < 1 for own, share in zip(budget, shares, strict=True))
    assert apportion(18, shares=(1 / 3, 1 / 3, 1 / 3), sizes=[36] * 3) == (6, 6, 6)
    assert apportion(108, shares=(0.5, 0.25, 0.25), sizes=[36] * 3) == (36, 36, 36)


def test_what_is_not_given_is_never_visible() -> None:
    settings = make_settings(TOKENS, given=["depth"], num_visible_tokens=18)
    assert settings.budgets == ((0, 5, 0), (0, 11, 0), (0, 18, 0), (0, 36, 0))


def test_ranks_are_the_same_permutations_at_every_call() -> None:
    ranks, again = (draw_ranks(TOKENS, num_samples=3) for _ in range(2))
    for name, own in ranks.items():
        assert torch.equal(own, again[name])
        assert torch.equal(own.sort(dim=1).values, torch.arange(36).expand(3, -1))
    assert not torch.equal(ranks["rgb"][0], ranks["rgb"][1])


def test_every_picture_is_what_the_model_predicts_from_what_is_visible(tmp_path: Path) -> None:
    """Each prediction is made again alone, from a mask written out token by token."""
    pretraining, examples = model(), [example(number) for number in range(2)]
    index = explore(pretraining, examples, facts=SPEC, folder=tmp_path)
    json.dumps(index)
    colours = np.array(SPEC.palette)
    for place in range(0, len(index["settings"]["budgets"]), 7):
        budget = index["settings"]["budgets"][place]
        for sample in (0, 1):
            masks = {
                name: torch.tensor([[rank >= visible for rank in index["ranks"][name][sample]]])
                for name, visible in zip(INPUTS, budget, strict=True)
            }
            inputs = default_collate([examples[sample]])["inputs"]
            made = pretraining.reconstruct(inputs, masks=masks).predictions
            picture = cell(index, tmp_path, name="semseg", sample=sample, number=place + 1)
            assert (picture == colours[made["semseg"][0].argmax(dim=0).numpy()]).all()
            near, far = index["columns"][1]["sheets"][sample]["near_far"]
            grey = 255 * ((made["depth"][0, 0].detach().numpy() - near) / (far - near)).clip(0, 1)
            picture = cell(index, tmp_path, name="depth", sample=sample, number=place + 1)
            assert np.abs(picture - grey).mean() < 5, "JPEG, no more"


def test_every_sheet_holds_every_setting(tmp_path: Path) -> None:
    index = explore(model(), [example(0)], facts=SPEC, folder=tmp_path)
    num_cells = 1 + len(index["settings"]["budgets"])
    assert [column["name"] for column in index["columns"]] == INPUTS
    for column in index["columns"]:
        height, width = column["cell"]
        with Image.open(tmp_path / column["sheets"][0]["file"]) as image:
            assert image.size == (SHEET_COLUMNS * width, -(-num_cells // SHEET_COLUMNS) * height)
    target = cell(index, tmp_path, name="semseg", sample=0, number=0)
    labels = example(0)["inputs"]["semseg"].numpy()
    assert (target == np.array([*SPEC.palette, (0, 0, 0)])[labels]).all()


def test_the_legend_names_what_is_to_be_seen(tmp_path: Path) -> None:
    """A class of a few pixels of the target is named, however many predictions there are without it."""
    one = example(0)
    one["inputs"]["semseg"].fill_(3)[0, :2] = 7
    index = explore(model(), [one], facts=SPEC, folder=tmp_path)
    names = [entry["name"] for entry in index["columns"][2]["classes"]]
    assert names.index(SPEC.classes[3]) < names.index(SPEC.classes[7])
    assert len(set(names)) == len(names) < SPEC.num_classes
    colours = {entry["name"]: entry["colour"] for entry in index["columns"][2]["classes"]}
    assert colours[SPEC.classes[7]] == "#" + bytes(SPEC.palette[7]).hex()


def test_a_modality_that_is_missing_is_predicted_without_a_target(tmp_path: Path) -> None:
    pretraining, alone = model(), example(0, names=["rgb"])
    index = explore(pretraining, [alone], facts=SPEC, folder=tmp_path)
    assert index["settings"]["given"] == ("rgb",)
    assert [column["known"] for column in index["columns"]] == [True, False, False]
    whole = default_collate([example(0)])["inputs"]
    masks = {name: torch.full((1, GRID**2), name != "rgb") for name in INPUTS}
    labels = pretraining.reconstruct(whole, masks=masks).predictions["semseg"][0].argmax(dim=0).numpy()
    last = len(index["settings"]["budgets"])
    assert (cell(index, tmp_path, name="semseg", sample=0, number=last) == np.array(SPEC.palette)[labels]).all()


def test_normalised_patches_get_the_mean_and_the_contrast_of_the_target(tmp_path: Path) -> None:
    pretraining = model(outputs=["norm_rgb", "depth"])
    index = explore(pretraining, [example(0)], facts=SPEC, folder=tmp_path)
    assert [column["output"] for column in index["columns"]] == ["norm_rgb", "depth", ""]
    # An output that is 0 everywhere says "each patch is its own mean".
    adapter: Any = pretraining.output_adapters["norm_rgb"]
    torch.nn.init.zeros_(adapter.out_proj.weight)
    index = explore(pretraining, [example(0)], facts=SPEC, folder=tmp_path)
    patches = unfold_patches(example(0)["inputs"]["rgb"][None], patch_size=16)[0].mean(dim=1).view(GRID, GRID)
    picture = cell(index, tmp_path, name="rgb", sample=0, number=1)[:, :, 0]
    expected = 255 * (patches.numpy() * 0.229 + 0.485)
    assert np.abs(picture.reshape(GRID, 16, GRID, 16).mean(axis=(1, 3)) - expected).max() < 2


@pytest.mark.parametrize(
    ("name", "grid", "patch_size", "size"),
    [
        ("rgb", Grid(6, 6), 16, (96, 96)),
        ("rgb", Grid(14, 14), 16, (112, 112)),
        ("semseg", Grid(14, 14), 16, (56, 56)),
        ("depth", Grid(32, 40), 16, (64, 80)),
    ],
)
def test_pictures_shrink_by_whole_patches(name: str, grid: Grid, patch_size: int, size: tuple[int, int]) -> None:
    assert cell_size(name, grid=grid, patch_size=patch_size) == size


def test_scores_from_one_modality_alone_are_those_of_a_plain_loop() -> None:
    """Ten lines of numpy: depth from RGB by the model, and by the one number that suits these images best."""
    pretraining, examples = model(), [example(number) for number in range(5)]
    scores = score_cross_modal(pretraining, [default_collate(examples[:2]), default_collate(examples[2:])])
    errors = []
    for one in examples:
        visible = {name: torch.full((1, GRID**2), name != "rgb") for name in INPUTS}
        made = pretraining.reconstruct(default_collate([one])["inputs"], masks=visible).predictions["depth"]
        errors.append(np.abs(made[0].detach().numpy() - one["inputs"]["depth"].numpy()).mean())
    depths = np.stack([one["inputs"]["depth"].numpy() for one in examples])
    assert scores["alone"]["rgb"]["depth"] == pytest.approx(np.mean(errors), rel=1e-5)
    # The project's constant is a median over every seventh pixel.
    assert scores["constant"]["depth"] == pytest.approx(np.abs(depths - np.median(depths)).mean(), rel=2e-2)
    assert {source: set(losses) for source, losses in scores["alone"].items()} == {
        name: set(INPUTS) - {name} for name in INPUTS
    }


def test_only_a_modality_that_tells_beats_the_best_constant() -> None:
    """Depth is 1 where RGB is, -1 where RGB is; labels are the same everywhere, so no model can tell from them."""
    pretraining = model(outputs=["depth"])
    examples = [example(0), example(1)]
    for one, value in zip(examples, (1.0, -1.0), strict=True):
        one["inputs"] |= {"rgb": torch.full((3, SIZE, SIZE), value), "depth": torch.full((1, SIZE, SIZE), value)}
        one["inputs"]["semseg"].zero_()
    batch = default_collate(examples)
    masks = {name: torch.full((2, GRID**2), name != "rgb") for name in INPUTS}
    optimizer = torch.optim.AdamW(pretraining.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        pretraining.loss(batch["inputs"], masks=masks)["loss_depth"].backward()
        optimizer.step()
    scores = score_cross_modal(pretraining, [batch])
    assert scores["constant"]["depth"] == pytest.approx(1.0, rel=1e-2)
    assert scores["alone"]["rgb"]["depth"] < 0.5
    assert scores["alone"]["semseg"]["depth"] > 0.99


def test_a_job_leaves_an_index_of_samples_that_lack_nothing(tmp_path: Path) -> None:
    root = write_frames(tmp_path / "data", num_train=1, num_test=6)
    (root / "nyuv2" / "test" / "depth" / "all" / "1001.png").unlink()
    job = ConfigDict(job_config(root, inputs=INPUTS, missing="allow"))
    save_exploration(model(), job, folder=tmp_path / "out")
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert "1001" not in index["samples"]
    assert index["cross_modal"]["num_images"] == 5
    files = [tmp_path / "out" / sheet["file"] for column in index["columns"] for sheet in column["sheets"]]
    assert all(file.is_file() for file in files)
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_without_a_complete_sample_there_is_nothing_to_show(tmp_path: Path) -> None:
    root = write_frames(tmp_path / "data", num_train=1, num_test=2)
    for path in (root / "nyuv2" / "test" / "depth" / "all").iterdir():
        path.unlink()
    save_exploration(model(), ConfigDict(job_config(root, inputs=INPUTS, missing="allow")), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
