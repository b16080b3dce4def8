"""`make serve`: Prefect's server, its UI and the deployments of prefect.yaml, on loopback, until Ctrl-C."""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

import yaml

from flows.server import announced, settings, started
from herdbook.errors import FileError, HerdbookError
from herdbook.files import strict_yaml

DEPLOYMENTS = Path("prefect.yaml")


def read_deployments(path: Path) -> list[dict[str, Any]]:
    """The deployments that a prefect.yaml lists; FileError where it lists none."""
    try:
        document = strict_yaml(path.read_text(encoding="utf-8"))
        entries = [{**entry, "schedules": entry.get("schedules") or []} for entry in document["deployments"]]
        for entry in entries:
            if not {"name", "entrypoint"} <= set(entry) or not all("cron" in schedule for schedule in entry["schedules"]):
                raise ValueError(f"deployment {entry.get('name')!r} needs a name and an entrypoint, and a cron for each schedule")
        return entries
    except FileNotFoundError as error:
        raise FileError(f"{path}: not found; run in the folder that holds it") from error
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"{path}: no list of deployments ({' '.join(str(error).split())}); correct it") from error


def serve(root: Path, port: int) -> None:
    """Serve until interrupted. Raises HerdbookError where the port is taken or prefect.yaml cannot be read."""
    entries = read_deployments(root / DEPLOYMENTS)
    os.environ.update(settings(root))
    with started(root, ui=True, port=port) as api:
        from prefect import serve

        api.wait()
        with announced(root, api.url):
            print(f"Prefect: {api.url.removesuffix('/api')} (Ctrl-C ends it)", flush=True)
            serve(*[_deployment(root, entry) for entry in entries], pause_on_shutdown=False, print_starting_message=False)


def _deployment(root: Path, entry: dict[str, Any]) -> Any:
    from prefect import flow
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.client.schemas.schedules import CronSchedule

    source: Any = flow.from_source(str(root), entry["entrypoint"])
    return source.to_deployment(
        entry["name"],
        description=entry.get("description"),
        parameters=entry.get("parameters"),
        concurrency_limit=ConcurrencyLimitConfig(**entry["concurrency_limit"]) if "concurrency_limit" in entry else None,
        schedules=[
            DeploymentScheduleCreate(schedule=CronSchedule(cron=s["cron"], timezone=s.get("timezone", "UTC")), active=s.get("active", True))
            for s in entry["schedules"]
        ],
    )


def main() -> int:
    """Parse the command line; a user's mistake is one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m flows.schedule", description="Serve Prefect's UI and the deployments of prefect.yaml.")
    parser.add_argument("--port", type=int, default=4200, help="of 127.0.0.1 (default 4200)")
    port = parser.parse_args().port
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve(Path.cwd(), port)
    except HerdbookError as error:
        print(f"herdbook: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
