"""Where each benchmark's files are in a local copy, as the dataset is distributed, and the converter that makes its questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from groundswift.data_converters.base import Options
from groundswift.data_converters.registry import FORMATS
from groundswift.errors import error_at

COCO_METRIC = "coco_map"
ODINW = {  # set -> its folder. Source: mmdetection, configs/odinw
    "AerialMaritimeDrone": "AerialMaritimeDrone/large",
    "Aquarium": "Aquarium/Aquarium Combined.v2-raw-1024.coco",
    "CottontailRabbits": "CottontailRabbits",
    "EgoHands": "EgoHands/generic",
    "NorthAmericaMushrooms": "NorthAmericaMushrooms/North American Mushrooms.v1-416x416.coco",
    "Packages": "Packages/Raw",
    "PascalVOC": "PascalVOC",
    "pistols": "pistols/export",
    "pothole": "pothole",
    "Raccoon": "Raccoon/Raccoon.v2-raw.coco",
    "ShellfishOpenImages": "ShellfishOpenImages/raw",
    "thermalDogsAndPeople": "thermalDogsAndPeople",
    "VehiclesOpenImages": "VehiclesOpenImages/416x416",
}


@dataclass(frozen=True)
class Source:
    """One subset: the converter's options, and for COCO's metric the file of the ground truth."""

    options: Options
    truth: Path | None = None


@dataclass(frozen=True)
class LocalBenchmark:
    """A benchmark: `source` takes the folder of the local copy and the name of a subset. `files`: what it needs there, for messages."""

    name: str
    title: str
    metric: str
    subsets: tuple[str, ...]
    files: str
    source: Callable[[Path, str], Source]
    macro: bool = False  # whether the number of all subsets is their plain mean


def instances(folder: Path, subset: str, places: Sequence[str], images: str) -> Source:
    """A COCO file at the first of `places` that exists, all classes asked for at once."""
    found = next((path for place in places if (path := folder / place.format(subset)).is_file()), None)
    if found is None:
        raise error_at(folder, "no annotations", " or ".join(place.format(subset) for place in places))
    return Source(FORMATS["coco"](annotations=str(found), images=str(folder / images.format(subset))), found)


def odinw(folder: Path, subset: str) -> Source:
    """One set of ODinW: the images of its `valid` that have objects."""
    return instances(folder / ODINW[subset], "valid", ["{}/annotations_without_background.json"], "{}")


def refcoco(folder: Path, subset: str, dataset: str, partition: str) -> Source:
    """One split of a RefCOCO: the phrase is given, the box is asked for."""
    source = existing(folder / dataset, f"the folder {dataset} as REFER distributes it")
    return Source(FORMATS["refcoco"](annotations=str(source), images=str(folder), split=subset, split_by=partition))


def flickr30k(folder: Path, subset: str) -> Source:
    """One split of Flickr30k Entities: the sentence is given, the boxes of its phrases are asked for."""
    source, ids = existing(folder, "Sentences/ and Annotations/"), existing(folder / f"{subset}.txt", "a list of image ids")
    images = existing(folder / "flickr30k-images", "the folder of the images")
    return Source(FORMATS["flickr30k"](annotations=str(source), images=str(images), split=str(ids), task="phrase_grounding"))


def existing(path: Path, what: str) -> Path:
    """The path. Raises GroundswiftError where there is nothing."""
    if not path.exists():
        raise error_at(path, "does not exist", what)
    return path


REFER = "{0}/instances.json and {0}/refs(...).p of REFER, train2014/"
COCO_PLACES = ("annotations/instances_{}.json",)
LVIS_PLACES = ("annotations/lvis_v1_{}.json", "lvis_v1_{}.json")
BENCHMARKS = {
    each.name: each
    for each in (
        LocalBenchmark(
            "groundswift_coco",
            "COCO detection",
            COCO_METRIC,
            ("val2017",),
            "annotations/instances_val2017.json, val2017/",
            partial(instances, places=COCO_PLACES, images="{}"),
        ),
        LocalBenchmark(
            "groundswift_lvis",
            "LVIS v1 detection",
            COCO_METRIC,
            ("val",),
            "annotations/lvis_v1_val.json, train2017/, val2017/",
            partial(instances, places=LVIS_PLACES, images=""),
        ),
        LocalBenchmark(
            "groundswift_refcoco",
            "RefCOCO",
            "referring",
            ("val", "testA", "testB"),
            REFER.format("refcoco"),
            partial(refcoco, dataset="refcoco", partition="unc"),
        ),
        LocalBenchmark(
            "groundswift_refcoco_plus",
            "RefCOCO+",
            "referring",
            ("val", "testA", "testB"),
            REFER.format("refcoco+"),
            partial(refcoco, dataset="refcoco+", partition="unc"),
        ),
        LocalBenchmark(
            "groundswift_refcocog",
            "RefCOCOg",
            "referring",
            ("val", "test"),
            REFER.format("refcocog"),
            partial(refcoco, dataset="refcocog", partition="umd"),
        ),
        LocalBenchmark(
            "groundswift_flickr30k",
            "Flickr30k Entities",
            "phrase_grounding",
            ("test",),
            "Sentences/, Annotations/, test.txt, flickr30k-images/",
            flickr30k,
        ),
        LocalBenchmark(
            "groundswift_odinw13",
            "ODinW-13",
            COCO_METRIC,
            tuple(ODINW),
            "AerialMaritimeDrone/large/valid/annotations_without_background.json, ...",
            odinw,
            macro=True,
        ),
    )
}
