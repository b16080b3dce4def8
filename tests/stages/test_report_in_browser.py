"""The report as people use it: in a browser, by mouse and by keyboard. One page load for all tests."""

import pytest

from herdbook.files import read_json
from herdbook.narrative import figure_text
from stages import compare, report
from tests import records as made
from tests.flows.browser import browser, needs_browser, requested
from tests.page import HOSTILE

pytestmark = needs_browser

WIDTHS = (360, 768, 1400)
PATIENCE_SECONDS = 60
MARKED = "#held_out_loss_nats svg [aria-roledescription=point]"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A report of two regimes, two seeds, g0 to g2; what replace's last training set was refused for is hostile text."""
    root = tmp_path_factory.mktemp("report")
    made.write_project(root, {"replace": "waive", "curated": "block"})
    rules = [{**made.rule("passed"), "column": "id"}, {**made.rule(observed=HOSTILE), "notes": f"Narrowing. {HOSTILE}"}]
    receipt = {**made.receipt("training", *rules), "data": {"rows": "a" * 64}, "policies": {"training_rows.yaml": "b" * 64}}
    made.write(root / "records/replace/s0/g1/training/receipt.json", receipt)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        compare.main([])
        report.main([])
    return root


@pytest.fixture(scope="module")
def window(project):
    """The page, its charts in view and drawn."""
    with browser() as driver:
        driver.get((project / "reports/index.html").as_uri())
        driver.execute_script("document.getElementById('charts').scrollIntoView()")
        until(driver, lambda: marks(driver))
        yield driver


def until(driver, holds):
    """Wait until something holds; what it is then."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, PATIENCE_SECONDS, poll_frequency=0.1).until(lambda _: holds())


def marks(driver):
    """What each point of the chart of held-out loss is called."""
    script = "return [...document.querySelectorAll(arguments[0])].map((mark) => mark.getAttribute('aria-label') ?? '')"
    return driver.execute_script(script, MARKED)


def press(driver, *names):
    """Press keys where the focus is, one after another."""
    from selenium.webdriver.common.keys import Keys

    for name in names:
        driver.switch_to.active_element.send_keys(getattr(Keys, name))


def switch(driver, name, value):
    driver.execute_script("document.querySelector(`input[name=${arguments[0]}][value=${arguments[1]}]`).click()", name, value)


def test_figures_on_screen_are_those_of_the_metrics(window, project):
    metrics = read_json(project / "reports/metrics.json")
    script = """return [...document.querySelectorAll("#held_out_loss_nats ~ details tbody tr")].map((row) =>
      [...row.cells].map((cell) => cell.textContent))"""
    cells = {regime: [cell.split(" ")[0] for cell in others] for regime, *others in window.execute_script(script)}
    means = {name: [entry["held_out_loss_nats"]["mean"] for _, entry in sorted(found.items())] for name, found in metrics.items()}
    assert cells == {name: list(map(figure_text, found)) for name, found in means.items()}
    drawn = {(label.split("regime: ")[1].split(";")[0], float(label.split("mean: ")[1].split(";")[0])) for label in marks(window)}
    assert drawn == {(name, mean) for name, found in means.items() for mean in found}


def test_a_point_tells_its_values_when_it_is_pointed_at(window):
    from selenium.webdriver.common.action_chains import ActionChains

    def told_at_the_point():  # charts that are drawn on the way push it down, so the pointer comes once more
        point = [mark for mark in window.find_elements("css selector", MARKED) if "replace" in mark.get_attribute("aria-label")][1]
        window.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", point)
        ActionChains(window).move_by_offset(1, 1).move_to_element(point).perform()
        return [tip.text for tip in window.find_elements("css selector", ".vg-tooltip.visible")]

    (told,) = until(window, told_at_the_point)
    assert all(words in told for words in ("mean 6.5", "least seed 6", "greatest seed 7", "seeds bred 2 of 2"))


def test_a_regime_that_is_unticked_leaves_the_charts(window):
    assert any("replace" in label for label in marks(window))
    switch(window, "regime", "replace")
    until(window, lambda: marks(window) and all("replace" not in label for label in marks(window)))
    switch(window, "regime", "replace")
    until(window, lambda: any("replace" in label for label in marks(window)))


def test_a_chart_switches_to_a_log_scale_and_back(window):
    def axis():
        return window.execute_script(
            "return document.querySelector('#held_out_loss_nats svg [aria-label^=\"Y-axis\"]')?.getAttribute('aria-label') ?? ''"
        )

    assert "linear scale" in axis()
    switch(window, "log", "held_out_loss_nats")
    until(window, lambda: "log scale" in axis())
    switch(window, "log", "held_out_loss_nats")
    until(window, lambda: "linear scale" in axis())


def test_a_receipt_is_read_by_keyboard_alone(window):
    first = window.find_element("css selector", ".glance button[tabindex='0']")
    window.execute_script("arguments[0].focus()", first)
    press(window, "ARROW_RIGHT", "ARROW_RIGHT")
    assert window.switch_to.active_element.text == "T ! waived"
    press(window, "ENTER")
    assert window.find_element("id", "receipt-title").text == "Receipt: training set of replace s0 g1"
    assert window.find_element("id", "receipt-verdict").text == "! waived 1 of 2 rules were not passed."
    rows = [
        [cell.text for cell in row.find_elements("tag name", "td")] for row in window.find_elements("css selector", "#receipt-rules tr")
    ]
    name, allowed = "expect_column_min_to_be_between", ">= 0.22 (human_distinct_2 * 0.8)"
    assert rows == [
        ["✕ failed", f"distinct_2: {name}", HOSTILE, allowed, f"Narrowing. {HOSTILE}"],
        ["✓ passed", f"id: {name}", "0.05", allowed, "Narrowing."],
    ]
    digests = window.find_element("id", "receipt-digests").text
    assert "a" * 64 in digests
    assert "training_rows.yaml\n" + "b" * 64 in digests
    press(window, "ESCAPE")
    assert not window.find_element("id", "receipt").is_displayed()
    assert window.switch_to.active_element.text == "T ! waived"
    press(window, "ARROW_DOWN", "ARROW_DOWN")
    assert window.execute_script("return document.activeElement.closest('tr').dataset.regime") == "curated"


def test_the_first_stop_of_the_tab_key_skips_to_what_is_shown(window):
    window.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    link = window.find_element("css selector", ".skip")
    window.execute_script("arguments[0].focus()", link)
    assert window.execute_script("return arguments[0].getBoundingClientRect().left >= 0", link)
    press(window, "ENTER")
    assert window.execute_script("return document.activeElement.id") == "main"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_does_not_scroll_sideways(window, width):
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    found = window.execute_script("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert found[0] <= found[1]


def test_charts_out_of_view_are_drawn_when_the_page_is_at_rest_so_that_a_print_has_all(window):
    plots = len(window.find_elements("css selector", ".plot"))
    until(window, lambda: len(window.find_elements("css selector", ".plot svg")) == plots)


def test_nothing_was_asked_for_and_nothing_went_wrong(window):
    assert requested(window) == set()
    assert window.get_log("browser") == []
