import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herdbook.chain import FIRST, canonical_line, linked, parse_chain, read_chain, write_chain
from herdbook.errors import ClaimError
from herdbook.files import digest_bytes


def chain(*words):
    links = []
    for word in words:
        links.append(linked(links, {"word": word}))
    return links


def text_of(links):
    return "".join(f"{canonical_line(link)}\n" for link in links)


def test_each_line_is_numbered_and_names_the_one_before_by_its_bytes():
    first, second = chain("a", "b")
    assert (first["number"], first["previous"]) == (1, FIRST)
    assert canonical_line(first) == f'{{"number":1,"previous":"{"0" * 64}","word":"a"}}'
    assert (second["number"], second["previous"]) == (2, digest_bytes(canonical_line(first).encode()))


def test_what_is_written_is_read_again_and_no_file_is_an_empty_chain(tmp_path):
    links = chain("a", "ü\n\u202e", "c")
    write_chain(tmp_path / "new" / "chain.jsonl", links)
    assert read_chain(tmp_path / "new" / "chain.jsonl") == links
    assert read_chain(tmp_path / "none.jsonl") == parse_chain("", "chain.jsonl") == []
    assert (tmp_path / "new" / "chain.jsonl").read_bytes().isascii()


@given(st.integers(0, 10_000), st.integers(0, 6))
def test_one_flipped_bit_in_any_line_but_the_last_is_found(place, bit):
    data = text_of(chain("a", "b", "c")).encode()
    place %= data.rindex(b"\n", 0, -1)
    altered = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
    with pytest.raises(ClaimError, match=r"chain\.jsonl: line [123]"):
        parse_chain(altered.decode("utf-8", errors="replace"), "chain.jsonl")


@pytest.mark.parametrize(
    ("damage", "line", "words"),
    [
        (lambda lines: lines[1:], 1, "must be number 1"),
        (lambda lines: [lines[0], lines[2]], 2, "must be number 2"),
        (lambda lines: [lines[1], lines[0], lines[2]], 1, "moved or removed"),
        (lambda lines: [lines[0].replace('"a"', '"A"'), *lines[1:]], 2, "the line before it was altered"),
        (lambda lines: [lines[0], "nonsense", lines[2]], 2, "no JSON object"),
        (lambda lines: [lines[0], "[]", lines[2]], 2, "no JSON object"),
        (lambda lines: [lines[0].replace(",", ", "), *lines[1:]], 1, "as herdbook writes them"),
        (lambda lines: [lines[0] + "\r", *lines[1:]], 1, "as herdbook writes them"),
        (lambda lines: [lines[0], "[" * 100_000, lines[2]], 2, "no JSON object"),
        (lambda lines: [lines[0], '{"number":2,"previous":NaN}', lines[2]], 2, "no JSON object"),
    ],
)
def test_damage_is_named_with_its_line(damage, line, words):
    lines = text_of(chain("a", "b", "c")).splitlines()
    with pytest.raises(ClaimError, match=rf"^chain\.jsonl: line {line}.*{words}.*git checkout chain\.jsonl$"):
        parse_chain("".join(f"{line}\n" for line in damage(lines)), "chain.jsonl")


def test_a_chain_cut_within_a_line_or_not_of_text_is_refused(tmp_path):
    with pytest.raises(ClaimError, match="line 2 has no end"):
        parse_chain(text_of(chain("a", "b"))[:-1], "chain.jsonl")
    (tmp_path / "chain.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(ClaimError, match="cannot be read"):
        read_chain(tmp_path / "chain.jsonl")
    (tmp_path / "chain.jsonl").write_bytes(text_of(chain("a")).replace("\n", "\r\n").encode())
    with pytest.raises(ClaimError, match="line 1"):
        read_chain(tmp_path / "chain.jsonl")


def test_a_key_that_stands_twice_is_refused():
    line = canonical_line(chain("a")[0])
    twice = line[:-1] + ',"word":"a"}'
    assert json.loads(twice) == json.loads(line)
    with pytest.raises(ClaimError, match="line 1"):
        parse_chain(f"{twice}\n", "chain.jsonl")
