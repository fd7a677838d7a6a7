"""Paths and URLs as text."""

from pathlib import Path

import pytest

from groundswift.urls import file_name, folder_of, is_url, join, joined_inside, shown

LEAVING = (  # names that lead out of their folder, or that a server could decode to one
    "", ".", "..", "../b.jpg", "c/../../b.jpg", "/b.jpg", "//host/b.jpg", "s3://other/b.jpg", "c/s3:%2f%2fother/b.jpg", "%2e%2e/b.jpg",
    "%2E./b.jpg", "c/%2e%2e/%2e%2e/b.jpg", "c%2fd/../%2e%2e/b.jpg", "..%2fb.jpg", "%2fb.jpg", "%252e%252e%252fb.jpg", "..\\b.jpg",
    "c\\..\\..\\b.jpg", "%5c..\\b.jpg", "..%5cb.jpg", "\\b.jpg", "b\0.jpg", "b%00.jpg", "b\r\nHost: x.jpg", "b%0d%0a.jpg",
)  # fmt: skip


URLS = ["s3://bucket/a.jpg", "gs://bucket/a.jpg", "HTTPS://host/a.jpg", "memory://a", "file:///a/b", "abfs+x.y-z://c/d"]
NO_URLS = ["/data/a.jpg", "a.jpg", "", "C:\\data\\a.jpg", "c://data", "data:image/png;base64,aaaa", "folder/s3://bucket"]  # c: a drive
NO_URLS += ["zip::s3://bucket/a.zip", Path("s3://bucket/a.jpg"), None]


@pytest.mark.parametrize(("path", "expected"), [(url, True) for url in URLS] + [(path, False) for path in NO_URLS])
def test_what_is_a_url(path, expected):
    assert is_url(path) is expected


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("/data", "a/b.jpg", "/data/a/b.jpg"),
        ("", "b.jpg", "b.jpg"),
        ("s3://bucket", "b.jpg", "s3://bucket/b.jpg"),
        ("s3://bucket/a/", "b.jpg", "s3://bucket/a/b.jpg"),
        ("s3://bucket/a", "b c#1?.jpg", "s3://bucket/a/b c#1?.jpg"),
        ("https://host/a", "b.jpg", "https://host/a/b.jpg"),
        ("https://host/a/?sig=1%2F2", "b.jpg", "https://host/a/b.jpg?sig=1%2F2"),
        ("https://host", "b#1?.jpg", "https://host/b%231%3F.jpg"),
        ("memory://a", "b/c.jpg", "memory://a/b/c.jpg"),
    ],
)
def test_joining(folder, name, expected):
    assert join(folder, name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("b.jpg", "s3://bucket/a/b.jpg"),
        ("c/../b.jpg", "s3://bucket/a/b.jpg"),
        ("./c//b.jpg", "s3://bucket/a/c/b.jpg"),
        ("..b.jpg", "s3://bucket/a/..b.jpg"),
        ("100%.jpg", "s3://bucket/a/100%.jpg"),
        ("a%20b.jpg", "s3://bucket/a/a%20b.jpg"),
        ("c\\b.jpg", "s3://bucket/a/c\\b.jpg"),
        ("c/http://host/b.jpg", "s3://bucket/a/c/http:/host/b.jpg"),
        ("Ä/ö.jpg", "s3://bucket/a/Ä/ö.jpg"),
        *((name, None) for name in LEAVING),
    ],
)
def test_a_name_stays_inside_its_folder(name, expected):
    assert joined_inside("s3://bucket/a", name) == expected


@pytest.mark.parametrize(
    ("path", "folder", "name"),
    [
        ("/data/a.json", "/data", "a.json"),
        ("a.json", ".", "a.json"),
        ("what?.json", ".", "what?.json"),
        ("s3://bucket/set/a.json", "s3://bucket/set", "a.json"),
        ("s3://bucket/what?.json", "s3://bucket", "what?.json"),
        ("https://host/set/a.json?sig=1/2", "https://host/set?sig=1/2", "a.json"),
        ("https://host/a.json#b", "https://host/#b", "a.json"),
    ],
)
def test_the_parts_of_a_path(path, folder, name):
    assert (folder_of(path), file_name(path)) == (folder, name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/a.jpg", "/data/a.jpg"),
        ("/data/what?.jpg", "/data/what?.jpg"),
        ("s3://bucket/a@2x.jpg", "s3://bucket/a@2x.jpg"),
        ("https://me:word@host/a.jpg", "https://host/a.jpg"),
        ("https://me:w@rd@host/a@2x.jpg?X-Amz-Signature=abc&b=1", "https://host/a@2x.jpg?..."),
        ("sftp://me@host/a.jpg", "sftp://host/a.jpg"),
    ],
)
def test_what_is_shown_has_no_secret(path, expected):
    assert shown(path) == expected
