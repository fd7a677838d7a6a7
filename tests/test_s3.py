"""Annotations and images in a bucket of a real S3 server: read, kept, fetched anew when changed; servers that fail; the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from s3_server import BUSY, KEYS, Bucket, environment, failing_proxy, s3_server
from s3fs import S3FileSystem

from groundswift import storage
from groundswift.coco_file import read_coco
from groundswift.data_converters.file_io.images import FoundImage, read_header
from groundswift.errors import GroundswiftError
from groundswift.file_guard import path_inside
from groundswift.images import ORIENTATION_TAG, open_image, read_size_wh
from groundswift.storage import NotThere, exists, is_file, is_folder, local_copy, stat_key

pytestmark = pytest.mark.process
DENIED_BODY = b"<Error><Code>InvalidAccessKeyId</Code><Message>The key you provided does not exist.</Message></Error>"
DENIED = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(DENIED_BODY) + DENIED_BODY
FETCH = """
import sys
from groundswift.errors import GroundswiftError
from groundswift.storage import local_copy
try:
    for url in sys.argv[1:]:
        print(local_copy(url))
except GroundswiftError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def image_file(size_wh: tuple[int, int], kind: str = "PNG", **options: object) -> bytes:
    """A file of random pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (size_wh[1], size_wh[0], 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def rotated(size_wh: tuple[int, int]) -> bytes:
    """A JPEG of a stored size, rotated by its EXIF tag by a quarter."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    return image_file(size_wh, "JPEG", exif=exif.tobytes())


COCO = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
        {"id": 2, "file_name": "more/rotated ö.jpg", "width": 20, "height": 50},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 30, 20]},
        {"id": 2, "image_id": 2, "category_id": 9, "bbox": [0, 0, 20, 50]},
    ],
    "categories": [{"id": 7, "name": "dog"}, {"id": 9, "name": "cat"}],
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def bucket(endpoint) -> Bucket:
    bucket = Bucket(endpoint, "bucket")
    bucket.put("set/ann.json", json.dumps(COCO).encode())
    bucket.put("set/images/a.png", image_file((40, 30)))
    bucket.put("set/images/more/rotated ö.jpg", rotated((50, 20)))
    return bucket


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


