"""A headless browser for tests, and the reason where there is none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here (Debian: chromium, chromium-driver)"
)


@contextmanager
def browser() -> Iterator:
    """A window of 1400 x 1000 that logs its console and its requests."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000", "--disable-background-networking"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER, env={**os.environ}))
    try:
        yield driver
    finally:
        driver.quit()


def requested(driver) -> set[str]:
    """The hosts that pages asked for anything since the last call; data and blob URLs have none."""
    import json
    from urllib.parse import urlsplit

    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return {urlsplit(url).hostname for url in urls if url.startswith(("http", "ws"))} - {None}
