"""Forms with files: whole ones arrive as they were sent, and everything else is refused."""

from __future__ import annotations

import io
import os
from hashlib import sha256
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import (
    FileUploadHandler,
    SkipFile,
    StopUpload,
    TemporaryFileUploadHandler,
)
from hypothesis import given
from hypothesis import strategies as st

from http_hardening.errors import FileTooLarge, InvalidMultipart
from http_hardening.multipart import MultipartReader, boundary_of

pytestmark = [pytest.mark.urls("tests.http_hardening.urls")]
FORM = "multipart/form-data; boundary=b-1"
FILE = b'Content-Disposition: form-data; name="file"; filename="a.txt"'
TEXT = FILE + b"\r\nContent-Type: text/plain; charset=utf-8"


def body(*parts, end=b"--b-1--\r\n"):
    return (
        b"".join(b"--b-1\r\n" + head + b"\r\n\r\n" + value + b"\r\n" for head, value in parts) + end
    )


def field(name, value=b"x"):
    return b'Content-Disposition: form-data; name="%s"' % name, value


def send(client, sent, content_type=FORM):
    return client.post("/api/upload", sent, content_type)


class Slow(io.BytesIO):
    """Read a few bytes at a time, as from a slow line."""

    def __init__(self, sent, step):
        super().__init__(sent)
        self.step = step

    def read(self, size=-1):
        return super().read(min(size, self.step))


def read(sent, *, step=64 * 1024, longest_bytes=10**6):
    reader = MultipartReader(Slow(sent, step), boundary=b"b-1", longest_bytes=longest_bytes)
    return [(part.name, part.file_name, b"".join(reader.content())) for part in reader.parts()]


def test_a_form_of_django_s_client_arrives_as_it_was_sent(client):
    file = SimpleUploadedFile("é.txt", b"text\r\n--b", "text/plain")
    answer = client.post("/api/upload", {"note": "ü", "file": file})
    assert answer.status_code == 201, answer.content
    assert answer.json() == {
        "note": "ü",
        "files": [["é.txt", "text/plain", 9, sha256(b"text\r\n--b").hexdigest()]],
        "in_memory": [True],
    }


def test_a_long_file_goes_to_the_disk_chunk_by_chunk(client, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    content = os.urandom(300_000)
    answer = client.post("/api/upload", {"file": SimpleUploadedFile("a.bin", content)})
    ((_, _, size, digest),) = answer.json()["files"]
    assert (size, digest) == (300_000, sha256(content).hexdigest())
    assert answer.json()["in_memory"] == [False]


CONTENTS = st.binary(max_size=80) | st.sampled_from([b"\r\n", b"\r\n--b-", b"--b-1", b"\r", b"-"])


@given(
    contents=st.lists(CONTENTS | st.tuples(CONTENTS, CONTENTS).map(b"".join), max_size=4),
    step=st.integers(1, 40),
)
def test_whatever_the_parts_hold_and_however_slowly_they_come_they_arrive(contents, step):
    contents = [c for c in contents if b"\r\n--b-1" not in b"\r\n" + c + b"\r\n"]
    sent = body(*(field(b"f%d" % i, c) for i, c in enumerate(contents)))
    assert read(sent, step=step) == [(f"f{i}", None, c) for i, c in enumerate(contents)]


def test_a_body_that_is_cut_anywhere_is_refused():
    sent = body(field(b"a", b"1"), (TEXT, b"some text"), end=b"--b-1--")
    assert len(read(sent)) == 2
    for length in range(len(sent)):
        with pytest.raises(InvalidMultipart):
            read(sent[:length], step=7)


@given(st.binary(max_size=200), st.integers(1, 9))
def test_nonsense_is_refused(sent, step):
    for nonsense in (sent, b"--b-1\r\n" + sent, b"--b-1\r\n" + FILE + b"\r\n\r\n" + sent):
        with pytest.raises(InvalidMultipart):
            read(nonsense, step=step)


HEADS = {
    "no head": b"",
    "no disposition": b"Content-Type: text/plain",
    "no name": b"Content-Disposition: form-data",
    "an empty name": b'Content-Disposition: form-data; name=""',
    "another disposition": b'Content-Disposition: attachment; name="a"',
    "a bare name": b"Content-Disposition: form-data; name=a",
    "two dispositions": FILE + b"\r\n" + FILE,
    "two names": b'Content-Disposition: form-data; name="a"; name="b"',
    "an extended file name": FILE + b"; filename*=UTF-8''b.txt",
    "an escaped quotation mark": b'Content-Disposition: form-data; name="a\\"b"',
    "a path": FILE.replace(b"a.txt", b"../a.txt"),
    "a path of Windows": FILE.replace(b"a.txt", b"C:\\a.txt"),
    "dots": FILE.replace(b"a.txt", b".."),
    "no file chosen": FILE.replace(b"a.txt", b""),
    "a file name that reads backwards": FILE.replace(b"a.txt", "a\u202etxt.exe".encode()),
    "a long file name": FILE.replace(b"a.txt", b"a" * 256),
    "a long name": b'Content-Disposition: form-data; name="%s"' % (b"a" * 101),
    "no UTF-8": FILE.replace(b"a.txt", b"\xff"),
    "a NUL": FILE.replace(b"a.txt", b"a\x00.txt"),
    "a folded header": FILE + b"\r\n folded: 1",
    "a header that is none": FILE + b"\r\nnonsense",
    "base64": FILE + b"\r\nContent-Transfer-Encoding: base64",
    "a long head": FILE + b"\r\nX: " + b"a" * 2048,
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_head_that_two_readers_may_read_differently_is_refused(client, head):
    answer = send(client, body((head, b"eA==")))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_multipart")
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("sent", "code", "status"),
    [
        (b"preamble\r\n" + body(field(b"note")), "invalid_multipart", 400),
        (body(field(b"note"), end=b"--b-1--\r\nepilogue"), "invalid_multipart", 400),
        (body(field(b"note"), end=b"--b-1 --\r\n"), "invalid_multipart", 400),
        (body(field(b"note"), field(b"note")), "duplicate_part", 400),
        (body((TEXT, b"1"), (TEXT, b"2")), "duplicate_part", 400),
        (body(field(b"file"), (TEXT, b"2")), "duplicate_part", 400),
        (body(*(field(b"n%d" % i) for i in range(21))), "too_many_parts", 400),
        (
            body(*((FILE.replace(b'"file"', b'"f%d"' % i), b"x") for i in range(3))),
            "too_many_parts",
            400,
        ),
        (body(field(b"note", b"a" * 1001)), "body_too_large", 413),
        (body(field(b"note", b"\xff")), "invalid_encoding", 400),
        (body(field(b"note", b"a\x00b")), "invalid_encoding", 400),
        (body((TEXT, b"a" * 5000)), "file_too_large", 413),
        (body(field(b"unknown")), "validation_failed", 400),
    ],
)
def test_a_form_that_is_too_much_or_not_ours_is_refused(client, settings, sent, code, status):
    settings.HTTP_HARDENING_LONGEST_UPLOAD_BYTES = 5000
    answer = send(client, sent)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_false_length_is_no_way_around_the_limit():
    with pytest.raises(FileTooLarge):
        read(body((TEXT, b"a" * 5000)), longest_bytes=5000, step=100)


@pytest.mark.parametrize(
    "media_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=a b",
     "multipart/form-data; boundary=a; boundary=b", "multipart/form-data; boundary=" + "a" * 71]
)  # fmt: skip
def test_a_boundary_that_is_none_is_refused(client, media_type):
    with pytest.raises(InvalidMultipart):
        boundary_of(media_type)
    assert send(client, body(field(b"note")), media_type).status_code == 400
    assert boundary_of('multipart/form-data; charset=utf-8; boundary="b-1"') == b"b-1"


