"""The backbone under mmsegmentation: its own decode head and loss, its own Runner, in a clean process."""

import subprocess
import sys
from pathlib import Path

PROCESS = """
import sys, warnings
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import Dataset

warnings.simplefilter("ignore")
from mmseg.structures import SegDataSample
from mmengine.structures import PixelData


class Noise(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        sample = SegDataSample(metainfo={"ori_shape": (64, 96), "img_shape": (64, 96)})
        labels = torch.randint(0, 5, (1, 64, 96), generator=generator)
        sample.gt_sem_seg = PixelData(data=labels)
        image = torch.randint(0, 256, (3, 64, 96), generator=generator, dtype=torch.uint8)
        return {"inputs": image, "data_samples": sample}


def collate(samples):
    return {key: [sample[key] for sample in samples] for key in samples[0]}


config = Config.fromfile(sys.argv[1])
loader = {"dataset": Noise(), "batch_size": 2, "num_workers": 0, "collate_fn": collate,
          "sampler": {"type": "InfiniteSampler", "shuffle": False}}
runner = Runner.from_cfg(Config({**config, "work_dir": sys.argv[2]}))
runner._train_dataloader = loader
before = {name: p.detach().clone() for name, p in runner.model.named_parameters() if p.requires_grad}
runner.train()
moved = [name for name, p in runner.model.named_parameters() if name in before and not torch.equal(p, before[name])]
assert runner.iter == 2, runner.iter
assert "backbone.encoder.0.attn.qkv.weight" in moved and "decode_head.conv_seg.weight" in moved, moved
runner.model.eval()
predictions = runner.model.test_step(collate([Noise()[0]]))
assert predictions[0].pred_sem_seg.data.shape == (1, 64, 96)
assert predictions[0].seg_logits.data.isfinite().all()

from multimae.transfer import MultiMAETransfer

settings = dict(
    backbone=dict(type="multimae.MultiMAE", modalities=["rgb"], image_size=32, dim=16, depth=1, num_heads=2),
    head=dict(type="multimae.ConvNeXtHead", num_outputs=5, token_dim=64, depth=1),
)
theirs = MultiMAETransfer(**settings, loss=dict(type="mmseg.CrossEntropyLoss", avg_non_ignore=True))
ours = MultiMAETransfer(**settings, loss="cross_entropy")
ours.load_state_dict(theirs.state_dict())
inputs, labels = {"rgb": torch.randn(2, 3, 32, 32)}, torch.randint(0, 5, (2, 32, 32))
labels[:, :9] = 255
losses = [model(inputs, targets={"semseg": labels}, mode="loss")["loss"] for model in (theirs, ours)]
torch.testing.assert_close(*losses)
"""

CONFIG = """
default_scope = "mmseg"
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="SegDataPreProcessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=False,
        pad_val=0, seg_pad_val=255, size_divisor=16, test_cfg=dict(size_divisor=16),
    ),
    backbone=dict(
        type="multimae.MultiMAE", modalities=["rgb"], image_size=64, dim=32, depth=3, num_heads=4,
        out_indices=[0, 2],
    ),
    decode_head=dict(
        type="FCNHead", in_channels=[32, 32], in_index=[0, 1], input_transform="resize_concat", channels=16,
        num_convs=1, num_classes=5, norm_cfg=dict(type="BN"), align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss"),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
train_dataloader = dict()
train_cfg = dict(type="IterBasedTrainLoop", max_iters=2)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3))
default_hooks = dict(checkpoint=None, logger=None)
log_level = "WARNING"
"""


def test_decode_head_runner_and_loss_of_mmsegmentation(tmp_path: Path) -> None:
    """Train two steps, predict, and use its loss in our transfer model; one process, as the import takes seconds."""
    config = tmp_path / "config.py"
    config.write_text(CONFIG)
    command = [sys.executable, "-c", PROCESS, str(config), str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
