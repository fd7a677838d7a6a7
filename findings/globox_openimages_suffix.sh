#!/usr/bin/env bash
# globox finds no image of the CSV files that Open Images publishes
#
# Versions    globox 2.9.0
# Input       a line of Open Images, whose ImageID has no suffix, and its image, ImageID.jpg
# Expected    the box: Open Images names an image by its id, and its file is the id with .jpg
# Behaviour   the id itself is taken as the name of the file: FileNotFoundError. Files that globox writes have a suffix in ImageID,
#             so that it reads its own.
source "$(dirname "$0")/_run.sh"
packages globox==2.9.0 pillow==12.3.0
seen=$(observe <<'PYTHON'
from pathlib import Path

from globox import AnnotationSet
from PIL import Image

HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
Path("images").mkdir()
Image.new("RGB", (200, 100)).save("images/0001eeaf4aed83f9.jpg")
for name in ("0001eeaf4aed83f9", "0001eeaf4aed83f9.jpg"):
    Path("boxes.csv").write_text(f"{HEAD}\n{name},xclick,/m/0cmf2,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n")
    try:
        (image,) = AnnotationSet.from_openimage("boxes.csv", image_folder="images")
        print(name, "boxes", len(image.boxes))
    except FileNotFoundError as error:
        print(name, "not found", Path(error.filename).name)
PYTHON
)
verdict "0001eeaf4aed83f9 not found 0001eeaf4aed83f9
0001eeaf4aed83f9.jpg boxes 1" "$seen"
