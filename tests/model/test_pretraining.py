"""Masked autoencoding: outputs, losses, no NaN, no leak of hidden patches, seeded repetition, learning."""

from typing import Any

import pytest
import torch
from torch import Tensor

from multimae.layers import unfold_patches
from multimae.losses import normalise_patches
from multimae.pretraining import MultiMAEPretraining

MODALITIES = ["rgb", "depth", "semseg"]
OUTPUTS = ["rgb", "depth", "semseg", "norm_rgb"]


def tiny(*, modalities: list[str] = MODALITIES, outputs: list[str] = OUTPUTS, **changes: Any) -> MultiMAEPretraining:
    backbone = {
        "type": "multimae.MultiMAE",
        "modalities": modalities,
        "image_size": 64,
        "dim": 32,
        "depth": 2,
        "num_heads": 4,
        "num_semseg_classes": 5,
        "semseg_padding": "extra_class",
        "dim_class_emb": 6,
    }
    sizes = {"decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2, "num_visible_tokens": 12}
    return MultiMAEPretraining(backbone=backbone, outputs=outputs, **{**sizes, **changes})


def some_inputs(*, height: int = 64, width: int = 64, batch: int = 2) -> dict[str, Tensor]:
    return {
        "rgb": torch.randn(batch, 3, height, width),
        "depth": torch.randn(batch, 1, height, width),
        "semseg": torch.randint(0, 6, (batch, height // 4, width // 4)),
    }


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96)])
def test_reconstructs_every_output_at_its_own_resolution(height: int, width: int) -> None:
    reconstruction = tiny()(some_inputs(height=height, width=width))
    shapes = {name: tuple(maps.shape) for name, maps in reconstruction.predictions.items()}
    assert shapes == {
        "rgb": (2, 3, height, width),
        "depth": (2, 1, height, width),
        "semseg": (2, 5, height // 4, width // 4),
        "norm_rgb": (2, 3, height, width),
    }
    assert list(reconstruction.masking.split()) == MODALITIES


def test_losses_are_those_of_the_hidden_patches_of_the_predictions() -> None:
    model, inputs = tiny().eval(), some_inputs()
    reconstruction = model.reconstruct(inputs, generator=torch.Generator().manual_seed(0))
    losses = model.loss(inputs, generator=torch.Generator().manual_seed(0))
    masks = reconstruction.masking.split()
    patches = {name: unfold_patches(inputs[name], patch_size=16) for name in ("rgb", "depth")}
    errors = {
        "rgb": unfold_patches(reconstruction.predictions["rgb"], patch_size=16) - patches["rgb"],
        "depth": unfold_patches(reconstruction.predictions["depth"], patch_size=16) - patches["depth"],
        "norm_rgb": unfold_patches(reconstruction.predictions["norm_rgb"], patch_size=16)
        - normalise_patches(patches["rgb"]),
    }
    for name, difference in errors.items():
        power = 1 if name == "depth" else 2
        mask = masks[name.removeprefix("norm_")]
        expected = [difference[i][mask[i]].abs().pow(power).mean() for i in range(2)]
        torch.testing.assert_close(losses[f"loss_{name}"], torch.stack(expected).mean())
        torch.testing.assert_close(reconstruction.losses[name], torch.stack(expected))


def test_hidden_patches_do_not_leak_into_the_predictions() -> None:
    model, inputs = tiny().eval(), some_inputs()
    masks = {name: torch.ones(2, 16, dtype=torch.bool) for name in MODALITIES}
    masks["rgb"][:, 3] = masks["depth"][:, 7] = False
    before = model.reconstruct(inputs, masks=masks).predictions
    changed = {**inputs, "rgb": inputs["rgb"].clone(), "semseg": (inputs["semseg"] + 1) % 5}
    changed["rgb"][:, :, 16:] += 1  # patch 3 lies in the first row of patches
    for name, maps in model.reconstruct(changed, masks=masks).predictions.items():
        assert torch.equal(maps, before[name])
    changed["rgb"][:, :, :16, 48:] += 1
    assert not torch.equal(model.reconstruct(changed, masks=masks).predictions["depth"], before["depth"])


def test_a_fully_visible_modality_gives_no_nan() -> None:
    model, inputs = tiny(), some_inputs()
    masks = {name: torch.ones(2, 16, dtype=torch.bool) for name in MODALITIES}
    masks["rgb"][0] = masks["depth"][1] = False
    losses = model.loss(inputs, masks=masks)
    total(losses).backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert model.reconstruct(inputs, masks=masks).losses["rgb"].isnan().tolist() == [True, False]
    only_second = {name: maps[1:] for name, maps in inputs.items()}
    expected = model.loss(only_second, masks={name: mask[1:] for name, mask in masks.items()})
    torch.testing.assert_close(losses["loss_rgb"], expected["loss_rgb"])


def test_everything_visible_gives_zero_losses() -> None:
    losses = tiny().loss(some_inputs(), masks={name: torch.zeros(2, 16, dtype=torch.bool) for name in MODALITIES})
    total(losses).backward()
    assert all(loss == 0 for loss in losses.values())


def test_unlabelled_pixels_have_no_loss() -> None:
    model, inputs = tiny(), some_inputs()
    inputs["semseg"][:] = 5
    assert model.loss(inputs)["loss_semseg"] == 0


def test_every_trained_parameter_gets_a_gradient() -> None:
    model = tiny()
    total(model(some_inputs(), mode="loss")).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_an_output_need_not_be_an_input() -> None:
    model, inputs = tiny(modalities=["rgb"], outputs=["rgb", "depth"], num_visible_tokens=4), some_inputs()
    both = {name: inputs[name] for name in ("rgb", "depth")}
    losses = model.loss(both, generator=torch.Generator().manual_seed(0))
    reconstruction = model.reconstruct({"rgb": inputs["rgb"]}, generator=torch.Generator().manual_seed(0))
    assert set(reconstruction.losses) == {"rgb"}
    error = (reconstruction.predictions["depth"] - inputs["depth"]).abs().mean()
    torch.testing.assert_close(losses["loss_depth"], error)
    as_target = model.loss(
        {"rgb": inputs["rgb"]}, targets={"depth": inputs["depth"]}, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(as_target["loss_depth"], error)
    with pytest.raises(ValueError, match=r"no target for the outputs \['depth'\]"):
        model.loss({"rgb": inputs["rgb"]})


def test_normals_are_a_modality_like_any_other() -> None:
    model = tiny(modalities=["rgb", "normal"], outputs=["normal"])
    losses = model({"rgb": torch.randn(2, 3, 64, 64), "normal": torch.randn(2, 3, 64, 64)}, mode="loss")
    assert list(losses) == ["loss_normal"]


def test_a_step_never_asks_the_device_for_a_value() -> None:
    """Run on the meta device, which has no values: whatever would make the host wait raises there."""
    with torch.device("meta"):
        model = tiny(loss_weighting="uncertainty")
        losses = model.loss(some_inputs(), available={"depth": torch.ones(2, dtype=torch.bool)})
        weighted, _ = model.parse_losses(losses)
        weighted.backward()
    assert [loss.shape for loss in losses.values()] == [()] * len(OUTPUTS)


def test_predict_repeats_with_a_seeded_generator() -> None:
    model, inputs = tiny().eval(), some_inputs()
    first, second, third = (
        model(inputs, mode="predict", generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first.predictions["rgb"], second.predictions["rgb"])
    assert not torch.equal(first.masking.mask, third.masking.mask)


def test_trains_in_bfloat16() -> None:
    model = tiny()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(some_inputs(), mode="loss")
    total(losses).backward()
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())


def test_named_decoders_stay_in_full_precision() -> None:
    inputs, generator = some_inputs(), torch.Generator()
    torch.manual_seed(0)
    model = tiny(full_precision_outputs=["semseg"]).eval()
    seen = dict.fromkeys(OUTPUTS, torch.float16)
    for name, decoder in model.output_adapters.items():
        decoder.out_proj.register_forward_hook(lambda *args, name=name: seen.update({name: args[2].dtype}))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.reconstruct(inputs, generator=generator.manual_seed(0))
    assert seen == dict.fromkeys(OUTPUTS, torch.bfloat16) | {"semseg": torch.float32}
    with pytest.raises(ValueError, match=r"full_precision_outputs \['edges'\] are no outputs"):
        tiny(full_precision_outputs=["edges"])


def test_learns_what_is_the_same_everywhere() -> None:
    torch.manual_seed(0)
    model = tiny()
    inputs = {
        name: torch.full_like(maps, value)
        for (name, maps), value in zip(some_inputs().items(), (1, -1, 3), strict=True)
    }
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    values = []
    for _ in range(20):
        loss = total(model(inputs, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.3 * values[0]


def test_initial_weights_of_the_decoders() -> None:
    decoder = tiny(decoder_dim=64).output_adapters["rgb"]
    bound = (6 / (64 + 64)) ** 0.5
    for weight in (decoder.decoder.q.weight, decoder.decoder.kv.weight, decoder.decoder_transformer[0].attn.qkv.weight):
        assert 0.98 * bound < weight.abs().max() <= bound
    assert not decoder.mask_token.any()
    assert 0.01 < decoder.task_embeddings["depth"].std() < 0.03


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="no output 'norm_rbg'; did you mean norm_rgb"):
        tiny(outputs=["norm_rbg"])
    with pytest.raises(ValueError, match=r"got \{'rgb': \(2, 16\)\}, wanted"):
        tiny().loss(some_inputs(), masks={"rgb": torch.ones(2, 16, dtype=torch.bool)})
