"""The frames of a YOLO dataset, image with labels, and the options that all stages share."""

from __future__ import annotations

import os
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
from PIL import Image

from groundswift.errors import error_at
from groundswift.records import IMAGE, Message, Objects, Row
from groundswift.worker_pool import WorkerPool

from ..base import Make, Options, Reading, images_option, path_option
from ..file_io.embedded_images import folder_to_save
from ..formats.yolo.label_lines import Kind
from ..formats.yolo.source import YoloOptions, read_dataset
from ..issues import IssueLog
from ..prompts import Language
from .new_images import decoded
from .questions import STAGES, Question, Questions

NOTHING = "image-nothing-to-ask"


def _names(description: str, metavar: str) -> msgspec.Meta:
    return msgspec.Meta(description=f"{description}; may be repeated.", extra={"metavar": metavar})


class Frame(NamedTuple):
    """An image with its labels: `ranks` of their classes and boxes (N, 4). `name`: the path in the dataset without suffix."""

    name: str
    path: str
    size_wh: tuple[int, int]
    ranks: list[int]
    boxes_xyxy_px: list[list[float]]


class AnomalyRow(Row, omit_defaults=True):
    """A row of one stage: 1 local concepts, 2 marked scene, 3 bare scene. `source_image`: the frame; `class_name`: what it asks about."""

    stage: int = 0
    source_image: str | None = None
    class_name: str | None = None


class Request(msgspec.Struct, omit_defaults=True):
    """A prompt for a model that writes questions about an image. `source_image`: the frame; `asked_as`: the command that made it.

    `verdict`: anomaly or normal, as the labels say."""

    request_id: str
    images: list[str]
    prompt: str
    asked_as: str
    stage: int
    source_image: str
    class_name: str | None = None
    verdict: str | None = None
    language: str = "en"


class Frames(msgspec.Struct, frozen=True):
    """Makes the frame of an item. `root`: folder that the names are relative to; `names`: the classes; `anomalies`: ranks of such."""

    make: Make
    root: str
    names: list[str]
    anomalies: frozenset[int]

    def __call__(self, item: Any, log: IssueLog) -> Frame | None:
        """None where the image cannot be used, which is logged."""
        for row in self.make(item, log):
            place = {name: rank for rank, name in enumerate(self.names)}
            path = row.images[0]
            name = os.path.splitext(os.path.relpath(path, self.root))[0]
            return Frame(name, path, row.size_wh, [place[label] for label in row.objects.ref], row.objects.bbox)
        return None

    def decoded(self, item: Any, log: IssueLog) -> tuple[Frame, Image.Image] | None:
        """A frame with objects, and its image; None where it has none or cannot be used, which is counted or logged."""
        frame = self(item, log)
        if frame is None:
            return None
        if not frame.ranks:
            log.count(NOTHING, frame.name)
            return None
        image = decoded(frame.path, log)
        return None if image is None else (frame, image)


