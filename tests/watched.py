"""A program run in a project while somebody watches what it connects to and what it leaves running."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from herdbook.files import write_json

RECORD = "watched.json"


def run(root: Path, record: Path, *words: str) -> None:
    """Run `python -m words` at `root` and write to `record` its status and lines, the addresses off this machine that it
    or its descendants were connected to, and what still ran there when it had ended."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    process = subprocess.Popen(
        [sys.executable, "-m", *words], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reader.start()
    seen: set[str] = set()
    while process.poll() is None:
        seen |= _off_machine(process.pid)
        time.sleep(0.05)
    reader.join()
    process.stdout.close()
    left = [p.pid for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(root) and p.pid != os.getpid()]
    write_json(record, {"status": process.returncode, "lines": lines, "off_machine": sorted(seen), "left": left})


def _off_machine(pid: int) -> set[str]:
    """The remote addresses, other than this machine's, that a process and its descendants are connected to."""
    found = set()
    try:
        me = psutil.Process(pid)
        for each in (me, *me.children(recursive=True)):
            found |= {c.raddr.ip for c in each.net_connections("inet") if c.raddr}
    except psutil.Error:
        pass  # it has ended
    return {address for address in found if not address.startswith("127.") and address != "::1"}
