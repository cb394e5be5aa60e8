"""What users are told when something is wrong; the test of the table does the damage and runs the command."""

from dataclasses import dataclass

VERIFY = "multimae data verify nyuv2 --data-root DATA"
PREPARE = "multimae data prepare nyuv2 --from FROM --out OUT"
PLAN = "python experiments/sweep.py --suite nyuv2 --data-root DATA --dry-run"
SWEEP = "python experiments/sweep.py --suite SUITE --data-root DATA --runs-dir RUNS --executor local"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Name the damage, the command and its exit code; `told` are lines or parts of lines, in this order."""

    wrong: str
    command: str
    code: int
    told: tuple[str, ...]


def row(wrong: str, command: str, code: int, *told: str) -> Row:
    """Return a row of the table."""
    return Row(wrong=wrong, command=command, code=code, told=told)


TABLE = (
    row(
        "no data there",
        PLAN,
        3,
        "sweep: no NYU Depth v2 data at DATA (DATA does not exist); looked for",
    ),
    row(
        "no data there",
        VERIFY,
        3,
        "multimae data: no NYU Depth v2 data at DATA (DATA does not exist); looked for",
    ),
    row(
        "misspelt suite",
        "python experiments/sweep.py --suite nyu2 --dry-run",
        2,
        "sweep: no suite 'nyu2'; did you mean nyuv2 or nyuv2-semseg? (known: ...)",
    ),
    row(
        "misspelt data set",
        "python experiments/sweep.py --suite nyuv2 --dataset nyu2 --data-root DATA --dry-run",
        2,
        "sweep: no data set 'nyu2'; did you mean nyuv2...? (known: ...)",
    ),
    row(
        "misspelt data set",
        "multimae data verify nyu2 --data-root DATA",
        2,
        "multimae data verify: error: argument NAME: no data set 'nyu2'; did you mean nyuv2 ... (known: ...)",
    ),
    row(
        "misspelt recipe key",
        "python experiments/sweep.py --suite nyuv2 --set recipe.lrr=1 --dry-run",
        2,
        "sweep: no field of TransferRecipe 'lrr'; did you mean lr? (known: ...)",
    ),
    row(
        "misspelt start",
        "python experiments/sweep.py --suite nyuv2 --checkpoints scrath --dry-run",
        2,
        "sweep: no checkpoint 'scrath'; did you mean scratch? (known: ...)",
    ),
    row(
        "misspelt modality in a suite",
        "python experiments/sweep.py --suite SUITE --data-root DATA --dry-run",
        2,
        "sweep: SUITE:6: ValueError: the inputs of nyuv2-semseg: no modality 'rgbd'; did you mean rgb? (known: ...)",
    ),
    row(
        "a sample without depth",
        PLAN,
        3,
        "sweep: modalities do not match in DATA/nyuv2/train: depth lacks 1 of 6 names: 0002. Add the files or "
        "remove the rest",
    ),
    row(
        "a sample without depth",
        VERIFY,
        3,
        "error: samples without a file of this modality: 1 in train/depth; add the files or remove the rest",
    ),
    row(
        "a photograph in a format that is not read",
        PLAN,
        3,
        "sweep: DATA/nyuv2/train/rgb/all has 1 images in a format that is not read: 0002.heic; convert them to .png",
    ),
    row(
        "a photograph in a format that is not read",
        VERIFY,
        3,
        "error: images that are not read, for which all are refused: 1 in train/rgb; see each",
        "  train/rgb/all: 1 images in a format that is not read: 0002.heic; convert them to .png",
    ),
    row(
        "a split without images",
        PLAN,
        3,
        "sweep: no images of test in DATA/nyuv2/test/rgb, DATA/nyuv2/test/depth, DATA/nyuv2/test/semseg",
    ),
    row(
        "a split without images",
        VERIFY,
        3,
        "error: folder that cannot be listed: test/rgb; samples are not known before it can",
    ),
    row(
        "folder `mask` instead of `mask_valid`",
        VERIFY,
        0,
        "warning: folder that nothing reads: train/mask; rename it if it is one of those",
        "no modality 'mask'; did you mean mask_valid? ...",
    ),
    row(
        "truncated PNG",
        VERIFY,
        3,
        "error: truncated or damaged files: 1 in train/semseg; restore them or remove their samples",
        "train/semseg/all/0002.png: cannot be decoded as semseg: ...",
    ),
    row(
        "all labels truncated, while training",
        SWEEP,
        1,
        "...: failed (data): DataError: DATA/nyuv2/train/semseg/all/...png: cannot be decoded as semseg: ...; "
        "restore the file or remove it",
    ),
    row(
        "8-bit depth",
        VERIFY,
        3,
        "error: files of another format: 1 in train/depth; write them again with the mode and bits wanted",
        "train/depth/all/0002.png: depth has image mode L, wanted one of ['I', 'I;16']",
    ),
    row(
        "depth as the reference's script writes it",
        VERIFY,
        0,
        "warning: depth that does not look like millimetres: train/depth; see whether to convert it",
        "... the unit may be 1/6553.6 m, as the reference's script for NYUv2 writes",
    ),
    row(
        "label 41 of 40 classes",
        VERIFY,
        3,
        "error: values that must not occur: 1 in train/semseg; write the files again in the codes wanted",
        "train/semseg/all/0002.png: 3072 pixels hold the values [41]; nyuv2 has labels 1 to 40, and 0 for unlabelled",
    ),
    row(
        "image larger than its labels",
        VERIFY,
        3,
        "error: samples of maps of different sizes: 1 in train; bring all of a sample to one size",
        "0002: rgb is 128x96, depth is 64x48, ...",
    ),
    row(
        "depth all 0",
        VERIFY,
        3,
        "error: depth without one valid pixel: 1 in train/depth; restore the files or remove their samples",
    ),
    row(
        "a test image among the training images",
        VERIFY,
        3,
        "error: samples that are in train, too: 1 in test; remove them from one of the splits",
    ),
    row(
        "a class that train lacks",
        "multimae data verify imagenet --data-root DATA",
        3,
        "error: samples of a class that train lacks: 3 in test; move them, or add it to train",
        "n02/0100: class 'n02'",
    ),
    row(
        "labels.csv lacks a row",
        VERIFY,
        3,
        "error: labels.csv and files do not match: 1 in train; one row name,label for every sample",
        "0002: has no row",
    ),
    row(
        "pseudo labels of other classes",
        SWEEP + " --set recipe.pseudo=semseg",
        1,
        "...: failed (data): DataError: DATA/nyuv2/train/pseudo_semseg holds labels of 1 classes, first ('0', "
        "'person'); wanted the 40 of nyuv2, first ('1', 'wall'): ...",
    ),
    row(
        "checkpoint that lacks a parameter",
        SWEEP + " --checkpoints mine=FILE",
        1,
        "...: failed (config): SettingsError: FILE lacks 1 of the model's parameters: encoder.0.attn.qkv.weight. ...",
    ),
    row(
        "a job is killed",
        SWEEP,
        0,
        "...: running",
        "...: finished",
    ),
    row(
        "published files that are not all there",
        PREPARE,
        3,
        "multimae data: FROM lacks splits.mat.",
    ),
    row(
        "disk too full to prepare",
        PREPARE,
        3,
        "multimae data: OUT has 0.00 GiB free, the 3 items still to be converted take about 0.00 GiB; make room "
        "or choose another --out",
    ),
    row(
        "preparation interrupted",
        PREPARE,
        130,
        "nyuv2: interrupted; what is converted stays in OUT, the same command goes on from there",
    ),
    row(
        "a prepared file was overwritten",
        "multimae data verify nyuv2 --data-root OUT --hashes",
        3,
        "error: files changed since they were prepared: 1 in train/depth; prepare again",
    ),
    row(
        "a prepared file is gone",
        "multimae data verify nyuv2 --data-root OUT",
        3,
        "error: prepared files that are gone: 1 in train/depth; prepare again",
    ),
)
"""DATA, FROM, OUT, RUNS and FILE are paths, SUITE is a suite of one segmentation; "..." stands for more."""
