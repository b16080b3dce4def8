"""The site is built from what is there, asks nobody for anything, and its pages do what they say."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml

from docs import generated
from herdbook import cli_book, layout, run, schema
from herdbook.cli import app
from herdbook.figures import FIGURES
from herdbook.report.page import SECTIONS
from tests import miniature
from tests.flows.browser import browser, needs_browser, requested
from tests.miniature import ROOT

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDED = "--- the block ended"
PATTERNS = {"digest": r"[0-9a-f]{12,64}", "figure": r"-?[\d.]+(?:±[\d.]+)?", "space": r"\s+"}
FREE = re.compile(r"(?P<digest>\b[0-9a-f]{12,64}\b)|(?P<figure>-?\d+(?:\.\d+)?(?:±[\d.]+)?)|(?P<space>\s+)")
COMMANDS = sorted(typer.main.get_command(app).commands)


# The site


@pytest.fixture(scope="module")
def site(shared):
    """The site, built strictly."""

    def make(folder: Path) -> None:
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr

    return shared("site", make)


class Page(HTMLParser):
    """What a page of the site loads, leads to, and can be led to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: set[str] = set()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if "src" in given:
            self.loads.add(given["src"])
        if tag == "link":
            self.loads.add(given["href"])
        if tag == "a" and "href" in given:
            self.links.add(given["href"])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_no_page_loads_anything_from_another_machine(site, pages):
    for path, page in pages.items():
        assert not [url for url in page.loads if urlsplit(url).netloc], path
        assert all((path.parent / unquote(urlsplit(url).path)).exists() for url in page.loads), path
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_every_link_of_the_site_leads_somewhere(site, pages):
    for path, page in pages.items():
        for url in page.links:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path}: {url}"
            if parts.fragment and target in pages and not parts.fragment.startswith("__"):
                assert unquote(parts.fragment) in pages[target].ids, f"{path}: {url}"


@needs_browser
def test_from_disk_it_searches_and_asks_no_other_machine_and_logs_no_error(site):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support import expected_conditions as until
    from selenium.webdriver.support.ui import WebDriverWait

    with browser() as driver:
        wait = WebDriverWait(driver, 60)
        driver.get((site / "reference/tables.html").as_uri())
        driver.execute_script("document.querySelector('label[for=__search]').click()")
        wait.until(until.element_to_be_clickable((By.CSS_SELECTOR, "input.md-search__input"))).send_keys("waiver")
        wait.until(until.text_to_be_present_in_element((By.CSS_SELECTOR, ".md-search-result__meta"), "matching documents"))
        assert requested(driver) == set()
        assert driver.get_log("browser") == []


