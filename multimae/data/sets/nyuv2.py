"""NYU Depth v2, the labelled part: 795 training and 654 test frames of indoor scenes, 640x480, 40 classes."""

from multimae.data.spec import DatasetSpec, distinct_palette

CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door",
    "window", "bookshelf", "picture", "counter", "blinds", "desk", "shelves", "curtain",
    "dresser", "pillow", "mirror", "floor mat", "clothes", "ceiling", "books", "refridgerator",
    "television", "paper", "towel", "shower curtain", "box", "whiteboard", "person", "night stand",
    "toilet", "sink", "lamp", "bathtub", "bag", "otherstructure", "otherfurniture", "otherprop",
)  # fmt: skip

HOW_TO_GET = """\
NYU Depth v2 is free for research and is not shipped with this project.
1. From the authors' page (search for "NYU Depth Dataset V2") download nyu_depth_v2_labeled.mat (2.8 GB: images, depths
   in metres, labels) and splits.mat (trainNdxs, testNdxs; 1-based), and classMapping40.mat (894 -> 40 classes).
2. multimae data prepare nyuv2 --from DIR --out nyuv2
   writes one file per frame and modality, named by its 1-based index (0001 .. 1449), 795 train and 654 test:
     nyuv2/{train,test}/rgb/all/0001.png         8-bit colour (.jpg works too)
     nyuv2/{train,test}/depth/all/0001.png       16-bit, millimetres, 0 = invalid
     nyuv2/{train,test}/semseg/all/0001.png      8-bit, 0 = unlabelled, classes 1..40
     nyuv2/{train,test}/mask_valid/all/0001.png  8-bit, 255 = valid (optional; the toolbox crop: rows 44..469, columns
                                                 40..599, counted from 0)
3. Pass the folder that holds nyuv2/, or nyuv2/ itself, as --data-root.
The reference's preparation script differs: 6553.6 units per metre, and the last folder is called `mask`."""

SPEC = DatasetSpec(
    name="nyuv2",
    title="NYU Depth v2",
    classes=CLASSES,
    palette=distinct_palette(len(CLASSES)),
    # Of the filled depth of the labelled frames, in millimetres; the reference's 2070.78 and 777.57 do not fit it.
    depth_mean_mm=2772.5,
    depth_std_mm=1391.2,
    max_depth_m=10.0,
    modalities=("rgb", "depth", "semseg"),
    licence="research use; no explicit licence",
    how_to_get=HOW_TO_GET,
    # Where the projected depth is complete, as the data set's own toolbox crops it.
    eval_crop=(44, 470, 40, 600),
)
