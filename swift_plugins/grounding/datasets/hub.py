"""Datasets of the hubs under names: those that users of swift 2.x know, and those whose answers can be evaluated by id.

`--dataset NAME[:split/split][#N]`; a name has the splits of its table row unless others are given. What is on Hugging Face alone wants
`hf::NAME` or `--use_hf true`. Rows are made by the converters' own code; embedded images stay bytes, and no file of them is
written. Rows with problems are dropped, counted and logged.

GROUNDSWIFT_HUB names a folder that is searched first: OWNER/NAME/ holds a copy of a dataset as on the hub (with or without its
README.md), media/coco2014/ and media/video_chatgpt/ the images and videos that swift would download, unpacked.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

import msgspec
from datasets import ClassLabel, Dataset, Image, IterableDataset
from swift.dataset import DatasetMeta
from swift.dataset.dataset.mllm import CocoPreprocessor
from swift.dataset.dataset_meta import SubsetDataset
from swift.dataset.loader import DatasetLoader
from swift.dataset.media import MediaResource

from groundswift import __version__
from groundswift.data_converters.base import Make
from groundswift.data_converters.file_io.box_checks import ImageFolder
from groundswift.data_converters.file_io.embedded_images import embedded_size_wh
from groundswift.data_converters.formats.refcoco.hub import ROWS as HUB_ROWS
from groundswift.data_converters.formats.refcoco.hub import HubMaker
from groundswift.data_converters.formats.video_chatgpt import VideoMaker, VideoRow
from groundswift.data_converters.issues import Issue, IssueLog
from groundswift.data_converters.tasks.referring import plain_referring
from groundswift.errors import GroundswiftError, error_at
from groundswift.records import Row
from groundswift.swift_plugins.grounding.datasets.hub_rows import HubCocoRow, HubTextRow, detection_maker, text_maker, typed

from .arrow_table import EmbeddedImage, columns_of
from .named import RowLoader, log_skipped

MIRROR = "GROUNDSWIFT_HUB"
VIDEOS = "https://modelscope.cn/datasets/swift/VideoChatGPT/resolve/master/videos.zip"
COCO2014 = "https://www.modelscope.cn/api/v1/datasets/we_dont_produce_water/coco_res/repo?Revision=master&FilePath=coco_2014.zip"


class HubSet(NamedTuple):
    """A name, where its rows are, and how they become ours. `kind` is a key of KINDS; `task`, `ids` (what sample_id begins with) and
    `sentences` (of referring expressions) are for it."""

    name: str
    ms: str | None
    hf: str | None
    subsets: tuple[str, ...]
    splits: tuple[str, ...]
    kind: str
    task: str
    ids: str = ""
    sentences: Literal["all", "first"] = "all"


class Place(NamedTuple):
    """Subset and split of a hub dataset."""

    subset: str
    split: str


class Kind(NamedTuple):
    """What the rows of a dataset are: their struct, what makes ours, whether they hold their image in the column `image`, and what is
    put before the ids that are made."""

    row_type: type[msgspec.Struct]
    make: Make
    embeds_image: bool
    prefix: str = ""


def coco(features: Any, ours: HubSet, place: Place) -> Kind:
    """Detection: the names of the classes are those of the column, else COCO's own in its order."""
    feature = features["objects"]["category"] if features and "objects" in features else None
    label = getattr(feature, "feature", None)
    names = label.names if isinstance(label, ClassLabel) else CocoPreprocessor.category
    return Kind(HubCocoRow, detection_maker(list(names)), True)


def embedded_text(features: Any, ours: HubSet, place: Place) -> Kind:
    """An image and its text."""
    return Kind(HubTextRow, text_maker(ours.task), True)


def refcoco_by_name(features: Any, ours: HubSet, place: Place) -> Kind:
    """Referring expressions whose rows name their image, one of COCO 2014. sample_id is as `groundswift convert refcoco` writes it."""
    images = ImageFolder(media_folder("coco2014", COCO2014))
    return Kind(HUB_ROWS["jxu124"], HubMaker(plain_referring(ours.task, ours.sentences), ours.ids, images=images), False)


def refcoco_embedded(features: Any, ours: HubSet, place: Place) -> Kind:
    """Referring expressions whose rows hold their image."""
    return Kind(HUB_ROWS["lmms"], HubMaker(plain_referring(ours.task), f"{ours.ids}/{place.split}"), True)


def video(features: Any, ours: HubSet, place: Place) -> Kind:
    """Questions about videos in files of their own. sample_id: the dataset's name and the converter's id."""
    folder = os.path.join(media_folder("video_chatgpt", VIDEOS), "Test_Videos")
    return Kind(VideoRow, VideoMaker(folder, True, place.subset), False, f"{ours.name}/")


