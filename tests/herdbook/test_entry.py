import json

import pytest

from herdbook.entry import SCHEMA, parse_entry
from herdbook.errors import BookError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an entry"),
        (b'{"schema": "1"}', "not an entry"),
        (b'{"schema": 1}', "an entry without name"),
        (f'{{"schema": {SCHEMA + 1}}}'.encode(), f"of schema {SCHEMA + 1}, this version reads up to {SCHEMA}; install a newer herdbook"),
    ],
)
def test_what_is_no_entry_is_refused_in_one_line(text, message):
    with pytest.raises(BookError, match=message) as refused:
        parse_entry(text, "book/entries/x.json")
    assert str(refused.value).startswith("book/entries/x.json: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("change", [{"receipt": {}}, {"profile": 3}, {"receipt": {"path": "a", "sha256": 1}}])
def test_an_inspection_of_another_form_is_refused_in_one_line(bred, change):
    entry = json.loads((bred / "book/entries/human/train.json").read_text())
    entry["inspection"] |= change
    with pytest.raises(BookError, match="here: inspection is not of the form that an entry has"):
        parse_entry(json.dumps(entry).encode(), "here")