class FrameOptions(Options, frozen=True, kw_only=True):
    """What reads the frames: options of all stages."""

    reads = "YOLO dataset"

    images: Annotated[str | None, images_option("that of the dataset")] = None
    split: Annotated[str, msgspec.Meta(description="The split of data.yaml to read.")] = "train"
    labels: Annotated[Kind, msgspec.Meta(description="What a line of the label files holds, as with convert yolo.")] = "box"
    label_dir: Annotated[str | None, path_option("Folder of the label files, named after the images.", "DIR")] = None
    drop_class: Annotated[tuple[str, ...], _names("Drop a class and its boxes", "NAME")] = ()
    rename_class: Annotated[tuple[str, ...], _names("Rename class A to B", "A=B")] = ()
    merge_class: Annotated[tuple[str, ...], _names("Merge A, or several classes A1,A2, into class B", "A[,A2...]=B")] = ()
    anomaly: Annotated[tuple[str, ...], _names("A class that is an anomaly", "NAME")] = ()
    language: Annotated[Language, msgspec.Meta(description="Language of the questions; both: sampled per question.")] = "en"
    questions: Annotated[str | None, path_option("YAML file of your own questions and prompts.  [default: built-in]")] = None

    prompt_file: Annotated[tuple[str, ...], _names("Text file with a prompt of your own, one set of questions each", "FILE")] = ()

    def asks(self) -> Questions:
        """The questions to ask. Raises GroundswiftError where a file of them cannot be used."""
        return Questions.read(self.questions, self.language, self.seed, self.prompt_file, self.name)

    def frames(self, log: IssueLog, pool: WorkerPool) -> tuple[Reading, Frames]:
        """(the images of the dataset, what makes frames of its items). Raises GroundswiftError where there are none, and for an unknown
        class of --anomaly."""
        shared = set(YoloOptions.__struct_fields__) & set(FrameOptions.__struct_fields__)
        yolo = YoloOptions(**{name: getattr(self, name) for name in shared})
        root = self.images or read_dataset(self.annotations, None, None).source
        reading = yolo.open(log, pool)
        names = reading.make.names
        if unknown := [name for name in self.anomaly if name not in names]:
            raise error_at(f"--anomaly {unknown[0]}", "the dataset has no such class", f"one of {', '.join(names)[:1000]}")
        return reading, Frames(reading.make, os.path.abspath(root), names, frozenset(map(names.index, self.anomaly)))


class SavingOptions(FrameOptions, frozen=True, kw_only=True):
    """Stages that write images of their own."""

    items_per_block: ClassVar[int | None] = 8

    save_images: Annotated[str, path_option("Folder for the new images.", "DIR")]
    image_format: Annotated[Literal["jpg", "png"], msgspec.Meta(description="Of the new images; png keeps every pixel.")] = "jpg"
    quality: Annotated[int, msgspec.Meta(ge=1, le=100, description="Quality of a JPEG, 1 to 100.")] = 95
    answers: Annotated[
        Literal["all", "ab"], msgspec.Meta(description="Which questions: all, or only those that are answered by A or B.")
    ] = "all"
    requests: Annotated[
        bool, msgspec.Meta(description="Write prompts for `anomaly ask` instead of rows: a model writes questions and answers.")
    ] = False
    pairs: Annotated[int, msgspec.Meta(ge=1, description="With --requests: questions per image that the model is asked for.")] = 5

    def template(self) -> str:
        """The name of the prompt in the section `requests` of the questions."""
        return f"{self.name}_ab" if self.answers == "ab" else self.name

    def folder(self) -> str:
        """The folder of the new images, an absolute path. Raises GroundswiftError where it cannot be one."""
        return folder_to_save(self.save_images)


def stage_row(stage: str, id: str, question: Question, images: list[str], size_wh: tuple[int, int], **more: Any) -> AnomalyRow:
    """A row of a stage; its images come before the text of the question."""
    messages = [Message("user", IMAGE * len(images) + question.text), Message("assistant", question.answer)]
    return AnomalyRow(messages, images, [], sample_id=id, size_wh=size_wh, prompt=question.name, stage=STAGES[stage], **more)


def requests_of(questions: Questions, template: str, request: Request, values: dict[str, str], head: str = "") -> list[Request]:
    """The request, once for each prompt; `template`: in the section `requests` of the questions; `head` comes before the prompt."""
    language = questions.language(request.request_id)
    found = questions.requests(template, request.request_id, values)
    return [msgspec.structs.replace(request, request_id=id, prompt=head + prompt, language=language) for id, prompt in found]


def objects_of(frame: Frame, ranks: set[int] | frozenset[int], names: list[str]) -> Objects:
    """The objects of some classes in a frame."""
    chosen = [(names[rank], box) for rank, box in zip(frame.ranks, frame.boxes_xyxy_px, strict=True) if rank in ranks]
    return Objects([label for label, _ in chosen], [box for _, box in chosen])
