"""ADE20K, the scene parsing benchmark (Zhou et al., CVPR 2017): 20,210 training and 2,000 validation images."""

from multimae.data.spec import DatasetSpec, distinct_palette

CLASSES = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass",
    "cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair",
    "car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field",
    "armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion",
    "base", "box", "column", "signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace",
    "refrigerator", "grandstand", "path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway",
    "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench",
    "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine",
    "hovel", "bus", "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television",
    "airplane", "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet",
    "poster", "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool",
    "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball",
    "food", "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher",
    "screen", "blanket", "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan",
    "pier", "crt screen", "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
)  # fmt: skip
"""In the order of the data set's objectInfo150, each by its first name there."""

HOW_TO_GET = """\
ADE20K is free for research and is not shipped with this project.
1. Download ADEChallengeData2016.zip (0.9 GB; the scene parsing benchmark, 150 classes) from the data set's page at MIT.
   The full data set (ADE20K_2021_17_01) has other labels and is not read.
2. Unpack it and leave it as it is (ade20k/{train,val}/{rgb,semseg}/all/ is read, too):
     ade20k/images/{training,validation}/ADE_*.jpg
     ade20k/annotations/{training,validation}/ADE_*.png   8-bit, 0 = unlabelled, classes 1..150
3. Pass the folder that holds ade20k/ (or ADEChallengeData2016/), or that folder itself, as --data-root."""

SPEC = DatasetSpec(
    name="ade20k",
    title="ADE20K",
    classes=CLASSES,
    palette=distinct_palette(len(CLASSES)),
    modalities=("rgb", "semseg"),
    licence="images: research, non-commercial; annotations: BSD-3-Clause",
    how_to_get=HOW_TO_GET,
    folders=("ade20k", "ADEChallengeData2016"),
)
