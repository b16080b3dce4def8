"""The command line as people meet it: help, --json, completion, Ctrl-C, hostile text; and documents hold to the live list of commands."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from herdbook.cli import app, main
from herdbook.cli_curate import _run
from herdbook.interrupt import INTERRUPTED
from herdbook.phases import phases
from herdbook.progress import steps
from tests import miniature
from tests.miniature import ROOT, commit

HOSTILE = "\x1b[2J\u202e\u2066<script>[red]\r\x07"
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NO_DATA = {"run", "export", "verify"}  # a table and a bar; documents, JSON already


def commands(group=None, name="") -> dict[str, typer.core.TyperCommand]:
    """Every command by its words, such as `recipe ablate`."""
    found = {}
    for word, command in (group or typer.main.get_command(app)).commands.items():
        words = f"{name} {word}".strip()
        found |= commands(command, words) if hasattr(command, "commands") else {words: command}
    return found


COMMANDS = commands()
DOCUMENTS = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]


def mentions(text: str) -> list[str]:
    """Each `herdbook ...` in the code of a Markdown text: of fences those lines that are commands, and spans."""
    fences = re.findall(r"(?ms)^ *```[^\n]*\n(.*?)^ *```", text)
    spans = re.findall(r"`(herdbook[^`]*)`", re.sub(r"(?ms)^ *```.*?^ *```", "", text))
    lines = [line for fence in fences for line in fence.replace("\\\n", " ").splitlines()]
    found = [match[1] for line in lines if (match := re.match(r"\s*(?:\$ )?(?:\.venv/bin/)?(herdbook( .*|$))", line))]
    return [one for one in [*found, *spans] if re.match(r"herdbook(\s+[a-z-]|$)", one)]


def wrong_with(mention: str) -> str | None:
    """What a mention names that is not there; None where all of it is."""
    words = [word.split("=")[0] for word in shlex.split(mention.replace("\\|", "|"), comments=True)[1:]]
    words = words[: next((place for place, word in enumerate(words) if word in ("|", "||", ">", ">>", "<", "&&", ";")), len(words))]
    if not words or words[0].startswith("--"):
        return None if set(words) <= {"--help", "--install-completion", "--show-completion"} else f"no option {words}"
    name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
    if name is None:
        return None if words == ["recipe"] else f"no command {words[0]}"
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts} | {"--help"}
    unknown = [word for word in words if word.startswith("-") and word != "-" and word not in options]
    return f"{name} has no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_a_document_names_is_there_with_its_options(document):
    found = {mention: wrong for mention in mentions((ROOT / document).read_text()) if (wrong := wrong_with(mention))}
    assert not found, found


def test_what_a_document_gets_wrong_is_found():
    text = (
        "`herdbook trcae x`, `herdbook trace x --jsn`\n```\n$ herdbook audit --level rows\nherdbook new f --tiny # --x\n```\n`herdbook`\n"
    )
    assert {mention: wrong_with(mention) for mention in mentions(text)} == {
        "herdbook audit --level rows": None,
        "herdbook new f --tiny # --x": "new has no option --tiny",
        "herdbook trcae x": "no command trcae",
        "herdbook trace x --jsn": "trace has no option --jsn",
        "herdbook": None,
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_one_example_that_its_own_options_allow(name):
    examples = re.findall(r"Example: (herdbook .*)", COMMANDS[name].help or "")
    assert len(examples) == 1
    assert examples[0].startswith(f"herdbook {name}")
    assert wrong_with(examples[0]) is None
    assert CliRunner().invoke(app, [*name.split(), "--help"]).exit_code == 0


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - NO_DATA))
def test_every_command_that_prints_data_prints_it_as_json_too(name):
    assert "--json" in {option for parameter in COMMANDS[name].params for option in parameter.opts}


def test_a_mistyped_command_or_option_is_answered_with_the_one_that_was_meant():
    for words, meant in ((["trcae"], "trace"), (["audit", "--levl", "rows"], "--level")):
        done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
        assert done.exit_code == 2
        assert meant in done.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trace"], "herdbook: Missing argument 'target'; see herdbook trace --help\n"),
        (["trce", "x"], "herdbook: No such command 'trce'. Did you mean 'trace'?; see herdbook --help\n"),
        (
            ["audit", "--level", "all"],
            "herdbook: Invalid value for '--level': 'all' is not one of 'records', 'hashes', 'rows'; see herdbook audit",
        ),
        (["run", "--jobs", "\x1b[31mx"], "herdbook: Invalid value for '--jobs'"),
        (["export", "--url", "http://x"], "herdbook: Invalid value for --url: only openlineage is sent"),
    ],
)
def test_words_that_are_no_command_are_told_in_one_line(monkeypatch, capsys, words, told):
    monkeypatch.setattr(sys, "argv", ["herdbook", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(told)
    assert "\x1b" not in err


@pytest.mark.parametrize(("words", "told"), [([], "Usage: herdbook"), (["--version"], version("herdbook"))])
def test_help_and_version_are_what_a_program_says_first(monkeypatch, capsys, words, told):
    monkeypatch.setattr(sys, "argv", ["herdbook", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert told in capsys.readouterr().out


def test_a_program_or_file_that_is_not_there_for_us_is_told_in_one_line(bred, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(bred)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["herdbook", "log", "replace/s0/g1/model"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "herdbook: git: No such file or directory; allow it or mend it, then ask again\n"


def completed(root: Path, *words: str) -> list[str]:
    """What bash is offered after these words, the last of them unfinished, by the protocol that typer's script speaks."""
    environment = {**os.environ, "_HERDBOOK_COMPLETE": "complete_bash", "COMP_WORDS": shlex.join(["herdbook", *words])}
    code = "import sys; sys.argv[0] = 'herdbook'; from herdbook.cli import main; main()"
    environment["COMP_CWORD"] = str(len(words))
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_a_shell_completes_commands_targets_and_revisions(bred):
    assert completed(bred, "rep") == ["replay"]
    assert completed(bred, "trace", "replace/s0/g1/mo") == ["replace/s0/g1/model"]


