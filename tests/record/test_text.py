"""What others wrote reaches a terminal as text, and a file as what it was."""

import json
from pathlib import Path

import pytest

from multimae.record.endings import Exit
from multimae.record.files import read_json, write_json
from multimae.record.spool import Spool
from multimae.record.text import one_line, printable

TITLE = "\x1b]0;owned\x07 at 10 %\r99 %"
NOT_UTF8 = "caf\udce9.png"
"""The name that Python gives a file called b"caf\\xe9.png"."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TITLE, r"\x1b]0;owned\x07 at 10 %\r99 %"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("a\u202egnp.b\u2066", r"a\u202egnp.b\u2066"),
        (NOT_UTF8, r"caf\udce9.png"),
        ("two\nlines\tand äöü 中 [/red] $x$", "two\nlines\tand äöü 中 [/red] $x$"),
    ],
)
def test_only_what_a_terminal_would_obey_is_spelt_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).encode()


def test_a_line_of_a_log_is_one_line() -> None:
    assert one_line("first\r\n  10:00 run: finished\n") == "first 10:00 run: finished"


def test_an_ending_keeps_a_message_that_no_file_could_hold(tmp_path: Path) -> None:
    Exit.of("data", message=f"{TITLE} in {NOT_UTF8}", time=1.0).write(tmp_path / "exit.json")
    read = Exit.read(tmp_path / "exit.json")
    assert read is not None
    assert read.message == rf"{printable(TITLE)} in caf\udce9.png"


def test_a_message_that_was_written_raw_is_printable_once_read(tmp_path: Path) -> None:
    (tmp_path / "exit.json").write_text(json.dumps({"kind": "error", "message": TITLE}))
    read = Exit.read(tmp_path / "exit.json")
    assert read is not None
    assert "\x1b" not in read.message


def test_a_name_that_is_no_utf8_survives_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": NOT_UTF8, "other": "ä"})
    assert read_json(tmp_path / "a.json") == {"name": NOT_UTF8, "other": "ä"}
    spool = Spool(tmp_path / "1.jsonl")
    spool.write("artifact", name=NOT_UTF8)
    spool.close()
    assert json.loads((tmp_path / "1.jsonl").read_text())["name"] == NOT_UTF8
