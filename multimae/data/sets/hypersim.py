"""Hypersim: 77,400 rendered frames of 461 indoor scenes, 1024x768, with exact depth and the 40 classes of NYUv2."""

from multimae.data.sets.nyuv2 import CLASSES
from multimae.data.spec import DatasetSpec, distinct_palette

HOW_TO_GET = """\
Hypersim is published under CC BY-SA 3.0 by its authors (repository apple/ml-hypersim) and is not shipped with this
project: 1.9 TB in all, of which the files named here are needed.
1. From the release take, of every scene, the HDR images or the previews, and depth, labels and entities:
     ai_VVV_NNN/images/scene_cam_XX_final_hdf5/frame.IIII.color.hdf5   (or scene_cam_XX_final_preview/*.tonemap.jpg)
     ai_VVV_NNN/images/scene_cam_XX_geometry_hdf5/frame.IIII.{depth_meters,semantic,render_entity_id}.hdf5
   and from the repository metadata_images_split_scene_v1.csv and metadata_camera_parameters.csv; put both beside the
   scene folders.
2. multimae data prepare hypersim --from DIR --out hypersim
   writes, for the official split,
     hypersim/{train,val,test}/{rgb,depth,semseg,mask_valid}/all/ai_VVV_NNN_cam_XX_IIII.png
   depth as 16-bit millimetres along the camera's axis, 0 invalid; classes 1..40, 0 unlabelled.
3. Pass the folder that holds hypersim/, or hypersim/ itself, as --data-root."""

SPEC = DatasetSpec(
    name="hypersim",
    title="Hypersim",
    classes=CLASSES,
    palette=distinct_palette(len(CLASSES)),
    modalities=("rgb", "depth", "semseg"),
    licence="CC BY-SA 3.0",
    how_to_get=HOW_TO_GET,
)
