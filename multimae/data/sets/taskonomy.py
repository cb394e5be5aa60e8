"""Taskonomy (Zamir et al., CVPR 2018): rooms of scanned buildings, 512x512, with a map for each of eight tasks."""

from multimae.data.spec import DatasetSpec

VAL_BUILDINGS = ("collierville", "corozal", "darden", "markleeville", "wiconisco")
TEST_BUILDINGS = ("ihlen", "mcdade", "muleshoe", "noxapater", "uvalda")
"""Of the tiny split; its 25 other buildings are for training."""

DOMAINS = (
    "principal_curvature", "depth_zbuffer", "edge_texture", "edge_occlusion",
    "keypoints2d", "keypoints3d", "normal", "reshading",
)  # fmt: skip

HOW_TO_GET = """\
Taskonomy is free for research, after agreeing to its terms, and is not shipped with this project.
1. From the authors' repository (StanfordVL/taskonomy) download the tiny split, 35 buildings, of these domains:
     rgb principal_curvature depth_zbuffer edge_texture edge_occlusion keypoints2d keypoints3d normal reshading
   mask_valid, from the authors of Omnidata, is optional.
2. Unpack the archives, one folder for each domain and building:
     taskonomy/{domain}/{building}/point_{p}_view_{v}_domain_{domain}.png      (mask_valid: domain_depth_zbuffer)
3. Splits: lists of images (columns building,point,view) named tiny_train.csv, tiny_val.csv and tiny_test.csv in
   taskonomy/; without a list, the buildings of the tiny split; what is in no other split is for training.
4. Pass the folder that holds taskonomy/, or taskonomy/ itself, as --data-root."""

SPEC = DatasetSpec(
    name="taskonomy",
    title="Taskonomy",
    invalid_depth=(65535,),
    modalities=("rgb", *DOMAINS),
    licence="research, non-commercial; see the data set's terms",
    how_to_get=HOW_TO_GET,
)
