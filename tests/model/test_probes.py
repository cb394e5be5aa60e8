"""Frozen and partial tuning, the linear probe, nearest neighbours."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from multimae.layers import EncoderOutput, Grid
from multimae.registry import MODELS
from multimae.transfer import MultiMAETransfer

BACKBONE = {"type": "multimae.MultiMAE", "modalities": ["rgb", "depth"], "image_size": 32, "dim": 16, "depth": 3}


def transfer(head: dict[str, Any], **changes: Any) -> MultiMAETransfer:
    torch.manual_seed(0)
    backbone = {**BACKBONE, "num_heads": 2, "drop_path_rate": 0.5}
    return MultiMAETransfer(backbone=backbone, head=head, loss="label_cross_entropy", **changes)


def inputs(batch: int = 6) -> dict[str, Tensor]:
    return {"rgb": torch.randn(batch, 3, 32, 32), "depth": torch.randn(batch, 1, 32, 32)}


PROBE = {"type": "multimae.probe", "num_outputs": 3, "output": "vector"}


@pytest.mark.parametrize(
    ("num_tuned_blocks", "trained"), [(None, ["input_adapters", "global_tokens", "encoder"]), (0, []), (1, ["encoder"])]
)
def test_only_what_is_tuned_changes(num_tuned_blocks: int | None, trained: list[str]) -> None:
    model = transfer(PROBE, num_tuned_blocks=num_tuned_blocks).train()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    model.loss(inputs(), targets={"label": torch.tensor([0, 1, 2, 0, 1, 2])})["loss"].backward()
    optimizer.step()
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert {name.split(".")[1] for name in changed if name.startswith("backbone.")} == set(trained)
    assert "head.linear.weight" in changed
    if num_tuned_blocks == 1:
        assert {name.split(".")[2] for name in changed if "encoder." in name} == {"2"}


def test_what_is_frozen_drops_no_paths_while_the_head_trains() -> None:
    model = transfer(PROBE, num_tuned_blocks=0).train()
    maps = inputs()
    first, second = (model.backbone.forward_layers(maps).layers[-1] for _ in range(2))
    assert torch.equal(first, second)
    assert model.head.training
    whole = transfer(PROBE).train()
    first, second = (whole.backbone.forward_layers(maps).layers[-1] for _ in range(2))
    assert not torch.equal(first, second)


def test_too_many_blocks_are_an_error() -> None:
    with pytest.raises(ValueError, match="num_tuned_blocks is 4, the encoder has 3 blocks"):
        transfer(PROBE, num_tuned_blocks=4)


def encoded(tokens: Tensor, *, side: int = 2, out: tuple[str, ...] = ("rgb",)) -> EncoderOutput:
    return EncoderOutput(
        layers=(tokens,), modalities=("rgb",), out_modalities=out, grid=Grid(side, side), num_global_tokens=1
    )


@pytest.mark.parametrize("pool", ["mean", "global"])
def test_the_linear_probe_reads_normalised_pooled_features(pool: str) -> None:
    head = MODELS.build({**PROBE, "dim": 8, "num_main": 1, "pool": pool}).train()
    tokens = torch.randn(5, 5, 8) * 3 + 1
    features = (tokens.mean(dim=1) if pool == "mean" else tokens[:, -1]).numpy()
    features = (features - features.mean(1, keepdims=True)) / np.sqrt(features.var(1, keepdims=True) + 1e-6)
    features = (features - features.mean(0)) / np.sqrt(features.var(0) + 1e-6)
    expected = features @ head.linear.weight.detach().numpy().T
    np.testing.assert_allclose(head(encoded(tokens), image_size=(32, 32)).detach(), expected, atol=1e-5)
    assert [name for name, _ in head.named_parameters()] == ["linear.weight", "linear.bias"]


def test_the_linear_probe_of_maps_is_one_layer_per_patch() -> None:
    head = MODELS.build({"type": "multimae.probe", "output": "map", "num_outputs": 3, "dim": 8, "num_main": 1}).eval()
    tokens = torch.randn(2, 5, 8)
    maps = head(encoded(tokens), image_size=(2, 2))
    normed = nn.functional.layer_norm(tokens[:, :4], (8,), eps=1e-6) / (1 + 1e-6) ** 0.5
    torch.testing.assert_close(maps.flatten(2).transpose(1, 2), head.linear(normed))


def neighbours(target: str, num_outputs: int, **changes: Any) -> Any:
    settings = {"type": "multimae.neighbours", "target": target, "num_outputs": num_outputs, "dim": 8, "num_main": 1}
    return MODELS.build({**settings, **changes}).eval()


def test_neighbours_vote_as_a_plain_loop_does() -> None:
    head = neighbours("label", 3, num_neighbours=4, temperature=0.1)
    torch.manual_seed(0)
    bank, labels, queries = torch.randn(20, 5, 8), torch.randint(0, 3, (20,)), torch.randn(6, 5, 8)
    for part in range(0, 20, 5):
        head.remember(encoded(bank[part : part + 5]), targets={"label": labels[part : part + 5]})
    answers = head(encoded(queries), image_size=(32, 32)).numpy()
    keys = bank.mean(dim=1).numpy()
    keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    for query, answer in zip(queries.mean(dim=1).numpy(), answers, strict=True):
        similarity = keys @ (query / np.linalg.norm(query))
        nearest = np.argsort(-similarity)[:4]
        weights = np.exp(similarity[nearest] / 0.1)
        votes = np.bincount(labels.numpy()[nearest], weights=weights, minlength=3)
        np.testing.assert_allclose(answer, votes / weights.sum(), atol=1e-5)


def test_patches_answer_with_the_shares_of_their_classes() -> None:
    head = neighbours("semseg", 3, num_neighbours=1)
    tokens = torch.randn(1, 5, 8)
    labels = torch.tensor([[[0, 0, 2, 2], [0, 1, 255, 2], [255, 255, 1, 1], [255, 255, 1, 1]]])
    head.remember(encoded(tokens), targets={"semseg": labels})
    assert len(head.keys) == 3  # the patch without a label is not remembered
    shares = head(encoded(tokens), image_size=(2, 2))[0]
    torch.testing.assert_close(shares[:, 0, 0], torch.tensor([0.75, 0.25, 0.0]))
    torch.testing.assert_close(shares[:, 0, 1], torch.tensor([0.0, 0.0, 1.0]))
    torch.testing.assert_close(shares[:, 1, 1], torch.tensor([0.0, 1.0, 0.0]))


def test_patches_answer_with_their_mean_depth() -> None:
    head = neighbours("depth", 1, num_neighbours=1)
    tokens, depth = torch.randn(1, 5, 8), torch.arange(16.0).view(1, 1, 4, 4)
    valid = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    valid[..., 0, 0] = False
    head.remember(encoded(tokens), targets={"depth": depth, "mask_valid": valid})
    maps = head(encoded(tokens), image_size=(2, 2))[0, 0]
    torch.testing.assert_close(maps, torch.tensor([[10 / 3, 4.5], [10.5, 12.5]]))


def test_a_full_memory_keeps_a_fair_sample_and_always_the_same() -> None:
    kept = []
    for _ in range(2):
        head = neighbours("label", 2, max_features=50)
        for part in range(10):
            tokens = torch.full((20, 5, 8), float(part + 1)) + torch.arange(8.0) * part
            head.remember(encoded(tokens), targets={"label": torch.full((20,), part % 2)})
        kept.append(head.values[:, 1].sum().item())
    assert kept[0] == kept[1]
    assert len(head.keys) == 50
    assert 10 < kept[0] < 40


def test_asking_before_showing_anything_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="call remember"):
        neighbours("label", 2)(encoded(torch.randn(1, 5, 8)), image_size=(32, 32))
