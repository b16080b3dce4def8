import subprocess
import sys

from herdbook import warm
from herdbook.numeric import PINS
from stages import code
from stages.__main__ import environment_of, run_stage
from tests.workspace import ROOT

GREEDY = """
import resource, sys
from stages import code
from stages.__main__ import run_stage
resource.setrlimit(resource.RLIMIT_AS, (1 << 32, resource.getrlimit(resource.RLIMIT_AS)[1]))
code.main = lambda args: bytearray(1 << 40)
sys.exit(run_stage(["code", "all of it"]))
"""


def test_a_stage_that_the_machine_refuses_memory_says_so_in_one_line_that_names_it():
    done = subprocess.run([sys.executable, "-c", GREEDY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "code all of it: out of memory; run fewer stages at once or make its sizes in params.yaml smaller\n"


def test_an_unknown_stage_is_refused_with_the_known_ones():
    done = subprocess.run([sys.executable, "-m", "stages", "brew"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "book" in done.stderr
    assert "found ['brew']" in done.stderr


OWN = """
import sys
from pathlib import Path
Path("stages/broken.py").write_text("import nothing_of_that_name")
Path("stages/.#one.py").symlink_to("me@here.1234")  # as Emacs keeps of a file that it has open
Path("stages/one.py").write_text("from herdbook import own; said = own.SAID")
Path("herdbook/own.py").write_text("SAID = 'first'")
import stages, herdbook
for package in (stages, herdbook):
    package.__path__.append(str(Path(package.__name__).resolve()))
from stages.__main__ import own_modules
refresh = own_modules()
before = sys.modules["stages.one"]
refresh()
assert sys.modules["stages.one"] is before
Path("herdbook/own.py").write_text("SAID = 'second'")
Path("stages/broken.py").write_text("said = 'mended'")
refresh()
kept = sorted(name for name in sys.modules if name.partition(".")[0] in ("herdbook", "stages"))
from stages import broken, one
print(before.said, one.said, broken.said, *kept)
"""


def test_stages_are_imported_once_and_forgotten_with_all_they_import_after_an_edit(tmp_path):
    """But not the launcher's modules; and one that cannot be imported keeps none of the others back."""
    for name in ("stages", "herdbook"):
        (tmp_path / name).mkdir()
    done = subprocess.run([sys.executable, "-c", OWN], cwd=tmp_path, capture_output=True, text=True, check=False)
    first, second, broken, *kept = done.stdout.split()
    assert (first, second, broken) == ("first", "second", "mended"), done.stderr
    launcher = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in warm._LAUNCHER}
    assert set(kept) == launcher


HASTY = """
from pathlib import Path
Path("stages/one.py").write_text("from pathlib import Path; Path('stages/two.py').write_text('said = 2')")  # an edit, as late as can be
Path("stages/two.py").write_text("said = 1")
Path("stages/zero.py").write_text("from stages import two")
import stages
stages.__path__.append(str(Path("stages").resolve()))
from stages import __main__
__main__.stage_names = lambda root: ["zero", "one"]
refresh = __main__.own_modules()
Path("stages/two.py").write_text("said = 1")  # taken back
refresh()
import sys
print("stages.two" in sys.modules)
"""


def test_an_edit_while_stages_are_imported_is_never_trusted_even_when_it_is_taken_back(tmp_path):
    (tmp_path / "stages").mkdir()
    done = subprocess.run([sys.executable, "-c", HASTY], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_tables_of_a_stage_lie_in_memory_that_malloc_keeps():
    words = [sys.executable, "-c", "import pyarrow; print(pyarrow.default_memory_pool().backend_name)"]
    given = environment_of({"PATH": "/bin"})
    assert {"PATH": "/bin", **PINS}.items() <= given.items()
    assert subprocess.run(words, env=given, capture_output=True, text=True, check=True).stdout == "system\n"


def test_a_file_that_the_machine_refuses_is_one_line_of_the_stage(monkeypatch, capsys):
    def refused(args):
        raise PermissionError(13, "Permission denied", "runs/\x1bcode")

    monkeypatch.setattr(code, "main", refused)
    assert run_stage(["code"]) == 1
    assert capsys.readouterr().err == "code: runs/\\x1bcode: Permission denied; allow it or make room, then run again\n"