KINDS: dict[str, Callable[[Any, HubSet, Place], Kind]] = {
    "video": video,
    "coco": coco,
    "text": embedded_text,
    "refcoco by name": refcoco_by_name,
    "refcoco embedded": refcoco_embedded,
}
LATEX = ("AI-ModelScope/LaTeX_OCR", "linxy/LaTeX_OCR")
CAPTIONS = ("modelscope/coco_2014_caption", None, ("coco_2014_caption",))
ALL, DEFAULT = ("train", "validation", "test"), ("default",)
UNOFFICIAL = (
    ("refcoco", "refcoco/unc", "swift/refcoco", "jxu124/refcoco"),
    ("refcocog", "refcocog/umd", "swift/refcocog", "jxu124/refcocog"),
)
LMMS = (("refcoco", "lmms-lab/RefCOCO"), ("refcocoplus", "lmms-lab/RefCOCOplus"), ("refcocog", "lmms-lab/RefCOCOg"))
HUB_SETS = (  # the split that 2.x took for `latex-ocr-print` lacks `train`, whose images it found broken
    HubSet("latex-ocr-print", *LATEX, ("full",), ("validation", "test"), "text", "latex_ocr"),
    HubSet("latex-ocr-handwrite", *LATEX, ("synthetic_handwrite",), ALL, "text", "latex_ocr"),
    HubSet("latex-ocr-human", *LATEX, ("human_handwrite",), ALL, "text", "latex_ocr"),
    HubSet("latex-ocr-small", *LATEX, ("small",), ALL, "text", "latex_ocr"),
    HubSet("coco-en", *CAPTIONS, ("train", "validation"), "text", "caption"),
    HubSet("coco-en-mini", *CAPTIONS, ("validation",), "text", "caption"),
    HubSet(
        "video-chatgpt", "swift/VideoChatGPT", "lmms-lab/VideoChatGPT", ("Generic", "Temporal", "Consistency"), ("test",), "video", "answer"
    ),
    HubSet("coco-detect", "AI-ModelScope/coco", "detection-datasets/coco", ("default",), ("train",), "coco", "detect"),
    *(
        HubSet(f"{name}-unofficial-{called}", *where, DEFAULT, ("train", "validation"), "refcoco by name", task, ids, "first")
        for name, ids, *where in UNOFFICIAL
        for called, task in (("grounding", "find"), ("caption", "describe"))
    ),
    *(
        HubSet(f"{name}-{task}", *where, DEFAULT, ("train",), "refcoco by name", task, ids)
        for name, ids, *where in (*UNOFFICIAL, ("refcocoplus", "refcoco+/unc", None, "jxu124/refcocoplus"))
        for task in ("find", "describe")
    ),
    *(
        HubSet(f"{name}-eval-{task}", None, place, DEFAULT, ("val",), "refcoco embedded", task, f"{name}-eval")
        for name, place in LMMS
        for task in ("find", "describe")
    ),
)


class HubLoader(RowLoader):
    """Loads one set of the table."""

    source: HubSet

    def rows(self, syntax: Any, use_hf: bool) -> tuple[Callable[[], Iterable[dict[str, Any]]], object]:
        ours, splits = self.source, tuple(syntax.subsets or self.source.splits)
        tables = {Place(subset, split): self.opened(subset, split, use_hf) for subset in ours.subsets for split in splits}
        wanted = None if self.streaming else syntax.dataset_sample
        key = None if self.streaming else (__version__, ours, splits, wanted, [table._fingerprint for table in tables.values()])
        return partial(made, ours, tables, wanted), key

    def opened(self, subset: str, split: str, use_hf: bool) -> Dataset | IterableDataset:
        """A split as on the hub, its images still encoded. Raises GroundswiftError where it cannot be had."""
        ours = self.source
        dataset_id, subset = local_copy(ours, subset) or (ours.hf if use_hf else ours.ms, subset)
        if dataset_id is None:
            where, other = ("Hugging Face", ours.ms) if use_hf else ("ModelScope", ours.hf)
            expected = f"{'ms' if use_hf else 'hf'}::{ours.name} ({other}), or a copy below {MIRROR}"
            raise error_at(ours.name, f"not on {where}", expected)
        plain = DatasetLoader(
            num_proc=self.num_proc,
            streaming=self.streaming,
            hub_token=self.hub_token,
            download_mode=self.download_mode,
            remove_unused_columns=False,
        )
        place = SubsetDataset(name=split, subset=subset, split=[split], preprocess_func=left_as_it_is)
        try:
            table = plain._load_repo_dataset(dataset_id, place, use_hf=use_hf)
        except Exception as error:  # hubs, networks and file formats raise many kinds
            message = next(iter(str(error).splitlines()), "")[:300]
            expected = f"a hub that can be reached and has this subset and split, or a copy below {MIRROR}"
            raise error_at(f"{ours.name} ({dataset_id}, {subset}, {split})", f"{type(error).__name__}: {message}", expected) from error
        for name, feature in (table.features or {}).items():
            if isinstance(feature, Image):
                table = table.cast_column(name, Image(decode=False))
        return table