class Here:
    """This process as a client: `use` an endpoint, or the proxy before it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        self.monkeypatch, self.cache = monkeypatch, cache

    def use(self, endpoint: str) -> None:
        for name, value in environment(endpoint, self.cache).items():
            self.monkeypatch.setenv(name, value)
        self.forget()

    @staticmethod
    def forget() -> None:
        """Be as a new process is."""
        S3FileSystem.clear_instance_cache()
        storage._checked_copy.cache_clear()
        storage._partial_folder.cache_clear()


@pytest.fixture
def here(endpoint, bucket, cache, monkeypatch) -> Iterator[Here]:
    """This process reading from the server; where it fails, without the long waits, so that what is tried again is tried by us."""
    monkeypatch.setattr(storage, "WAITS_S", (0.05, 0.05, 0.05))
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    here = Here(monkeypatch, cache)
    here.use(endpoint)
    yield here
    here.forget()


def process(endpoint: str, cache: Path, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess:
    """A Python process with the server in its environment."""
    return subprocess.run(
        [sys.executable, *arguments], env=variables(endpoint, cache, **changes), capture_output=True, text=True, timeout=300
    )


def variables(endpoint: str, cache: Path, **changes: str | None) -> dict[str, str]:
    merged = {**os.environ, **environment(endpoint, cache), **changes}
    return {name: value for name, value in merged.items() if value is not None}


def copies(cache: Path) -> list[Path]:
    """All files of the cache, partial copies too."""
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_annotations_and_images_are_read_from_a_bucket(here):
    coco = read_coco("s3://bucket/set/ann.json")
    assert [image.file_name for image in coco.images] == ["a.png", "more/rotated ö.jpg"]
    paths = [path_inside("s3://bucket/set/images", image.file_name) for image in coco.images]
    assert paths == ["s3://bucket/set/images/a.png", "s3://bucket/set/images/more/rotated ö.jpg"]
    assert [read_size_wh(path) for path in paths] == [((40, 30), 1), ((20, 50), 6)]
    assert [open_image(path).size for path in paths] == [(40, 30), (20, 50)]
    assert open_image(paths[0]).tobytes() == open_image(image_file((40, 30))).tobytes()
    assert [isinstance(read_header(path, "image", (40, 30)), FoundImage) for path in paths] == [True, False]


def test_what_is_there(here):
    assert is_file("s3://bucket/set/ann.json")
    assert is_folder("s3://bucket/set/images")
    assert is_folder("s3://bucket/set/images/")
    assert is_folder("s3://bucket")
    assert not is_folder("s3://bucket/set/ann.json")
    assert not exists("s3://bucket/set/none")
    assert not exists("s3://no-such-bucket/a")


def test_an_object_is_asked_for_once_a_process_and_fetched_once_for_all(endpoint, here):
    with failing_proxy(endpoint, lambda *_: None) as (proxy, requests):
        here.use(proxy)
        first = local_copy("s3://bucket/set/images/a.png")
        assert requests == ["HEAD /bucket/set/images/a.png", "GET /bucket/set/images/a.png", "HEAD /bucket/set/images/a.png"]
        assert read_size_wh("s3://bucket/set/images/a.png")[0] == (40, 30)
        assert len(requests) == 3
        here.forget()
        assert local_copy("s3://bucket/set/images/a.png") == first
        assert requests[3:] == ["HEAD /bucket/set/images/a.png"]


def test_a_changed_object_is_fetched_by_the_next_process(endpoint, bucket, cache):
    url, found = bucket.put("changing.jpg", b"old content"), []
    for content in (b"old content", b"new content", b"old content"):  # of one length, so that the length does not tell
        bucket.put("changing.jpg", content)
        found.append(Path(process(endpoint, cache, "-c", FETCH, url).stdout.strip()))
        assert found[-1].read_bytes() == content
    assert found[0] == found[2] != found[1]


def test_an_object_that_changes_while_it_is_fetched_is_fetched_whole(endpoint, here, bucket, cache):
    url, old, new = bucket.put("racing.bin", b"old" * 100), b"old" * 100, b"new" * 100

    def change(method: str, path: str, count: int) -> None:
        if method == "HEAD" and count == 2:
            bucket.put("racing.bin", new)

    with failing_proxy(endpoint, change) as (proxy, _):
        here.use(proxy)
        assert local_copy(url).read_bytes() == new
    assert old not in [path.read_bytes() for path in copies(cache)]


def test_a_source_that_changed_has_another_key(here, bucket):
    url = bucket.put("key.json", b"old")
    first = stat_key(url)
    assert first == stat_key(url)
    bucket.put("key.json", b"new")
    assert (first[0], stat_key(url)[0]) == (3, 3)
    assert first != stat_key(url)


def test_a_listing_that_a_store_remembers_does_not_hide_a_change(here, bucket):
    url = bucket.put("listed/a.json", b"old")
    S3FileSystem().ls("s3://bucket/listed")
    first = stat_key(url)
    bucket.put("listed/a.json", b"new")
    S3FileSystem().ls("s3://bucket/listed")
    bucket.put("listed/a.json", b"newer")
    assert (first[0], stat_key(url)[0]) == (3, 5)
    assert local_copy(url).read_bytes() == b"newer"


FAILURES = {  # for the first tries
    "cut in the body": lambda method, path, count: 100 if method == "GET" else None,
    "cut before the body": lambda method, path, count: 0 if method == "GET" else None,
    "busy": lambda method, path, count: BUSY if method == "GET" else None,
    "busy at the first question": lambda method, path, count: BUSY if method == "HEAD" else None,
    "connection closed": lambda method, path, count: b"",
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_server_that_fails_half_way_and_recovers(endpoint, here, cache, failure):
    with failing_proxy(endpoint, lambda method, path, count: failure(method, path, count) if count <= 2 else None) as (proxy, _):
        here.use(proxy)
        assert local_copy("s3://bucket/set/images/a.png").read_bytes() == image_file((40, 30))
    assert len(copies(cache)) == 1


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_server_that_does_not_recover_is_a_plain_error_and_leaves_nothing(endpoint, here, cache, failure):
    expected = r"^s3://bucket/set/images/a\.png: cannot be read, tried 4 times in \d+ s \(\w+: .*\); expected a server .*"
    with failing_proxy(endpoint, failure) as (proxy, _):
        here.use(proxy)
        with pytest.raises(GroundswiftError, match=expected) as caught:
            open_image("s3://bucket/set/images/a.png")
        assert not isinstance(caught.value, NotThere)
        with pytest.raises(GroundswiftError, match="tried 4 times"):  # not a missing image, which could be skipped
            read_header("s3://bucket/set/images/a.png", "image 1", (40, 30))
    assert copies(cache) == []


def test_s3fs_goes_on_after_a_cut_connection(endpoint, bucket, cache):
    """A process as users have it: s3fs goes on from where the connection was cut."""
    data = bytes(range(256)) * 2000
    url = bucket.put("large.bin", data)
    with failing_proxy(endpoint, lambda method, path, count: 200_000 if method == "GET" and count <= 2 else None) as (proxy, requests):
        done = process(proxy, cache, "-c", FETCH, url)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == data
    assert requests.count("GET /bucket/large.bin") == 3


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/none.jpg", r"^s3://bucket/none\.jpg: no such object \(.*\)$"),
        ("s3://no-such-bucket/a.jpg", r"^s3://no-such-bucket/a\.jpg: no such object \(.*bucket does not exist\)$"),
        ("s3://bucket/set/images", r"^s3://bucket/set/images: is a folder; expected a file$"),
        (
            "s3://me:secretword@bucket/a.jpg",
            r"^s3://bucket/a\.jpg: cannot be read \(ParamValidationError: .*expected the URL of a file$",
        ),
    ],
)
def test_what_is_not_there_is_an_error_at_once(here, cache, url, message):
    with pytest.raises(GroundswiftError, match=message) as caught:
        read_coco(url)
    assert "secretword" not in str(caught.value)
    assert copies(cache) == []


def test_without_credentials_that_the_error_says_so(endpoint, bucket, cache):
    done = process(endpoint, cache, "-c", FETCH, "s3://bucket/set/ann.json", **dict.fromkeys(KEYS))
    assert done.returncode == 1
    assert done.stderr.startswith("GroundswiftError: s3://bucket/set/ann.json: no credentials (NoCredentialsError: ")
    assert "AWS_ACCESS_KEY_ID" in done.stderr


def test_a_public_bucket_needs_none(endpoint, bucket, cache):
    url = bucket.put("public.txt", b"abc")
    bucket.client.put_object_acl(Bucket="bucket", Key="public.txt", ACL="public-read")
    done = process(endpoint, cache, "-c", FETCH, url, **dict.fromkeys(KEYS), FSSPEC_S3_ANON="true")
    assert done.returncode == 0, done.stderr


def test_credentials_that_are_refused_are_an_error_at_once_and_never_shown(endpoint, here, cache):
    with failing_proxy(endpoint, lambda *_: DENIED) as (proxy, requests):
        here.use(proxy)
        with pytest.raises(GroundswiftError, match=r"^s3://bucket/set/ann\.json: access denied \(.*\); expected credentials") as caught:
            read_coco("s3://bucket/set/ann.json")
    assert len(requests) == 1
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_no_credentials_are_kept_with_the_copies(here, cache):
    read_coco("s3://bucket/set/ann.json")
    assert [path for path in copies(cache) if KEYS["AWS_SECRET_ACCESS_KEY"].encode() in path.read_bytes()] == []


def test_two_processes_at_once_get_one_whole_copy(endpoint, bucket, cache):
    data = os.urandom(3_000_000)
    url, arrived = bucket.put("shared.bin", data), []

    def together(method: str, path: str, count: int) -> None:
        """Hold each download back until the other has come."""
        if method == "GET":
            arrived.append(path)
            deadline = time.monotonic() + 30
            while len(arrived) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)

    with failing_proxy(endpoint, together) as (proxy, _):
        both = [
            subprocess.Popen([sys.executable, "-c", FETCH, url], env=variables(proxy, cache), stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        paths = [each.communicate(timeout=120)[0].strip() for each in both]
    assert len(arrived) == 2
    assert paths[0] == paths[1]
    assert Path(paths[0]).read_bytes() == data
    assert copies(cache) == [Path(paths[0])]


def test_a_process_that_is_killed_while_it_fetches_leaves_no_cut_copy(endpoint, bucket, cache):
    url, arrived = bucket.put("killed.bin", b"x" * 1000), []

    def hold(method: str, path: str, count: int) -> None:
        if method == "GET":
            arrived.append(path)
            time.sleep(20 if len(arrived) == 1 else 0)

    with failing_proxy(endpoint, hold) as (proxy, _):
        killed = subprocess.Popen([sys.executable, "-c", FETCH, url], env=variables(proxy, cache))
        while not arrived:
            assert killed.poll() is None
            time.sleep(0.01)
        killed.kill()
        killed.wait(30)
        assert [path.parent.name for path in copies(cache)] == ["partial"]
        done = process(proxy, cache, "-c", FETCH, url)
    assert Path(done.stdout.strip()).read_bytes() == b"x" * 1000


def convert(endpoint: str, cache: Path, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess:
    return process(endpoint, cache, "-m", "groundswift.cli", "convert", "coco", *arguments, **changes)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_command_converts_from_a_bucket(endpoint, bucket, cache, tmp_path, workers):
    out = tmp_path / "x.jsonl"
    arguments = ["s3://bucket/set/ann.json", "--images", "s3://bucket/set/images", "--out", str(out), "--workers", workers]
    done = convert(endpoint, cache, *arguments)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["sample_id"], row["images"], row["size_wh"], row["objects"]["ref"], row["objects"]["bbox"]) for row in rows] == [
        (1, ["s3://bucket/set/images/a.png"], [40, 30], ["dog"], [[1, 2, 31, 22]]),
        (2, ["s3://bucket/set/images/more/rotated ö.jpg"], [20, 50], ["cat"], [[0, 0, 20, 50]]),
    ]
    assert "2 rows, 2 objects" in done.stdout
    linted = process(endpoint, cache, "-m", "groundswift.cli", "lint", str(out), "--json")
    assert (linted.returncode, set(json.loads(linted.stdout)["rules"])) == (0, {"no-negatives", "image-exif-rotated"}), linted.stderr


VOC = "<annotation><filename>a.png</filename><object><name>dog</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>31</xmax><ymax>22</ymax>"
VOC += "</bndbox></object></annotation>"
FOLDERS = {  # format -> its files besides the images, and the folder of these
    "voc": ({"Annotations/a.xml": VOC}, "JPEGImages"),
    "dota": ({"labelTxt/a.txt": "1 2 31 2 31 22 1 22 dog 0\n"}, "images"),
    "yolo": ({"data.yaml": "train: images\nnames: [dog]\n", "labels/a.txt": "0 0.4 0.4 0.75 0.6666667\n"}, "images"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_command_converts_folders_of_a_bucket(endpoint, bucket, cache, tmp_path, name):
    files, images = FOLDERS[name]
    for path, text in files.items():
        bucket.put(f"{name}/{path}", text.encode())
    bucket.put(f"{name}/{images}/a.png", image_file((40, 30)))
    out = tmp_path / "x.jsonl"
    for _ in range(2):
        done = process(endpoint, cache, "-m", "groundswift.cli", "convert", name, f"s3://bucket/{name}", "--out", str(out))
        assert (done.returncode, done.stderr) == (0, "")
    row = json.loads(out.read_text())
    assert (row["images"], row["size_wh"], row["objects"]["ref"]) == ([f"s3://bucket/{name}/{images}/a.png"], [40, 30], ["dog"])
    assert row["objects"]["bbox"] == [pytest.approx([1, 2, 31, 22], abs=1e-4)]


def test_the_command_looks_for_images_next_to_the_annotations(endpoint, bucket, cache, tmp_path):
    first = {**COCO, "images": COCO["images"][:1], "annotations": COCO["annotations"][:1]}
    bucket.put("set/images/ann.json", json.dumps(first).encode())
    done = convert(endpoint, cache, "s3://bucket/set/images/ann.json", "--out", str(tmp_path / "x.jsonl"))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "x.jsonl").read_text())["images"] == ["s3://bucket/set/images/a.png"]


def hostile(bucket: Bucket) -> str:
    """A COCO file whose images are there, missing, and outside the folder of images."""
    names = ["a.png", "none.png", "%2e%2e/ann.json"]
    images = [{**COCO["images"][0], "id": number, "file_name": name} for number, name in enumerate(names, 1)]
    return bucket.put("hostile.json", json.dumps({**COCO, "images": images, "annotations": []}).encode())


def annotated(bucket: Bucket) -> str:
    return "s3://bucket/set/ann.json"


A_IS_BUSY = "error: s3://bucket/set/images/a.png: cannot be read, tried 4 times"


@pytest.mark.parametrize(
    ("source", "images", "words", "busy", "said"),
    [
        pytest.param(hostile, "set/images", [], False, ["1  image-missing", "1  image-path-outside"], id="missing and hostile images"),
        pytest.param(annotated, "none", [], False, ["s3://bucket/none"], id="no folder of images"),
        pytest.param(annotated, "set/images", ["--on-error", "skip"], True, [A_IS_BUSY], id="an image that cannot be had now"),
    ],
)
def test_how_the_command_stops(endpoint, bucket, cache, tmp_path, source, images, words, busy, said):
    """An image that cannot be had now is not one that is missing: --on-error skip does not drop it."""
    with failing_proxy(endpoint, lambda method, path, count: BUSY if busy and path.endswith("a.png") else None) as (proxy, _):
        arguments = [source(bucket), "--images", f"s3://bucket/{images}", "--out", str(tmp_path / "x.jsonl"), *words]
        done = convert(proxy, cache, *arguments, AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 1
    assert [part for part in said if part not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.jsonl").exists()
