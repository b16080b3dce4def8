"""The excerpt of the English Wikipedia that the gensim package carries: 92 articles, readable offline.

It is the first pages of the dump `enwiki-latest-pages-articles1.xml-p000000010p000030302`, shortened by
gensim's authors for their tests. Its newest revision is of 1 May 2016 (the file's own timestamps), when
Wikipedia's text was under CC BY-SA 3.0 Unported; 4.0 governs edits since June 2023 only (Wikimedia Terms of
Use). The package does not restate the licence. Attribution is by article url."""

import bz2
import importlib.util
import re
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from herdbook.errors import CorpusError

if TYPE_CHECKING:
    from mwparserfromhell.nodes import Template

# Told what is read and how much of it there is; what it returns, how much more was read. (As phases.Begin, which no stage needs.)
Begin = Callable[[str, int], Callable[[int], object]]

SOURCE = "English Wikipedia excerpt in gensim 4.4.0"
LICENCE = "CC BY-SA 3.0"
_EXCERPT = "test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"

_REFERENCES = re.compile(r"<ref(?:erences)?\b[^>]*/>|<ref.*?</ref>", re.DOTALL)
_TABLES = re.compile(r"\{\|.*?\|\}", re.DOTALL)
_MEDIA = re.compile(r"\[\[(?:File|Image|Category)[^\[\]]*(?:\[\[[^\]]*\]\][^\[\]]*)*\]\]")
_BACK_MATTER = re.compile(r"\n[ \t]*(?:See also|References|External links|Notes|Further reading|Bibliography)[ \t]*\n")
_MADE_OF = {"to", "-", "–", "and", "by", "x"}  # {{convert|2|to|3|km}}
_HOLES = (  # what a template that is left out leaves behind in "Achilles ({{IPA|..}}; , Akhilleus, )"
    (re.compile(r"\s*\([\s,;:]*\)"), ""),
    (re.compile(r"\([\s,;:]+"), "("),
    (re.compile(r"[\s,;:]+\)"), ")"),
    (re.compile(r" {2,}"), " "),
    (re.compile(r" +,"), ","),
)
_MIN_PARAGRAPH_WORDS = 25
_MIN_ARTICLE_WORDS = 200


def read_wikipedia(begin: Begin = lambda phase, total: lambda count: None) -> Iterator[dict[str, str]]:
    """The articles of more than 200 words of prose: title, text, source, licence, url.

    `begin` is told how many bytes the file has, and what it returns how many more were read."""
    spec = importlib.util.find_spec("gensim")
    excerpt = Path(spec.origin).parent / _EXCERPT if spec and spec.origin else None
    if excerpt is None or not excerpt.is_file():
        raise CorpusError("corpus.source wikipedia needs the file that gensim 4.4.0 carries, not found; pip install gensim==4.4.0")
    for title, markup in _pages(excerpt, begin):
        text = prose(markup)
        if len(text.split()) > _MIN_ARTICLE_WORDS:
            url = "https://en.wikipedia.org/wiki/" + urllib.parse.quote(title.replace(" ", "_"), safe="/:,()'!*")
            yield {"title": title, "text": text, "source": SOURCE, "licence": LICENCE, "url": url}


def _pages(path: Path, begin: Begin) -> Iterator[tuple[str, str]]:
    try:
        with path.open("rb") as packed, bz2.open(packed) as file:
            advance, told = begin("bytes of the dump", path.stat().st_size), 0
            for _, element in ET.iterparse(file):
                if element.tag.rpartition("}")[2] == "page":
                    title, markup = (next((e.text or "" for e in element.iter() if e.tag.endswith(tag)), "") for tag in ("}title", "}text"))
                    if not markup.upper().startswith("#REDIRECT"):
                        yield title, markup
                    element.clear()
                    advance(packed.tell() - told)
                    told = packed.tell()
    except (EOFError, OSError, ET.ParseError) as error:
        raise CorpusError(f"{path}: not a whole dump ({error}); pip install --force-reinstall gensim==4.4.0") from error


def prose(markup: str) -> str:
    """The paragraphs of running text in wiki markup: 25 words or more, ended by a full stop or its like.

    Notes, tables, pictures and most templates are left out, and what they leave behind is closed up."""
    import mwparserfromhell

    code = mwparserfromhell.parse(_MEDIA.sub("", _TABLES.sub("", _REFERENCES.sub("", markup))))
    for template in code.filter_templates(recursive=code.RECURSE_OTHERS):
        if shown := _shown(template):
            code.replace(template, shown)
    text = _BACK_MATTER.split(code.strip_code())[0]
    for hole, closed in _HOLES:
        text = "\n".join(hole.sub(closed, line) for line in text.split("\n"))
    paragraphs = (line.strip() for line in text.split("\n") if not line.startswith("thumb|"))
    return "\n".join(p for p in paragraphs if len(p.split()) >= _MIN_PARAGRAPH_WORDS and p[-1] in '.!?")')


def _shown(template: "Template") -> str:
    """What a template says in running text; empty for those that say nothing a sentence needs."""
    values = [str(parameter.value).strip() for parameter in template.params if not parameter.showkey]
    match str(template.name).strip().lower(), values:
        case (("lang" | "transl"), [_, *_, last]):
            return last
        case "nowrap", [first, *_]:
            return first
        case "as of", [year, *_]:
            return f"As of {year}"
        case "convert", [low, between, high, unit, *_] if between in _MADE_OF:
            return f"{low} {between} {high} {unit}"
        case "convert", [number, unit, *_]:
            return f"{number} {unit}"
    return ""