def left_as_it_is(table: Dataset, **_: Any) -> Dataset:
    """No preprocessing by swift: rows keep the hub's columns until they are converted."""
    return table


def local_copy(ours: HubSet, subset: str) -> tuple[str, str] | None:
    """(folder, subset) of a copy below GROUNDSWIFT_HUB; None where there is none.

    A copy without README.md has no subsets that could be named: then it is the folder of that name in it, or all of it.
    """
    root = os.environ.get(MIRROR)
    for dataset_id in (ours.ms, ours.hf) if root else ():
        folder = os.path.join(os.path.abspath(root), *dataset_id.split("/")) if dataset_id else ""
        if os.path.isdir(folder):
            if os.path.exists(os.path.join(folder, "README.md")):
                return folder, subset
            below = os.path.join(folder, subset)
            return (below if os.path.isdir(below) else folder), "default"
    return None


def media_folder(alias: str, url: str) -> str:
    """The folder of images or videos that rows name: below GROUNDSWIFT_HUB, else where swift downloads them to."""
    root = os.environ.get(MIRROR)
    mirrored = os.path.join(os.path.abspath(root), "media", alias) if root else ""
    return mirrored if root and os.path.isdir(mirrored) else MediaResource.download(url, alias)


def made(ours: HubSet, tables: dict[Place, Any], wanted: int | None) -> Iterator[dict[str, Any]]:
    """The rows of a set as swift's columns; of a sample of `wanted`, only as many as are needed are made.

    Raises GroundswiftError where none is left.
    """
    log, count = IssueLog("skip"), 0
    kinds = {place: KINDS[ours.kind](table.features, ours, place) for place, table in tables.items()}
    for place, number, values in picked(tables, wanted):
        kind, where = kinds[place], "/".join((ours.name, *place[len(ours.subsets) == 1 :], str(number)))
        item = typed(where, values, kind.row_type)
        if isinstance(item, Issue):
            log.add(item)
            continue
        for row in kind.make(item, log):
            if kind.prefix:
                row = msgspec.structs.replace(row, sample_id=f"{kind.prefix}{row.sample_id}")
            columns = with_embedded_image(row, values.get("image"), where, log) if kind.embeds_image else columns_of(row)
            if columns is not None:
                count += 1
                yield columns
        if wanted is not None and count >= wanted:
            break
    log_skipped(ours.name, log)
    if not count:
        raise GroundswiftError("\n".join([f"{ours.name}: every row was dropped", *log.lines()]))


def picked(tables: dict[Place, Any], wanted: int | None) -> Iterable[tuple[Place, int, dict[str, Any]]]:
    """(place, number from 1, columns) of the rows in order; of a sample, in an order that is random and the same every time."""
    if wanted is None:
        for place, table in tables.items():
            for number, values in enumerate(table, 1):
                yield place, number, values
        return
    ends = [(place, table, len(table)) for place, table in tables.items()]
    total = sum(length for *_, length in ends)
    for index in random.Random(0).sample(range(total), total):
        for place, table, length in ends:
            if index < length:
                yield place, index + 1, table[index]
                break
            index -= length


def with_embedded_image(row: Row, image: object, where: str, log: IssueLog) -> dict[str, Any] | None:
    """The columns of a row with the image embedded in the hub's row; None, and an issue is logged, where it cannot be used."""
    held = image if isinstance(image, dict) else {"bytes": None, "path": image}
    data, path = held.get("bytes"), held.get("path")
    if data or not isinstance(path, str):
        size_wh = embedded_size_wh(data, where, log)
        embedded: EmbeddedImage = {"bytes": data, "path": None}
    else:  # a copy of the set with its images in files
        found = ImageFolder("").inspect(path, where, log)
        size_wh, embedded = found and found.size_wh, {"bytes": None, "path": path}
    if size_wh is None:
        return None
    if row.size_wh not in (None, size_wh):
        what = f"annotated as {list(row.size_wh)} px, but the image is {list(size_wh)} px upright"
        log.add(Issue("image-size-differs", where, what, "one size"))
        return None
    return columns_of(msgspec.structs.replace(row, size_wh=size_wh), [embedded])


def hub_sets() -> list[DatasetMeta]:
    """A registration for each dataset of the table. The hubs' ids are not registered: swift's own names for them are unchanged."""
    return [HubLoader.registered(each.name, each, (each.kind, each.task)) for each in HUB_SETS]