def test_names_to_complete_are_read_here_and_missing_files_offer_none(bred, tmp_path, monkeypatch):
    from herdbook import complete

    monkeypatch.chdir(bred)
    assert complete.regimes("cur") == ["curated"]
    assert "HEAD" in complete.revisions("")
    assert complete.claim_ids("") == []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hypotheses.yaml").write_text('claims: [{id: fine}, {id: "f\\e[2J"}, {id: "f f"}]\n')
    assert complete.claim_ids("f") == ["fine"]
    assert complete.targets("") == complete.regimes("") == []


@pytest.mark.parametrize("words", [["verify", "FIFO", "--key", "key.pem"], ["corpus", "--params", "FIFO"]])
def test_ctrl_c_ends_a_command_with_130_and_one_line(tmp_path, words):
    os.mkfifo(tmp_path / "FIFO")
    (tmp_path / "key.pem").touch()
    command = [sys.executable, "-m", "herdbook", *words]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with (tmp_path / "FIFO").open("w"):  # waits until the command has opened it to read
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (INTERRUPTED, "", "herdbook: interrupted; nothing is left half-written\n")


@pytest.mark.parametrize("loading", ["open('FIFO').read()", "exec(\"open('FIFO').read()\")"])
def test_ctrl_c_while_libraries_are_loaded_ends_it_likewise(tmp_path, loading):
    os.mkfifo(tmp_path / "FIFO")
    (tmp_path / "typer.py").write_text(loading)
    command, environment = [sys.executable, "-m", "herdbook", "trace", "x"], {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with (tmp_path / "FIFO").open("w"):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (INTERRUPTED, "", "herdbook: interrupted; nothing is left half-written\n")


def test_a_run_within_a_command_answers_ctrl_c_itself(tmp_path, monkeypatch, capfd):
    """The child says its line, and the command that started it adds none."""
    (tmp_path / "herdbook.py").write_text("import sys; print('interrupted', file=sys.stderr); sys.exit(130)")
    monkeypatch.setattr("herdbook.cli_curate._laid", lambda regime: tmp_path)
    monkeypatch.setattr("herdbook.cli_curate._checked_out", lambda folder: True)
    monkeypatch.setattr(sys, "argv", ["herdbook", "recipe", "ablate", "curated"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == INTERRUPTED
    assert capfd.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(SystemExit):
        _run(tmp_path, "run")


def test_progress_is_silent_where_nobody_watches(capsys):
    with steps("a", 2) as advance, phases("b") as begin:
        advance()
        begin("c")
    assert capsys.readouterr() == ("", "")


@pytest.fixture(scope="module")
def hostile(bred, tmp_path_factory):
    """The miniature with text in it that would steer a terminal: titles, rows, a commit, a claim's sentence, names of files."""
    root = tmp_path_factory.mktemp("hostile") / "project"
    miniature.copy(bred, root)
    for name, column in (
        ("data/corpus.parquet", "title"),
        ("data/corpus.parquet", "url"),
        ("runs/replace/s0/g1/offspring/rows.parquet", "text"),
    ):
        table = pq.read_table(root / name)
        texts = pa.array([HOSTILE + text for text in table[column].to_pylist()])
        (root / name).unlink()
        pq.write_table(table.set_column(table.column_names.index(column), column, texts), root / name)
    (root / f"notes{HOSTILE.replace('/', '')}").write_text("")
    lock = (root / "dvc.lock").read_text()
    (root / "dvc.lock").write_text(lock.replace("schema: '2.0'", "schema:  '2.0'"))
    commit(root, HOSTILE)
    (root / "dvc.lock").write_text(lock)
    commit(root, f"back {HOSTILE}")
    (root / f"stray{HOSTILE.replace('/', '')}").write_text("")
    return root


def row_of(root: Path) -> str:
    return str(pq.read_table(root / "runs/replace/s0/g1/offspring/rows.parquet", columns=["id"])["id"][0].as_py())


@pytest.mark.parametrize(
    "words",
    [
        ["trace", "ROW"], ["trace", "replace/s0/g1/model"], ["trace", HOSTILE], ["audit", "--level", "rows"],
        ["log", "replace/s0/g1/model"], ["diff", "HEAD~2", "HEAD"], ["diff", HOSTILE], ["curate", "--explain", "ROW"],
        ["claims"], ["status"], ["card", "replace/s0/g1/model"], ["export", "replace/s0/g1/model"], ["replay", HOSTILE],
        ["new", f"notes{HOSTILE}"], ["experiment", HOSTILE], ["recipe", "ablate", HOSTILE], ["register", HOSTILE],
        ["publish", HOSTILE], ["verify", "--key", "x", HOSTILE],
    ],
    ids=lambda words: " ".join(word for word in words if word.isprintable()),
)  # fmt: skip
def test_text_in_data_has_no_power_over_a_terminal(hostile, monkeypatch, capsys, words):
    monkeypatch.chdir(hostile)
    row = row_of(hostile)
    shown = ""
    for more in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["herdbook", *(row if word == "ROW" else word for word in words), *more])
        with pytest.raises(SystemExit):
            main()
        said = capsys.readouterr()
        assert not HARMFUL.search(said.out + said.err), (more, HARMFUL.search(said.out + said.err))
        shown += said.out + said.err
    assert shown
    assert "<script>" in shown or words[-1].isprintable()


def test_json_of_hostile_text_can_be_read(hostile, monkeypatch, capsys):
    monkeypatch.chdir(hostile)
    monkeypatch.setattr(sys, "argv", ["herdbook", "trace", row_of(hostile), "--json"])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out)["row"]["text"].startswith(HOSTILE)