def test_harmless_headers_of_a_part_are_let_be(client):
    head = TEXT + b"\r\nContent-Transfer-Encoding: binary\r\nContent-Length: 9"
    assert send(client, body((head, b"x"))).status_code == 201


def test_what_came_before_a_refusal_is_not_left_on_the_disk(
    client, settings, monkeypatch, tmp_path
):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    settings.FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
    seen = []
    receive = TemporaryFileUploadHandler.receive_data_chunk

    def look(handler, *args):
        seen.append(len(list(Path(tmp_path).iterdir())))
        return receive(handler, *args)

    monkeypatch.setattr(TemporaryFileUploadHandler, "receive_data_chunk", look)
    more = FILE.replace(b'"file"', b'"more"')
    assert (
        send(client, body((TEXT, b"a" * 200_000), (more, b"b"), field(b"file"))).status_code == 400
    )
    assert send(client, body((TEXT, b"a" * 200_000), end=b"")).status_code == 400
    assert max(seen) == 2
    assert list(tmp_path.iterdir()) == []


class Refuses(FileUploadHandler):
    raised: Exception = SkipFile()

    def new_file(self, *args):
        raise self.raised


def test_a_handler_may_skip_a_file_or_stop_the_upload(client, settings, monkeypatch):
    settings.FILE_UPLOAD_HANDLERS = [f"{__name__}.Refuses"]
    monkeypatch.setattr("django.core.files.uploadhandler.import_string", lambda path: Refuses)
    answer = send(client, body((TEXT, b"a" * 100_000), field(b"note", b"kept")))
    assert answer.json()["files"] == []
    assert answer.json()["note"] == "kept"
    monkeypatch.setattr(Refuses, "raised", StopUpload())
    assert send(client, body((TEXT, b"a"))).json()["code"] == "invalid_multipart"


def test_an_empty_file_and_an_empty_field_are_what_they_are(client):
    answer = send(client, body((TEXT, b""), end=b"--b-1--"))
    assert answer.json()["files"] == [["a.txt", "text/plain", 0, sha256(b"").hexdigest()]]
    assert read(body(field(b"a", b""))) == [("a", None, b"")]
    assert read(b"--b-1--") == []
