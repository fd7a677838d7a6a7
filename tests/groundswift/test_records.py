"""Rows of ms-swift JSONL to the byte, there and back, and files that are no such thing."""

import msgspec
import pytest

from groundswift.errors import GroundswiftError
from groundswift.records import EMPTY_ANSWER, Message, Objects, Row, detection_row, encode_row, read_jsonl, swift_tag_in, whole

DOG_ROW = detection_row(7, "images/7.jpg", (640, 480), "Find dog.", ["dog", "狗"], [[1, 2, 3.5, 4], [0, 0, 640, 480]])
DOG_LINE = (
    '{"messages":[{"role":"user","content":"<image>Find dog."},'
    '{"role":"assistant","content":"<ref-object><bbox><ref-object><bbox>"}],'
    '"images":["images/7.jpg"],'
    '"objects":{"ref":["dog","狗"],"bbox":[[1,2,3.5,4],[0,0,640,480]],"bbox_type":"real"},'
    '"sample_id":7,"size_wh":[640,480]}\n'
).encode()
SHORT = b'{"messages":[],"images":["a.jpg"]}'


def read(tmp_path, data: bytes) -> list[tuple[int, object]]:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    return list(read_jsonl(path, Row))


def test_a_row_to_the_byte():
    assert encode_row(DOG_ROW) == DOG_LINE


def test_a_row_without_objects_says_so():
    row = detection_row("a/b", "b.jpg", (3, 2), "Find dog.", [], [])
    assert encode_row(row) == (
        b'{"messages":[{"role":"user","content":"<image>Find dog."},{"role":"assistant","content":"None"}],'
        b'"images":["b.jpg"],"objects":{"ref":[],"bbox":[],"bbox_type":"real"},"sample_id":"a/b","size_wh":[3,2]}\n'
    )
    assert EMPTY_ANSWER == "None"


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(DOG_ROW, id="objects"),
        pytest.param(detection_row("x", "a.jpg", (1, 1), 'with "quotes",\na line break and 狗', [], []), id="awkward text"),
        pytest.param(Row([Message("user", "<image>hello")], ["a.jpg"]), id="no objects, no id"),
        pytest.param(Row([], [], [], Objects(["a"], [[0.5, 1, 2, 3]], "norm1"), 0, (5, 6)), id="id zero"),
    ],
)
def test_a_row_round_trips(row, tmp_path):
    line = encode_row(row)
    assert line.count(b"\n") == 1
    assert read(tmp_path, line) == [(1, row)]


@pytest.mark.parametrize(
    ("value", "text"), [(7.0, b"7"), (7, b"7"), (7.25, b"7.25"), (0.1, b"0.1"), (-0.0, b"0"), (1e15, b"1000000000000000")]
)
def test_whole_numbers_have_no_point(value, text):
    assert msgspec.json.encode(whole(value)) == text


@pytest.mark.parametrize(
    ("text", "tag"),
    [("a dog", None), ("a <bbox>", "<bbox>"), *((tag, tag) for tag in ("<ref-object>", "<image>")), ("< bbox>", None), ("<BBOX>", None)],
)
def test_a_tag_of_swift_is_found(text, tag):
    assert swift_tag_in(text) == tag


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SHORT + b"\n" + SHORT + b"\n", id="well formed"),
        pytest.param(SHORT + b"\r\n" + SHORT + b"\r\n", id="windows line ends"),
        pytest.param(SHORT + b"\n" + SHORT, id="no last line end"),
        pytest.param(b"\xef\xbb\xbf" + SHORT + b"\n" + SHORT + b"\n", id="byte order mark"),
    ],
)
def test_two_rows_are_read(data, tmp_path):
    row = Row([], ["a.jpg"])
    assert read(tmp_path, data) == [(1, row), (2, row)]


def test_blank_lines_are_passed_over_and_counted_in_line_numbers(tmp_path):
    assert read(tmp_path, b"") == []
    assert [number for number, _ in read(tmp_path, b"\n  \n" + SHORT + b"\n\r\n" + SHORT + b"\n\n")] == [3, 5]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(b"{oops}\n", "not a row: JSON is malformed", id="not JSON"),
        pytest.param(b"[]\n", "Expected `object`, got `array`", id="a list"),
        pytest.param(b"null\n", "Expected `object`, got `null`", id="null"),
        pytest.param(SHORT + SHORT + b"\n", "not a row: JSON is malformed", id="two objects on a line"),
        pytest.param(b'{"images":[]}\n', "missing required field `messages`", id="a field missing"),
        pytest.param(b'{"messages":[{"role":1}]}\n', r"Expected `str`, got `int` - at `\$\.messages\[0\]\.role`", id="wrong type"),
        pytest.param(b'{"messages":[],"images":[],"size_wh":[1]}\n', r"at `\$\.size_wh`", id="half a size"),
        pytest.param(b'{"messages":[],"images":[],"objects":{"ref":[],"bbox":[[NaN]]}}\n', "not a row: NaN .byte 56.", id="NaN"),
        pytest.param(b'{"messages":[],"images":["\xe9.jpg"]}\n', "not a row: .*(UTF-8|utf-8)", id="not UTF-8"),
        pytest.param(b'{"more": ' + b"[" * 100_000 + b"\n", "not a row: ", id="nested too deep"),
        pytest.param(b"\0\0\0\n", "not a row: JSON is malformed", id="zero bytes"),
    ],
)
def test_a_line_that_is_not_a_row_is_an_error_in_its_place(line, message, tmp_path):
    (first, good), (second, error), (third, last) = read(tmp_path, SHORT + b"\n" + line + SHORT + b"\n")
    assert (first, second, third) == (1, 2, 3)
    assert good == last == Row([], ["a.jpg"])
    assert isinstance(error, GroundswiftError)
    assert str(error).startswith(f"{tmp_path / 'rows.jsonl'}:2: ")
    with pytest.raises(GroundswiftError, match=message):
        raise error


def test_a_file_cut_in_a_line_says_so(tmp_path):
    for length in range(1, len(SHORT)):
        (_, good), (number, error) = read(tmp_path, SHORT + b"\n" + SHORT[:length])
        assert (good, number) == (Row([], ["a.jpg"]), 2)
        assert str(error).endswith("rows.jsonl:2: the file stops in the middle of this line; expected a whole JSON object")


@pytest.mark.parametrize(
    "line", [b"5", b"null", b"[{}]", b"\x1f\x8b\x08\x00", "{}".encode("utf-16")], ids=["5", "null", "list", "gzip", "UTF-16"]
)
def test_a_whole_last_line_that_is_not_a_row_is_not_called_truncated(line, tmp_path):
    ((_, error),) = read(tmp_path, line)
    assert "rows.jsonl:1: not a row: " in str(error)


@pytest.mark.parametrize("name", ["gone.jsonl", "."])
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(name, tmp_path):
    with pytest.raises(GroundswiftError, match=r"cannot be read \("):
        list(read_jsonl(tmp_path / name, Row))
