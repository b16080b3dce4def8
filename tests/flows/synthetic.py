"""A DVC project of trivial stages in the shape of the real one: lineages of generations, side by side."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

STEP = """import hashlib, os, sys, time
from pathlib import Path
out, *needs = map(Path, sys.argv[1:])
if (trick := Path("tricks", out.name)).exists():
    exec(trick.read_text())
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(hashlib.sha256(b"".join(path.read_bytes() for path in needs)).hexdigest())
print(f"made {out}")
"""
PIPELINE = """stages:
  prepare:
    cmd: python step.py runs/human step.py
    deps:
    - source
    - step.py
    params: [rows]
    outs:
    - runs/human
  adopt:
    matrix: &lineage
      regime: ${regimes}
      seed: ${seeds}
    cmd: python step.py runs/${item.regime}/${item.seed}/g0.set runs/human
    deps:
    - runs/human
    outs:
    - runs/${item.regime}/${item.seed}/g0.set
  train:
    matrix: &birth
      regime: ${regimes}
      seed: ${seeds}
      g: ${births}
    cmd: python step.py runs/${item.regime}/${item.seed}/${item.g.child}.model runs/${item.regime}/${item.seed}/${item.g.parent}.set
    deps:
    - runs/${item.regime}/${item.seed}/${item.g.parent}.set
    outs:
    - runs/${item.regime}/${item.seed}/${item.g.child}.model
  sample:
    matrix: *birth
    cmd: python step.py runs/${item.regime}/${item.seed}/${item.g.child}.set runs/${item.regime}/${item.seed}/${item.g.child}.model
    deps:
    - runs/${item.regime}/${item.seed}/${item.g.child}.model
    outs:
    - runs/${item.regime}/${item.seed}/${item.g.child}.set
  compare:
    cmd: python step.py reports.json step.py
    deps:
    - runs
    outs:
    - reports.json:
        cache: false
"""


def write_params(root: Path, regimes: int, seeds: int, births: int) -> None:
    pairs = "".join(f"- {{parent: g{n}, child: g{n + 1}}}\n" for n in range(births))
    names = ", ".join(f"r{n}" for n in range(regimes))
    (root / "params.yaml").write_text(
        f"rows: 20\nregimes: [{names}]\nseeds: [{', '.join(f's{n}' for n in range(seeds))}]\nbirths:\n{pairs}"
    )


def build(root: Path, regimes: int = 2, seeds: int = 2, births: int = 2) -> Path:
    """A project of 2 + regimes x seeds x (1 + 2 births) stages, its data added, nothing run."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in {"dvc.yaml": PIPELINE, "step.py": STEP, ".gitignore": "/runs\n/source\n", ".dvcignore": ""}.items():
        (root / name).write_text(text)
    write_params(root, regimes, seeds, births)
    (root / "source").mkdir()
    (root / "source" / "text").write_text("written by people")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc(root, "init", "-q")
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    dvc(root, "add", "-q", "source")
    return root


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def dvc(root: Path, *words: str, status: int = 0) -> str:
    """Run dvc; what it printed, after checking its exit status."""
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, env=environment(), capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def trick(root: Path, out: str, code: str) -> None:
    """Let the stage that writes a file of this name run `code` first."""
    (root / "tricks").mkdir(exist_ok=True)
    (root / "tricks" / out).write_text(code)


def lock_digest(root: Path) -> str:
    return hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest()


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for(condition, seconds: float = 30, every: float = 0.02) -> None:
    """Wait for at most so many seconds until `condition()`; ask a server seldom, for it has other work to do on the same cores."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(every)
