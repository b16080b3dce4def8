import bz2
import sys

import pytest

from herdbook.errors import CorpusError
from herdbook.wikipedia import _EXCERPT, prose, read_wikipedia

SENTENCE = (
    "The aardvark is a nocturnal mammal of Africa, and it digs for ants and termites with its strong claws, "
    "which is why people call it an earth pig. "
)
PAGE = "<page><title>{title}</title><ns>0</ns><revision><text>{text}</text></revision></page>"


@pytest.fixture
def excerpt(tmp_path, monkeypatch):
    """The path of a stand-in for the excerpt, in a package that must not be imported."""
    path = tmp_path / "gensim" / _EXCERPT
    path.parent.mkdir(parents=True)
    (tmp_path / "gensim/__init__.py").write_text("raise ImportError('gensim was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gensim", raising=False)
    return path


def write_dump(path, *pages):
    body = "".join(PAGE.format(title=title, text=text) for title, text in pages)
    path.write_bytes(bz2.compress(f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">{body}</mediawiki>'.encode()))


def test_articles_carry_title_text_source_licence_and_url(excerpt):
    write_dump(
        excerpt, ("Earth pig (A&amp;B) é", SENTENCE * 10), ("Short", SENTENCE), ("Moved", "#redirect [[Earth pig]] " + SENTENCE * 10)
    )
    assert list(read_wikipedia()) == [
        {
            "title": "Earth pig (A&B) é",
            "text": (SENTENCE * 10).strip(),
            "source": "English Wikipedia excerpt in gensim 4.4.0",
            "licence": "CC BY-SA 3.0",
            "url": "https://en.wikipedia.org/wiki/Earth_pig_(A%26B)_%C3%A9",
        }
    ]


def test_a_missing_package_is_one_line_that_names_the_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CorpusError, match=r"pip install gensim==4\.4\.0"):
        list(read_wikipedia())


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"not bz2", lambda b: bz2.compress(b"<mediawiki><page>")])
def test_a_damaged_excerpt_is_refused(excerpt, damage):
    write_dump(excerpt, ("A", SENTENCE * 10))
    excerpt.write_bytes(damage(excerpt.read_bytes()))
    with pytest.raises(CorpusError, match="not a whole dump"):
        list(read_wikipedia())


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("'''Bold''' and [[Target|shown]] and [http://x.org named]", "Bold and shown and named"),
        ('a<ref name="x/y" /> b<ref>lost {{cite web|x}}</ref> c<references/>', "a b c"),
        ("[[File:A.jpg|thumb|a [[linked]] caption]]kept", "kept"),
        ("{| class=x\n| cell\n|}kept", "kept"),
        ("Achilles ({{IPAc-en|x}}; {{lang|grc|Ἀχιλλεύς}}, {{IPA|y}})", "Achilles (Ἀχιλλεύς)"),
        ("Albedo ({{IPA|x}}) is", "Albedo is"),
        ("runs {{convert|5|km|mi}} or {{convert|2|to|3|km|mi}} , ''{{nowrap|so far}}''", "runs 5 km or 2 to 3 km, so far"),
        ("&lt;b&gt; 1 &amp; 2", "<b> 1 & 2"),
    ],
)
def test_prose_keeps_what_a_reader_sees(markup, text):
    assert prose(f"{markup}. {SENTENCE}") == f"{text}. {SENTENCE.strip()}"


def test_prose_ends_where_the_closing_sections_begin_and_leaves_out_lists_and_headings():
    markup = f"{SENTENCE}\n== History ==\n* item\n{SENTENCE}\nToo short.\n== See also ==\n{SENTENCE}"
    assert prose(markup) == "\n".join([SENTENCE.strip()] * 2)


def test_the_real_excerpt_has_92_articles_of_clean_prose():
    articles = list(read_wikipedia())
    text = "\n".join(article["text"] for article in articles)
    assert len(articles) == 92
    assert len(text.split()) == 403_570
    assert not [mark for mark in ("{{", "}}", "[[", "]]", "<ref", "|thumb", "()", "  ", " ,") if mark in text]
    assert "gensim" not in sys.modules
