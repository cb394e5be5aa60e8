"""The parity tests read every size off the files: files of other sizes, made by our own models, pass them too.

Numbers of the reference's code are in `parity/`; here is shown that nothing about those files is built into the tests.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from multimae.checkpoints.formats import to_reference
from multimae.data.transforms import standardize_depth
from multimae.engine.optim import parameter_setting
from multimae.evaluation.depth import paper_depth_scores
from multimae.losses import berhu, masked_l1, masked_mse
from multimae.masking import MaskSampler
from multimae.pretraining import MultiMAEPretraining
from multimae.transfer import MultiMAETransfer
from tests.engine import test_engine_optim
from tests.model import test_masking, test_parity

# What the files' metadata says; `image_size` is that of the position tables.
FACTS = {"heads": 4, "dec_heads": 3, "semseg_classes": 11, "image_size": 96, "hooks": [0, 2, 3, 4]}
SIZES = {"image_size": 96, "dim": 32, "depth": 5, "num_heads": 4, "num_global_tokens": 3}
ENCODER = {"type": "multimae.MultiMAE", **SIZES, "num_semseg_classes": 11, "dim_class_emb": 6}
DPT = {"type": "dpt", "hooks": FACTS["hooks"], "layer_dims": [4, 8, 12, 20], "feature_dim": 12}
HEADS: dict[str, dict[str, Any]] = {
    "head_linear": {"type": "linear"},
    "head_linear_global_token": {"type": "linear", "pool": "global"},
    "head_convnext": {"type": "convnext", "token_dim": 96, "num_sub_tokens": 4, "depth": 3},
    "head_segmenter": {"type": "segmenter", "decoder_dim": 40, "depth": 3, "num_heads": 4},
    "head_dpt_regression": {**DPT, "task": "regression"},
    "head_dpt_semseg": {**DPT, "task": "semseg"},
}


def shaken(model: nn.Module) -> Any:
    """Move parameters off their first values, where zeros and ones would hide mistakes."""
    for name, parameter in model.named_parameters():
        if not name.endswith("pos_emb"):
            parameter.data += 0.05 * torch.randn_like(parameter)
    return model.eval()


def some_inputs(*modalities: str, height: int, width: int) -> dict[str, Tensor]:
    maps = {
        "rgb": torch.randn(2, 3, height, width),
        "depth": torch.randn(2, 1, height, width),
        "semseg": torch.randint(0, 11, (2, height // 4, width // 4)),
    }
    return {name: maps[name] for name in modalities}


def write(path: Path, *, config: Mapping[str, Any], groups: Mapping[str, Mapping[str, Tensor]]) -> Path:
    tensors = {
        f"{group}/{name}".removeprefix("/"): tensor.detach().clone(memory_format=torch.contiguous_format)
        for group, named in groups.items()
        for name, tensor in named.items()
    }
    save_file(tensors, path, metadata={"config": json.dumps(config)})
    return path


def write_pretraining(path: Path, *, modalities: list[str], outputs: list[str], padding: str = "none") -> Path:
    torch.manual_seed(0)
    model: MultiMAEPretraining = shaken(
        MultiMAEPretraining(
            backbone={**ENCODER, "modalities": modalities, "semseg_padding": padding},
            outputs=outputs,
            decoder_dim=24,
            decoder_depth=3,
            decoder_heads=3,
            num_visible_tokens=21,
        )
    )
    inputs = some_inputs(*modalities, height=64, width=112)
    masking = model.reconstruct(inputs, generator=torch.Generator().manual_seed(0)).masking
    masks = masking.split()
    losses = model.loss(inputs, masks=masks)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    groups = {
        "param": to_reference(model.state_dict()),
        "input": inputs,
        "mask": {name: mask.long() for name, mask in masks.items()},
        "output": model.reconstruct(inputs, masks=masks).predictions,
        "loss": {"total": total, **{name.removeprefix("loss_"): loss for name, loss in losses.items()}},
        "grad": to_reference(gradients),
    }
    return write(path, config={**FACTS, "modalities": modalities, "outputs": outputs}, groups=groups)


@pytest.mark.parametrize("padding", ["none", "extra_class"])
def test_pretraining_of_other_sizes(tmp_path: Path, padding: str) -> None:
    path = tmp_path / "pretrain_other.safetensors"
    write_pretraining(path, modalities=["depth", "semseg", "rgb"], outputs=["norm_rgb", "semseg"], padding=padding)
    test_parity.test_reconstructions(path)
    test_parity.test_pretraining_losses_and_gradients(path)
    test_parity.test_tables_of_positions(path)


def test_encoders_of_other_sizes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = shaken(MultiMAETransfer(backbone={**ENCODER, "modalities": ["depth"]}, head=head("head_linear"), loss="l1"))
    inputs = some_inputs("depth", height=80, width=48)
    layers = model.backbone.forward_layers(inputs).layers
    groups = {
        "param": model.backbone.state_dict(),
        "input": inputs,
        "output": {f"layer{i}": layer for i, layer in enumerate(layers)},
    }
    path = write(tmp_path / "encoder_other.safetensors", config={**FACTS, "modalities": ["depth"]}, groups=groups)
    test_parity.test_tokens_after_every_block(path)


def head(kind: str) -> dict[str, Any]:
    return {"num_outputs": 9, **HEADS[kind]}


@pytest.mark.parametrize("kind", HEADS)
def test_heads_of_other_sizes(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    encoder = {**ENCODER, "modalities": ["semseg", "rgb"]}
    model = shaken(MultiMAETransfer(backbone=encoder, head=head(kind), loss="l1", main_modalities=["semseg"]))
    inputs = some_inputs("semseg", "rgb", height=96, width=64)
    groups = {
        "param": to_reference(model.state_dict(), task="y"),
        "input": inputs,
        "output": {"y": model(inputs)},
    }
    config = {**FACTS, "modalities": ["semseg", "rgb"], "head": kind}
    test_parity.test_heads(write(tmp_path / f"{kind}.safetensors", config=config, groups=groups))


def test_depth_of_other_sizes(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 1, 16, 28, generator=generator).unbind(0)
    valid = torch.rand(target.shape, generator=generator) < 0.6
    maps = 255 * torch.rand(2, 1, 20, 30, generator=generator)
    maps[..., :4] = 254
    millimetres = [500 * map_[valid].double() + 3000 for map_ in (prediction, target)]
    scores = paper_depth_scores(millimetres[0], target=millimetres[1])
    losses = {"berhu": berhu, "l1": masked_l1, "mse": masked_mse}
    groups = {
        "": {"pred": prediction, "target": target, "valid": valid},
        "standardize": {
            "input": maps,
            "output": torch.stack([standardize_depth(map_, known=map_ != 254) for map_ in maps]),
        },
        "metric": {
            **{theirs: torch.tensor(scores[ours] / unit) for ours, (theirs, unit) in test_parity.SCORES.items()},
        },
        "loss": {name: loss(prediction, target=target, valid=valid) for name, loss in losses.items()},
    }
    path = write(tmp_path / "depth_metrics.safetensors", config={"nyu_mean": 3000, "nyu_std": 500}, groups=groups)
    test_parity.test_depth_losses(path)
    test_parity.test_depth_scores(path)
    test_parity.test_standardised_depth(path)


@pytest.mark.parametrize("kind", ["head_linear", "head_convnext", "head_segmenter", "head_dpt_semseg"])
def test_optimizer_groups_of_other_sizes(tmp_path: Path, kind: str) -> None:
    model = MultiMAETransfer(backbone={**ENCODER, "modalities": ["semseg", "rgb"]}, head=head(kind), loss="l1")
    params = {
        # The reference lists a parameter with two names by the first.
        next(iter(to_reference({name: parameter}, task="y"))): vars(
            parameter_setting(name, parameter, depth=5, layer_decay=0.8, weight_decay=0.1)
        )
        for name, parameter in model.named_parameters()
        if not name.endswith("pos_emb")
    }
    frozen = [f"input_adapters.{name}.pos_emb" for name in ("semseg", "rgb")]
    config = {"depth": 5, "layer_decay": 0.8, "weight_decay": 0.1, "frozen": frozen}
    path = tmp_path / "layer_decay_groups.json"
    path.write_text(json.dumps({"config": config, "params": params}))
    test_engine_optim.test_layer_decay_groups_are_the_references(path)

    params["encoder.2.mlp.fc1.weight"]["lr_scale"] *= 0.8
    path.write_text(json.dumps({"config": config, "params": params}))
    with pytest.raises(AssertionError, match=r"encoder\.2\.mlp\.fc1\.weight"):
        test_engine_optim.test_layer_decay_groups_are_the_references(path)


@pytest.mark.parametrize("names", [["depth", "rgb"], ["rgb", "semseg", "depth", "normal"], ["rgb"]], ids=len)
def test_masks_of_other_numbers(tmp_path: Path, names: list[str]) -> None:
    stats = {}
    alphas = [0.3, [1.0 + i for i in range(len(names))]]
    for alpha, uniform in [(alphas[0], False), (alphas[1], False), (1.0, True)]:
        sample = MaskSampler(
            num_visible_tokens=13, alphas=alpha, sampling="uniform_subsets" if uniform else "dirichlet"
        )
        masking = sample(dict.fromkeys(names, 25), batch_size=8000, generator=torch.Generator().manual_seed(5))
        counts = torch.stack([(~mask).sum(dim=1) for mask in masking.split().values()], dim=1).double()
        levels = {str(level): counts[:, 0].quantile(level / 100).item() for level in (10, 50, 90)}
        stats[json.dumps({"alphas": alpha, "sample_tasks_uniformly": uniform})] = {
            "mean": counts.mean(dim=0).tolist(),
            "std": counts.std(dim=0, correction=0).tolist(),
            "share_zero": (counts == 0).double().mean(dim=0).tolist(),
            f"quantiles_{names[0]}": levels,
            "total_visible": [13, 13],
        }
    said = f"{len(names)} modalities x 25 tokens, 13 visible, 8000 samples; visible tokens per modality in order "
    path = tmp_path / "masking_statistics.json"
    path.write_text(json.dumps({"setting": said + ", ".join(names), "stats": stats}))
    test_masking.test_distribution_is_the_reference_s(path)
    if len(names) > 1:
        test_masking.test_comparison_notices_slightly_different_samplers(path)
