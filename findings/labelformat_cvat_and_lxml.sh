#!/usr/bin/env bash
# Once lxml is installed, labelformat can read no file that CVAT exports
#
# Versions    labelformat 0.1.17, pydantic-xml 2.22.0, lxml 6.1.3
# Input       CVAT for images 1.1 with one box; the first line is the XML declaration that CVAT writes. Read before and after lxml comes in,
#             as a dependency of Datumaro, for instance.
# Expected    the box, both times: labelformat does not use lxml
# Behaviour   pydantic-xml, under labelformat, prefers lxml where it is installed, and lxml refuses text that declares its encoding,
#             which is what labelformat gives it: ValueError. FORCE_STD_XML=1 helps.
source "$(dirname "$0")/_run.sh"
script=$(
  cat <<'PYTHON'
from pathlib import Path

from labelformat.formats import CVATObjectDetectionInput

Path("annotations.xml").write_text("""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>cat</name></label></labels></task></meta>
<image id="0" name="a.png" width="200" height="100"><box label="cat" xtl="80" ytl="40" xbr="120" ybr="60" occluded="0"/></image>
</annotations>""")
try:
    for image in CVATObjectDetectionInput(Path("annotations.xml")).get_labels():
        print(*(one.box for one in image.objects))
except ValueError as error:
    print("ValueError", "encoding declaration" in str(error))
PYTHON
)
packages labelformat==0.1.17 pydantic-xml==2.22.0
before=$(observe <<<"$script")
packages lxml==6.1.3
after=$(observe <<<"$script")
forced=$(FORCE_STD_XML=1 observe <<<"$script")
seen=$(printf 'without lxml: %s\nwith lxml: %s\nwith FORCE_STD_XML: %s' "$before" "$after" "$forced")
verdict "without lxml: BoundingBox(xmin=80.0, ymin=40.0, xmax=120.0, ymax=60.0)
with lxml: ValueError True
with FORCE_STD_XML: BoundingBox(xmin=80.0, ymin=40.0, xmax=120.0, ymax=60.0)" "$seen"
