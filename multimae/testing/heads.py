"""What every head must do, whatever it computes."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest
import torch
from torch import nn

from multimae.layers import EncoderOutput, Grid
from multimae.registry import MODELS

BATCH, DIM, NUM_OUTPUTS, NUM_LAYERS = 2, 32, 5, 4
PATCH_SIZE = 16
MODALITIES = ("rgb", "depth")
GRID = Grid(3, 2)


class HeadContract:
    """Check a head on the outputs of an encoder of two modalities, 4 blocks and 32 channels.

    A subclass sets `config`: the registered `type` and the settings, without `dim`, `num_main` and `num_outputs`, which
    are filled in. `output` says whether the head returns a map of the image's size or one vector per sample. Override
    `prepare` for a head that has to be shown data before it can predict.
    """

    config: Mapping[str, Any]
    output: Literal["map", "vector"] = "map"

    def prepare(self, head: nn.Module, encoded: EncoderOutput) -> None:
        """Make a new head ready to predict; most heads are."""

    def built(self, encoded: EncoderOutput) -> nn.Module:
        """Return the head for this encoder's output, in evaluation mode, with the same first weights every time."""
        torch.manual_seed(0)
        sizes = {"dim": DIM, "num_main": len(encoded.out_modalities), "num_outputs": NUM_OUTPUTS}
        head: nn.Module = MODELS.build({**self.config, **sizes})
        self.prepare(head, encoded)
        return head.eval()

    @pytest.mark.parametrize("main", [("rgb",), ("depth", "rgb")], ids="+".join)
    @pytest.mark.parametrize("grid", [Grid(2, 2), Grid(4, 3), Grid(1, 5)], ids=lambda grid: f"{grid[0]}x{grid[1]}")
    def test_outputs_have_the_size_of_the_image(self, grid: Grid, main: tuple[str, ...]) -> None:
        encoded = encoder_output(grid=grid, main=main)
        outputs = self.built(encoded)(encoded, image_size=image_size(grid))
        size = image_size(grid) if self.output == "map" else ()
        assert outputs.shape == (BATCH, NUM_OUTPUTS, *size)
        assert outputs.dtype == torch.float32
        assert bool(outputs.isfinite().all())

    def test_evaluation_repeats_itself(self) -> None:
        encoded = encoder_output()
        head = self.built(encoded)
        assert torch.equal(*(head(encoded, image_size=image_size(encoded.grid)) for _ in range(2)))

    def test_a_sample_does_not_depend_on_its_batch(self) -> None:
        encoded = encoder_output()
        head, size = self.built(encoded), image_size(encoded.grid)
        alone = torch.cat([head(_only(encoded, sample), image_size=size) for sample in range(BATCH)])
        torch.testing.assert_close(head(encoded, image_size=size), alone, rtol=1e-4, atol=1e-5)

    def test_weights_are_all_there_is_to_save(self) -> None:
        encoded = encoder_output()
        head, other = self.built(encoded), self.built(encoded)
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        other.load_state_dict(head.state_dict())
        size = image_size(encoded.grid)
        assert torch.equal(head(encoded, image_size=size), other(encoded, image_size=size))

    def test_gradients_reach_every_parameter_and_the_encoder(self) -> None:
        encoded = encoder_output(requires_grad=True)
        head = self.built(encoded).train()
        trained = {name: parameter for name, parameter in head.named_parameters() if parameter.requires_grad}
        if not trained:
            pytest.skip("the head has nothing to train")
        head(encoded, image_size=image_size(encoded.grid)).square().sum().backward()
        assert [name for name, parameter in trained.items() if parameter.grad is None] == []
        assert encoded.layers[-1].grad is not None


def encoder_output(
    *,
    grid: Grid = GRID,
    main: tuple[str, ...] = ("rgb",),
    requires_grad: bool = False,
) -> EncoderOutput:
    """Return random tokens, the same every time, of two modalities and a global token."""
    generator = torch.Generator().manual_seed(0)
    num_tokens = len(MODALITIES) * grid.num_tokens + 1
    layers = tuple(
        torch.randn(BATCH, num_tokens, DIM, generator=generator).requires_grad_(requires_grad)
        for _ in range(NUM_LAYERS)
    )
    return EncoderOutput(layers=layers, modalities=MODALITIES, out_modalities=main, grid=grid, num_global_tokens=1)


def image_size(grid: Grid) -> tuple[int, int]:
    """Return height and width of the image that has this many patches."""
    return PATCH_SIZE * grid.height, PATCH_SIZE * grid.width


def _only(encoded: EncoderOutput, sample: int) -> EncoderOutput:
    return EncoderOutput(
        layers=tuple(layer[sample : sample + 1] for layer in encoded.layers),
        modalities=encoded.modalities,
        out_modalities=encoded.out_modalities,
        grid=encoded.grid,
        num_global_tokens=encoded.num_global_tokens,
    )
