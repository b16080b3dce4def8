"""What a section of the report is: a module with `section(run) -> Section`, and its templates beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page, which is NAME.html.j2, rendered with `context`.

    Where there are, NAME.css.j2 joins the style of the page and NAME.js.j2 its scripts, both as they are; the script finds
    each value of `data` by report.data(id). All text is hostile: the page makes controls visible in what is rendered and
    in `data`, the template escapes, and a script writes text by textContent alone."""

    name: str  # of the module, of its templates, and the id of its <section>
    link: str  # in the navigation
    context: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)  # id of a block -> value for JSON
