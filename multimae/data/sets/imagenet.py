"""ImageNet-1K with pseudo labels: 1,281,167 training and 50,000 validation images, depth and COCO classes beside them.

MultiMAE pre-trains on it (section 3 of the paper). Classification needs the RGB folders alone.
"""

from multimae.data.coco import CLASSES
from multimae.data.spec import DatasetSpec, distinct_palette

HOW_TO_GET = """\
ImageNet-1K is free for research, after registration with its authors, and is not shipped with this project.
1. From image-net.org download ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz, then
     multimae data prepare imagenet --from DIR --out imagenet
   writes {train,val}/rgb/n01440764/n01440764_10026.JPEG. Folders that are unpacked already, {train,val}/n01440764/, can
   be used as they are, or linked by the same command.
2. For pre-training add pseudo labels under the same names, as .png:
     imagenet/{train,val}/depth/n01440764/n01440764_10026.png    16-bit; any unit, larger is farther
     imagenet/{train,val}/semseg/n01440764/n01440764_10026.png   8-bit, COCO classes 0..132
   The authors of MultiMAE publish theirs (links in their repository): with {train,val}/{depth_tar,semseg_tar}/ beside
   the archives the same command writes them. Or make your own:
     multimae data pseudo-label --rgb imagenet/train/rgb --out imagenet/train --prefix "" --depth MODEL --semseg MODEL
3. Pass the folder that holds imagenet/, or imagenet/ itself, as --data-root."""

SPEC = DatasetSpec(
    name="imagenet",
    title="ImageNet-1K",
    classes=CLASSES,
    palette=distinct_palette(len(CLASSES)),
    # Pseudo depth has no unit: pre-training standardises each map, so these change nothing.
    depth_mean_mm=0.0,
    depth_std_mm=1.0,
    max_depth_m=65.535,
    modalities=("rgb", "depth", "semseg"),
    licence="research, non-commercial (image-net.org); pseudo labels of the reference: CC-BY-NC 4.0",
    how_to_get=HOW_TO_GET,
    first_label=0,
)