def test_every_document_is_in_the_navigation_and_links_of_all_of_them_lead_somewhere():
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert written == set(re.findall(r"\b[\w/]+\.md$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    for name in written:
        for target in re.findall(r"\]\(([^)#:]+)[)#]", (DOCS / name).read_text()):
            assert ((DOCS / name).parent / target).exists(), f"{name}: {target}"


def test_a_link_out_of_the_documents_becomes_the_path_it_is_of():
    assert generated.within_docs("[a](../params.yaml) [b](c.md#d)", "x.md") == "a (`params.yaml`) [b](c.md#d)"
    assert generated.within_docs("[a](../x.md) [b](../../dvc.yaml)", "own/y.md") == "[a](../x.md) b (`dvc.yaml`)"


def test_a_bar_in_code_within_a_table_is_a_bar():
    assert generated.plain_bars(r"| `a\|b` | c \| d |") == r"| `a|b` | c \| d |"


# The reference


def keys(value: Any, path: tuple[str, ...] = ()) -> set[str]:
    """Every key of a document, as the reference writes it."""
    if path and path[-1] in ("task", "teacher", "generations", "bred", "births", "seeds", "steps", "config", "decoding"):
        return {".".join(path)}
    if isinstance(value, list):
        return {key for item in value for key in keys(item, path)}
    if isinstance(value, dict):
        named = path in (("regimes",), ("decodings",))
        return {key for name, inner in value.items() for key in keys(inner, (*path, "NAME" if named else name))}
    return {".".join(path)}


def test_the_reference_tells_every_key_of_params_yaml_and_no_other():
    told = {key for key, _ in generated.PARAMS_ROW.findall((DOCS / generated.PARAMS_PAGE).read_text())}
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    document["regimes"]["replace"]["mixture"] = {"num_tokens": 1, "sources": [{"source": "human", "fraction": 1.0, "epochs": 1.0}]}
    document["decodings"]["cooled"]["prompts"] = "human"  # it may be left out
    assert told == keys(document) - {"regimes.NAME.mixture"}


def test_what_is_allowed_and_what_stands_there_come_from_the_code():
    page = generated.with_allowed((DOCS / generated.PARAMS_PAGE).read_text())
    assert "`prepare.block_tokens` | tokens of a row, at most | whole number ≥ 2 and ≤ 1e+06 | `64` |" in page
    assert "| `wikipedia`, `files`, `huggingface`, `task` | `wikipedia` |" in page
    assert "| number > 0 and ≤ 1 or null | `0.7` |" in page
    assert "| `steps`, `epochs` or `{epochs}` |  |" in page


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_has_the_help_of_every_command(command):
    assert f"## `herdbook {command}`" in generated.commands()


@pytest.mark.parametrize("table", ["ROWS", "HANDS", "CORPUS"])
def test_the_reference_has_every_column_of_a_table(table):
    assert re.findall(r"^\| `(\w+)`", generated.columns(table), flags=re.MULTILINE) == getattr(schema, table).names


def test_the_reference_has_every_figure():
    assert re.findall(r"^\| `(\w+)`", generated.figures(), flags=re.MULTILINE) == [figure.column for figure in FIGURES]


def test_the_reference_names_every_place_of_the_layout():
    page = (DOCS / "reference/files.md").read_text()
    for name, path in vars(layout).items():
        if isinstance(path, Path) and name != "CODE":
            assert path.name in page, path


def test_exit_statuses_are_those_of_the_code():
    from flows.__main__ import INTERRUPTED
    from herdbook.cli_project import STALE

    told = dict(re.findall(r"^\| (\d+) \| (.+?) \|", (DOCS / "reference/exit.md").read_text(), flags=re.MULTILINE))
    assert {int(status) for status in told} == {
        0, 1, 2, run.LINEAGES_STOPPED, cli_book.FOUND, run.CALIBRATION_FAILED, STALE, INTERRUPTED,
    }  # fmt: skip


def test_the_page_on_the_report_has_its_sections_in_their_order():
    told = re.findall(r"^\| ([A-Z]\w+) \|", (DOCS / "howto/report.md").read_text(), flags=re.MULTILINE)
    assert [name.lower() for name in told] == [module.__name__.rpartition(".")[2] for module in SECTIONS]


def test_what_explanations_quote_is_what_stands_there():
    readme, words = (ROOT / "README.md").read_text(), (DOCS / "verdicts.md").read_text()
    assert re.search(r"^> (.+)\.$", words, flags=re.MULTILINE).group(1) in readme
    assert re.search(r"\*(this design [^*]+)\*", words).group(1).replace("80 %", "80%") in readme
    quoted = re.search(r"```yaml\n(.*?)```", (DOCS / "gate.md").read_text(), flags=re.DOTALL).group(1)
    assert quoted in (ROOT / "expectations/training_profile.yaml").read_text()


# What pages tell to do


def followed(page: str, root: Path, after: dict[str, str] | None = None) -> None:
    """Run the bash blocks of a page in one go; what each says must hold what the text block below it promises.

    `after` are lines of the test's own, to be run after the block that holds a given word."""
    blocks = BLOCK.findall((DOCS / page).read_text())
    script = ["trap 'echo \"ended with $?: $BASH_COMMAND\"' ERR"]
    for language, body in blocks:
        if language == "bash":
            script += [body, *(line for word, line in (after or {}).items() if word in body), f"echo '{ENDED}'"]
    words = ["bash", "-u", "-c", "\n".join(script)]
    done = subprocess.run(words, cwd=root, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = done.stdout.split(ENDED)
    failed = re.findall(r"^ended with (?!3: herdbook run|6: herdbook status).*", done.stdout, flags=re.MULTILINE)
    assert not failed, done.stdout
    number = -1
    for language, body in blocks:
        number += language == "bash"
        if language == "text":
            assert is_kept(body, said[number]), f"{page}: promises\n{body}\nbut it says\n{said[number]}"


def surroundings() -> dict[str, str]:
    """The environment of a reader whose shell finds what was installed, and whom git knows."""
    known = {f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **known, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}


def is_kept(promise: str, said: str) -> bool:
    """Whether what a page promises is said: `...` is anything; figures and digests may be others, and spaces more.

    Each part between dots is looked for after the one before: as one pattern a broken promise would be tried in too many ways to end."""
    end = 0
    for part in re.split(r"\s*\.\.\.\s*", promise.strip()):
        found = re.compile(pattern_of(part)).search(said, end)
        if not found:
            return False
        end = found.end()
    return True


def pattern_of(text: str) -> str:
    """What is said where a page has this text without dots."""
    pattern, end = "", 0
    for found in FREE.finditer(text):
        pattern += re.escape(text[end : found.start()]) + PATTERNS[str(found.lastgroup)]
        end = found.end()
    return pattern + re.escape(text[end:])


def test_a_promise_is_kept_by_other_figures_and_not_by_other_words():
    assert is_kept("g1 5.2±0.1 ...\nroot 0123456789abcdef", "x g1  4±0.03 waived\n\n root fedcba9876543210")
    assert not is_kept("1 finding", "1 fault")
    assert not is_kept("a ... b", "b a")
    assert not is_kept("1 ... 2 ... 3 ... 4 ... 5 ... end", "1 2 3 4 5 " * 5000)  # told at once


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What somebody who clones this project has, uncommitted work included."""
    root = tmp_path_factory.mktemp("tutorial") / "herdbook"
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if not name.startswith(("experiments/", "tests/", "bench/")) and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def herd(clone, bred):
    """The project that the tutorial makes, with one generation less and the calibrations of the miniature, to be quick."""
    smaller = f"cp -r {bred}/.dvc/cache .dvc/ && cp -r {bred}/.prefect .\n"
    smaller += """python - <<'END'
from pathlib import Path
path = Path("params.yaml")
text = path.read_text().replace("[g0, g1, g2]", "[g0, g1]").replace("[g1, g2]", "[g1]").replace("- {parent: g1, child: g2}\\n", "")
path.write_text(text)
END
git commit --quiet --all --message "Smaller still"
"""
    followed("tutorial.md", clone, after={"herdbook new": smaller})
    return clone.parent / "my-herd"


def test_the_tutorial_does_what_it_says(herd):
    (claim,) = json.loads((herd / "reports/verdicts.json").read_text())["claims"]
    assert f"one-generation-is-enough: {claim['verdict']}: " in (DOCS / "tutorial.md").read_text()


@pytest.fixture(scope="module")
def committed(changed, tmp_path_factory):
    """A copy of the miniature with two commits, to be changed."""
    root = tmp_path_factory.mktemp("committed") / "project"
    miniature.copy(changed, root)
    return root


@pytest.mark.parametrize("page", ["report", "resume", "compare", "share"])
def test_the_commands_of_a_page_on_one_task_work(committed, page):
    followed(f"howto/{page}.md", committed)


def test_who_clones_the_project_has_its_data(committed):
    assert (committed.parent / "clone/runs/replace/s0/g1/training").is_dir()
