"""Samples that lack a modality: never shown, never a target, and the rest of the batch is as without them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from multimae.data.folder import MultiModalFolder
from multimae.data.sample import DataError
from multimae.masking import MaskSampler
from multimae.pretraining import MultiMAEPretraining
from tests.made import tiny_dataset

NUM_TOKENS = {"rgb": 16, "depth": 16, "semseg": 16}
BACKBONE = {"type": "multimae.MultiMAE", "modalities": ["rgb", "depth"], "image_size": 32, "dim": 16, "depth": 1}


def pretraining(num_visible: int = 3) -> MultiMAEPretraining:
    torch.manual_seed(0)
    return MultiMAEPretraining(
        backbone={**BACKBONE, "num_heads": 2},
        outputs=["rgb", "depth"],
        decoder_dim=8,
        decoder_depth=1,
        decoder_heads=2,
        num_visible_tokens=num_visible,
    )


def inputs() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"rgb": torch.randn(3, 3, 32, 32), "depth": torch.randn(3, 1, 32, 32)}


@pytest.mark.parametrize("sampling", ["dirichlet", "uniform_subsets"])
@pytest.mark.parametrize("alphas", [0.1, 1.0, 20.0])
def test_no_token_of_a_missing_modality_is_visible(sampling, alphas: float) -> None:  # type: ignore[no-untyped-def]
    available = torch.tensor([[True, False, True], [False, True, False], [True, True, True]]).repeat(50, 1)
    masking = MaskSampler(num_visible_tokens=12, alphas=alphas, sampling=sampling)(
        NUM_TOKENS, batch_size=150, generator=torch.Generator().manual_seed(0), available=available
    )
    visible = torch.stack([(~mask).sum(dim=1) for mask in masking.split().values()], dim=1)
    assert (visible.sum(dim=1) == 12).all()
    assert not visible[~available].any()
    assert (visible[1::3, 1] == 12).all()


def test_a_full_batch_is_masked_as_if_nothing_was_said() -> None:
    drawn = [
        MaskSampler(num_visible_tokens=12)(
            NUM_TOKENS, batch_size=4, generator=torch.Generator().manual_seed(0), available=available
        )
        for available in (None, torch.ones(4, 3, dtype=torch.bool))
    ]
    assert torch.equal(drawn[0].ids_keep, drawn[1].ids_keep)


def test_a_sample_with_too_few_tokens_is_an_error() -> None:
    available = torch.tensor([[True, True, True], [True, False, False]])
    with pytest.raises(ValueError, match="has only 16 tokens"):
        MaskSampler(num_visible_tokens=20)(NUM_TOKENS, batch_size=2, available=available)


def test_what_stands_in_for_a_missing_map_changes_nothing() -> None:
    model, maps = pretraining(), inputs()
    available = {"depth": torch.tensor([True, False, True])}
    losses = []
    for filling in (0.0, 1e6):
        filled = {**maps, "depth": maps["depth"].clone()}
        filled["depth"][1] = filling
        generator = torch.Generator().manual_seed(0)
        losses.append(model.loss(filled, available=available, generator=generator))
    assert losses[0]["loss_depth"].isfinite()
    for name in losses[0]:
        assert torch.equal(losses[0][name], losses[1][name])


def test_the_loss_counts_the_samples_that_have_it() -> None:
    model, maps = pretraining(), inputs()
    available = {"depth": torch.tensor([True, False, True])}
    result = model.reconstruct(maps, available=available, generator=torch.Generator().manual_seed(0))
    loss = model.loss(maps, available=available, generator=torch.Generator().manual_seed(0))["loss_depth"]
    assert result.losses["depth"].isnan().tolist() == [False, True, False]
    torch.testing.assert_close(loss, result.losses["depth"].nanmean())


def test_a_modality_that_no_sample_has_gives_no_nan_gradient() -> None:
    model = pretraining()
    losses = model.loss(inputs(), available={"depth": torch.zeros(3, dtype=torch.bool)})
    assert losses["loss_depth"] == 0
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_given_masks_must_hide_what_is_missing() -> None:
    masks = {"rgb": torch.ones(3, 4, dtype=torch.bool), "depth": torch.ones(3, 4, dtype=torch.bool)}
    masks["depth"][:, 0] = False
    with pytest.raises(ValueError, match="show tokens of depth in samples that have none"):
        pretraining().loss(inputs(), masks=masks, available={"depth": torch.tensor([True, False, True])})


def test_a_folder_with_gaps_trains(tmp_path: Path) -> None:
    root = tiny_dataset.write(tmp_path)
    for name in ("0001", "0003"):
        (root / "nyuv2" / "train" / "depth" / "all" / f"{name}.png").unlink()
        (root / "nyuv2" / "train" / "mask_valid" / "all" / f"{name}.png").unlink()
    pipeline = {"type": "multimae.PretrainingAugmentation", "inputs": ["rgb", "depth"], "size": 32}
    settings = {"root": root, "dataset": "nyuv2", "split": "train", "modalities": ["rgb", "depth"]}
    with pytest.raises(DataError, match="depth lacks 2 of 6 names"):
        MultiModalFolder(**settings, pipeline=pipeline)  # type: ignore[arg-type]
    folder = MultiModalFolder(**settings, pipeline=pipeline, missing="allow")  # type: ignore[arg-type]
    assert len(folder) == 6
    batch = next(iter(DataLoader(folder, batch_size=6)))  # type: ignore[arg-type]
    assert batch["meta"]["available"]["rgb"].all()
    assert batch["meta"]["available"]["depth"].tolist() == [True, False, True, False, True, True]
    assert not batch["inputs"]["depth"][1].any()
    loss, _ = (model := pretraining()).parse_losses(model(**batch, mode="loss"))
    assert loss.isfinite()
