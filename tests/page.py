"""The report as a test reads it."""

from html.parser import HTMLParser

from herdbook.layout import PARAMS
from herdbook.params import read_params
from herdbook.report.page import page
from herdbook.report.run import Run, read_run

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp; {{ 7 * 7 }} <!-- <b>"


class Page(HTMLParser):
    """What a browser would find: elements, the text of scripts, all other text, addresses asked for."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.words, self.attributes, self.blocks, self._in_script = [], [], [], [], {}, False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")
            self.blocks[dict(attrs).get("id")] = len(self.scripts) - 1

    def handle_endtag(self, tag):
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data
        else:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def block(self, name):
        """The text of the JSON block with this id."""
        return self.scripts[self.blocks[name]]


def run_here() -> Run:
    """All that the report of the working directory tells of."""
    return read_run(read_params(PARAMS))


def rendered(bundle="window.vegaEmbed = null;"):
    """The page as it stands in the working directory, without the charting library."""
    return page(run_here(), bundle)
