"""A source that another program cuts short or writes to meanwhile: an error in words, from a process that lives on."""

import json
import os
import subprocess
import sys

import pytest

from groundswift.data_converters.file_io.mmap_json import content_of
from groundswift.errors import GroundswiftError

MANY = 6000
TURNS = [{"from": "human", "value": "What is this?"}, {"from": "gpt", "value": "A dog. " * 20}]
REGION = {"region_id": 1, "image_id": 1, "phrase": "a dog " * 20, "x": 1, "y": 1, "width": 5, "height": 5}
INSTRUCTION = {"instruction": "What?", "answer": "A dog. " * 20, "image_ids": [], "rel_ins_ids": []}
SOURCES = {  # format -> (module, options, content): some megabytes, so that a mapping would lie over many pages
    "visual-genome": ("formats.visual_genome", "VisualGenomeOptions", [{"id": n, "regions": [REGION]} for n in range(MANY)]),
    "otter": ("formats.otter", "OtterOptions", {"meta": {}, "data": {f"DC_INS_{n}": INSTRUCTION for n in range(MANY)}}),
    "llava": ("formats.llava", "LlavaOptions", [{"id": n, "conversations": TURNS} for n in range(MANY)]),
    "coco-captions": (
        "formats.coco.captions",
        "CocoCaptionsOptions",
        {
            "images": [{"id": n, "file_name": f"{n}.jpg", "width": 9, "height": 9} for n in range(MANY)],
            "annotations": [{"id": n, "image_id": n, "caption": "a dog " * 20} for n in range(MANY)],
        },
    ),
}
CODE = """
import os, sys
from groundswift.data_converters.issues import IssueLog
from groundswift.data_converters.{module} import {options}
from groundswift.data_converters.engine.convert import rows_of
from groundswift.errors import GroundswiftError

path, change = sys.argv[1:]
options = {options}(annotations=path, **({{}} if "{module}" in ("otter", "llava") else {{"check_images": False}}))
rows = rows_of(options, IssueLog("skip"))
next(rows)
os.truncate(path, 0) if change == "cut" else os.utime(path, ns=(1, 1))
try:
    list(rows)
except GroundswiftError as error:
    print(error)
"""


@pytest.mark.process
@pytest.mark.parametrize("memory", ["", "os.sysconf = lambda name: 16\n"], ids=["read", "beyond memory"])
@pytest.mark.parametrize("change", ["cut", "touched"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_changes_is_an_error_in_words(name, change, memory, tmp_path):
    module, options, content = SOURCES[name]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    code = CODE.format(module=module, options=options).replace("path, change =", f"{memory}path, change =", 1)
    done = subprocess.run([sys.executable, "-c", code, path, change], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path}: changed while being read; expected a file that does not change during the run\n"


def test_a_source_that_grows_while_it_is_read_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[1, 2]")

    class Growing:
        """The file, and a program that writes to it before it is read."""

        def __init__(self, file):
            self.fileno, self.whole = file.fileno, file.read

        def read(self):
            with open(path, "ab") as other:
                other.write(b"3")
            return self.whole()

    with open(path, "rb") as file, pytest.raises(GroundswiftError, match=r"a.json: changed while being read"):
        content_of(Growing(file), str(path))


def test_a_document_beyond_memory_is_a_mapped_copy(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(b"[1, 2]" * 100)
    with open(path, "rb") as file:
        assert isinstance(content_of(file, str(path)), bytes)
    monkeypatch.setattr(os, "sysconf", lambda name: 16)
    with open(path, "rb") as file:
        mapped = content_of(file, str(path))
    os.truncate(path, 0)
    assert not isinstance(mapped, bytes)
    assert mapped[:] == b"[1, 2]" * 100
