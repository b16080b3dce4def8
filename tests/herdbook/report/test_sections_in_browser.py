import pytest

from stages import compare, report
from tests import records as made
from tests.flows.browser import browser, needs_browser, requested

pytestmark = needs_browser


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    """One window with the report of two regimes, two seeds, g0 to g2; the curated lineages end with g1."""
    root = tmp_path_factory.mktemp("report")
    made.write_project(root, {"replace": "waive", "curated": "block"})
    for seed in ("s0", "s1"):
        made.write_not_bred(root / f"records/curated/{seed}/g2")
        examples = [{"prompt": "Once", "text": "upon a time"}, {"prompt": "Then", "text": f"so it was {seed} so it <b>is"}]
        made.write(root / f"records/replace/{seed}/g1/examples.json", examples)
    made.write(root / "records/replace/s0/g2/training/receipt.json", made.receipt("training", made.rule()))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        compare.main([])
        report.main([])
    with browser() as driver:
        driver.get((root / "reports/index.html").as_uri())
        driver.execute_script("document.documentElement.style.scrollBehavior = 'auto'")  # a click does not wait for smooth scrolling
        yield driver


def keys(driver, *names):
    """Press keys where the focus is, one after another."""
    from selenium.webdriver.common.keys import Keys

    for name in names:
        driver.switch_to.active_element.send_keys(getattr(Keys, name))


def focused(driver):
    """The node of the tree that has the focus."""
    return driver.switch_to.active_element.get_attribute("data-node")


def text_of(driver, name):
    """What stands in the element with this id."""
    return driver.find_element("id", name).text


def button(driver, within, words):
    """The first button in the element with this id whose text begins so."""
    return next(each for each in driver.find_elements("css selector", f"#{within} button") if each.text.startswith(words))


def test_arrow_keys_move_from_node_to_node_and_enter_opens_an_entry(window):
    founder = window.find_element("css selector", ".tree [tabindex='0']")
    assert founder.get_attribute("data-node") == "founder/s0"
    window.execute_script("arguments[0].focus()", founder)
    seen = []
    for name in ("ARROW_RIGHT", "ARROW_RIGHT", "ARROW_DOWN", "END", "HOME", "ARROW_LEFT", "ARROW_UP", "ARROW_RIGHT", "ARROW_RIGHT"):
        keys(window, name)
        seen.append(focused(window))
    lineage = [f"curated/s0/g{number}" for number in range(3)]
    assert seen == [
        "replace/s0/g0", "replace/s0/g1", lineage[1], lineage[2], lineage[0], "founder/s0", "human", "founder/s0", "replace/s0/g0",
    ]  # fmt: skip
    assert len(window.find_elements("css selector", ".tree [tabindex='0']")) == 1
    keys(window, "ENTER")
    assert text_of(window, "entry-title") == "replace s0 g0"
    keys(window, "ESCAPE")
    assert focused(window) == "replace/s0/g0"


def test_an_entry_leads_to_its_parent_and_to_its_receipt(window):
    node = window.find_element("css selector", "[data-node='replace/s0/g2']")
    assert node.text.split("\n") == ["g2", "depth 2", "T ! waived", "O ✓ passed", "0 % human"]
    assert node.get_attribute("aria-label").startswith("replace s0 g2: training set waived, offspring passed")
    node.click()
    told = text_of(window, "entry-told")
    assert "written by g1: 20 rows, 200 tokens (100 %)" in told
    assert "20 rows sampled, 15 kept\n3 rejected: length" in told
    button(window, "entry", "Receipt").click()
    assert text_of(window, "receipt-title") == "Receipt: training set of replace s0 g2"
    assert "distinct_2: expect_column_min_to_be_between" in text_of(window, "receipt-rules")
    keys(window, "ESCAPE")
    button(window, "entry", "replace s0 g1, curated").click()
    assert text_of(window, "entry-title") == "replace s0 g1"
    button(window, "entry", "✕").click()
    assert focused(window) == "replace/s0/g1"


def test_what_was_not_bred_says_why(window):
    node = window.find_element("css selector", "[data-node='curated/s0/g2']")
    assert node.text.split("\n") == ["g2", "– not bred"]
    node.click()
    assert "Not bred: the offspring of g1 broke distinct_2" in text_of(window, "entry-told")
    keys(window, "ESCAPE")


def test_another_family_is_laid_out_when_it_is_opened(window):
    assert not window.find_elements("css selector", "[data-node='replace/s1/g1']")
    window.find_element("css selector", ".family[data-seed='s1'] summary").click()
    window.find_element("css selector", "[data-node='replace/s1/g1']").click()
    assert text_of(window, "entry-title") == "replace s1 g1"
    keys(window, "ESCAPE")


def test_another_prompt_and_seed_show_what_was_written_with_repetition_marked(window):
    assert text_of(window, "watch-told") == "Prompt 1 of 2 of seed s0: Once"
    button(window, "watch", "Next").click()
    assert text_of(window, "watch-told") == "Prompt 2 of 2 of seed s0: Then"
    lines = window.find_elements("css selector", "#watch-texts tbody tr")
    rows = [[cell.text for cell in line.find_elements("tag name", "td")] for line in lines]
    missing = "not among its first rows"
    assert rows == [[missing, "so it was s0 so it <b>is\n42 % of it is marked", missing], [missing, missing, "– not bred"]]
    assert [mark.text for mark in window.find_elements("css selector", "#watch-texts mark")] == ["so it", "so it"]
    window.find_element("css selector", "#watch-seed option:nth-child(2)").click()
    assert text_of(window, "watch-told") == "Prompt 1 of 2 of seed s1: Once"


def test_the_tail_is_charted(window):
    from selenium.webdriver.support.ui import WebDriverWait

    window.execute_script("document.getElementById('tail').scrollIntoView()")
    WebDriverWait(window, 30).until(lambda driver: driver.find_elements("css selector", "#tail-0 svg path"))
    assert "four 1" in text_of(window, "tail")


def test_nothing_was_asked_for_and_nothing_went_wrong(window):
    assert requested(window) == set()
    assert [entry for entry in window.get_log("browser") if entry["level"] == "SEVERE"] == []
