import os
import subprocess
import sys

from herdbook.numeric import PINS
from stages.__main__ import environment_of
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


BROKEN = """
import sys
from pathlib import Path
from stages.__main__ import preload_stages, run_stage
preload_stages()
print(*sorted(name for name in sys.modules if name.startswith("stages.") and "__" not in name))
Path("stages/own.py").write_text("def main(args): print('mended')")
sys.exit(run_stage(["own"]))
"""


def test_a_stage_that_cannot_be_imported_keeps_no_other_from_being_preloaded(tmp_path):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/own.py").write_text("import nothing_of_that_name")
    (tmp_path / "stages/some.py").write_text("def main(args): pass")
    words = [sys.executable, "-c", f"import stages; stages.__path__.append({str(tmp_path / 'stages')!r})\n{BROKEN}"]
    done = subprocess.run(words, cwd=tmp_path, env=environment_of(os.environ), capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("stages.some\n", 1), done.stderr
    assert "own: runs/code/own.json: not found" in done.stderr  # it is asked for its record as if nothing had been tried


def test_tables_of_a_stage_lie_in_memory_that_malloc_keeps():
    words = [sys.executable, "-c", "import pyarrow; print(pyarrow.default_memory_pool().backend_name)"]
    given = environment_of({"PATH": "/bin"})
    assert {"PATH": "/bin", **PINS}.items() <= given.items()
    assert subprocess.run(words, env=given, capture_output=True, text=True, check=True).stdout == "system\n"
