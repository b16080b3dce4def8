"""The README.md of a Hugging Face repository: metadata in YAML, as huggingface_hub reads it, and a page in Markdown."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herdbook.errors import one_line
from herdbook.journal_page import text as _escaped

if TYPE_CHECKING:
    from huggingface_hub import CardData, EvalResult

Facts = Mapping[str, Any]

_TEMPLATE = "card.md.j2"
_LICENCES = ("apache-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "mit", "unknown")  # as the Hub spells them
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_METRICS = {"held_out_loss_nats": "loss", "held_out_perplexity": "perplexity", "held_out_bits_per_byte": "bits_per_byte"}
_NAME = re.compile(r"[\w./:=*-]+")
_URL = re.compile(r"https?://[^\s<>\"'`\\|]+")


class _Markdown(str):
    """Markdown that was made as such, and is printed as it is."""


def page(facts: Facts) -> str:
    """The card of what `card.facts` tells, read back by huggingface_hub before it is given."""
    from huggingface_hub import DatasetCard, ModelCard
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=False, finalize=_shown, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"code": _code, "link": _link, "share": _share, "written": _written, "json": _json}
    body = environment.get_template(_TEMPLATE).render(facts=facts)
    kind = ModelCard if facts["is_model"] else DatasetCard
    return str(kind(f"---\n{metadata(facts).to_yaml()}\n---\n{body}"))


def metadata(facts: Facts) -> "CardData":
    """The YAML at the head of a card: what the Hub searches by, and which files `datasets` loads."""
    from huggingface_hub import DatasetCardData, ModelCardData

    common: dict[str, Any] = {"language": facts["language"], "tags": _tags(facts), **_licence(facts)}
    if facts["is_model"]:
        results, name = list(_results(facts)), one_line(facts["name"])
        named: dict[str, Any] = {"model_name": name, "eval_results": results} if results else {}
        return ModelCardData(library_name="transformers", pipeline_tag="text-generation", **named, **common)
    return DatasetCardData(
        pretty_name=one_line(facts["name"]),
        language_creators=_creators(facts["composition"]) or None,
        size_categories=_size(facts["num_rows"]),
        task_categories=["text-generation"],
        configs=[
            {"config_name": one_line(name), "data_files": [{"split": facts["split"], "path": one_line(place)}]}
            for name, place in facts["tables"].items()
        ],
        **common,
    )


def _tags(facts: Facts) -> list[str]:
    return ["herdbook", "model-collapse", *(["synthetic"] if facts["synthetic_share"]["rows"] else [])]


def _licence(facts: Facts) -> dict[str, Any]:
    """The licences of the human text that a dataset holds; what binds the text of a model, or the model, no record says."""
    if not facts["holds_human_text"]:
        return {"license": "unknown"}
    names = sorted({source["licence"] for source in facts["sources"]})
    known = [name.lower().replace(" ", "-") for name in names]
    if names and all(name in _LICENCES for name in known):
        return {"license": known[0] if len(known) == 1 else known}
    return {"license": "other", "license_name": one_line(", ".join(names))}


def _creators(composition: Mapping[str, Any]) -> list[str]:
    return ["found"] * ("human" in composition) + ["machine-generated"] * any(origin != "human" for origin in composition)


def _size(num_rows: int | None) -> str | None:
    return None if num_rows is None else next((name for limit, name in _SIZES if num_rows < limit), "n>10M")


def _results(facts: Facts) -> Iterator["EvalResult"]:
    from huggingface_hub import EvalResult

    for name, metric in _METRICS.items():
        if (value := facts["loss"]["this model"].get(name)) is not None:
            yield EvalResult(
                task_type="text-generation", dataset_type="human/held_out", dataset_name=f"human/held_out of book {facts['root'][:12]}",
                metric_type=metric, metric_name=name, metric_value=value,
            )  # fmt: skip


def _shown(value: Any) -> Any:
    """What an expression of the template prints: Markdown that was made as such, or anything else as text without effect."""
    match value:
        case _Markdown():
            return value
        case None:
            return "unknown"
        case bool() | str():
            return _text(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case _:
            return _text(value)


def _text(value: object) -> str:
    """Any text as Markdown; white space before it could make a heading or a list of what follows."""
    return _escaped(str(value).strip()) or "(empty)"


def _code(value: object) -> _Markdown:
    """A name in the type of code, where it is of characters that cannot end it."""
    return _Markdown(f"`{value}`") if _NAME.fullmatch(str(value)) else _Markdown(_text(value))


def _link(document: Mapping[str, str]) -> _Markdown:
    """A title that leads to its address, where that is one of the web."""
    title, url = _text(document["title"]), document["url"]
    return _Markdown(f"[{title}](<{url}>)") if _URL.fullmatch(url) and url.isprintable() else _Markdown(title)


def _share(value: float | None) -> _Markdown:
    return _Markdown("unknown" if value is None else f"{value:.1%}")


def _written(composition: Mapping[str, Mapping[str, int]]) -> str:
    """A composition in a phrase."""
    return "; ".join(f"{origin} {count['rows']:,} rows, {count['tokens']:,} tokens" for origin, count in composition.items())


def _json(value: object) -> str:
    found = json.dumps(value, sort_keys=True)
    return _Markdown(found) if isinstance(value, int | float) else found
