"""report.html in a real browser: Debian's chromium, driven by selenium (harness/setup.sh browser).

The screenshots are kept in build/page/ to be looked at.
"""

import base64
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "plot"))

from conftest import environment, machine, write_run  # noqa: E402

from numa_report import page, pictures, run  # noqa: E402

BROWSER, DRIVER = (next(filter(None, map(shutil.which, names)), None)
                   for names in (("chromium", "chromium-browser"), ("chromedriver",)))
try:
    from selenium import webdriver
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.chrome.service import Service
    MISSING = [name for name, found in (("chromium", BROWSER), ("chromedriver", DRIVER)) if not found]
except ImportError:
    MISSING = ["python3-selenium"]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}; harness/setup.sh browser installs it")

PICTURES = ROOT / "build" / "page"
DESKTOP, PHONE = (1366, 900), (390, 844)
HOSTILE = "<img src=x onerror='window.pwned=1'></script><script>window.pwned=1</script>"

# Every text whose contrast with what is behind it is below WCAG 2.1's AA: 4.5, or 3 for large type.
FAINT = """
const channel = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
const light = (rgb) => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
const parse = (words) => {
  const found = words.match(/[\\d.]+/g).map(Number);
  return [found[0] / 255, found[1] / 255, found[2] / 255, found.length > 3 ? found[3] : 1];
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour[3] === 1) return colour;
  }
  return [1, 1, 1];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const words = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
  if (!words || !element.getClientRects().length || element.closest('script, style, .picture svg')) continue;
  const style = getComputedStyle(element), size = parseFloat(style.fontSize);
  const colours = [parse(element instanceof SVGElement ? style.fill : style.color), ground(element)];
  const [dark, bright] = colours.map(light).sort((x, y) => x - y), contrast = (bright + 0.05) / (dark + 0.05);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 600);
  if (contrast < (large ? 3 : 4.5)) found.push([words.slice(0, 40), contrast]);
}
return found;
"""


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)  # --no-sandbox: tests may run as root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """{name: path of report.html} of made-up machines; `hostile` has names that try to be more."""
    folder, found = tmp_path_factory.mktemp("reports"), {}
    for name, cpu_nodes, mem_nodes in (("two", [0, 1], [0, 1]), ("cxl", [0, 1], [0, 1, 2]), ("snc", range(6), range(6)),
                                       ("many", range(64), range(64)), ("hostile", [0, 1], [0, 1])):
        rows = (machine(cpu_nodes, mem_nodes, benches=("latency",), each=1) if name == "many"
                else machine(cpu_nodes, mem_nodes))
        for row in rows:
            row["disturbed"] = "preempted" if row["sample"] == 2 else ""
            if name == "cxl" and row["mem_node"] == 2:
                row.update(placement="failed", placed_fraction=0.5)
            if name == "hostile":
                row.update(host=HOSTILE, disturbed=HOSTILE, cell=HOSTILE + row["cell"])
        described = environment(cpu_nodes, mem_nodes)
        if name == "two":  # with published machines beside it
            described.update(cpu_model="Intel(R) Xeon(R) Gold 6240 CPU @ 2.60GHz", cpu={"sockets": 2, "virtual": False})
        if name == "hostile":
            described.update(cpu_model=HOSTILE, governor=HOSTILE)
        read = run.Run(str(write_run(folder / name, rows, described)))
        found[name] = page.write(read, pictures.draw(read) if name == "two" else ())
    return found


def show(browser, path, size=DESKTOP, theme="light", script=True):
    """Opens the page anew. Its requests and its console's messages are seen by complaints()."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "media": "", "features": [{"name": "prefers-color-scheme", "value": theme}]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE})
    browser.get(Path(path).as_uri())
    return browser


def complaints(browser):
    """What the console said, and every request that was not for the page itself or for a file or data."""
    said = [entry["message"] for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if not url.startswith(("file:", "data:")):
                said.append(url)
    return said


def keep(browser, name):
    """A screenshot of the whole page, at most 5,000 pixels high."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    width, height = browser.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
    whole = {"x": 0, "y": 0, "width": width, "height": min(height, 5000), "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": whole})
    (PICTURES / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def cell(browser, panel, row, column):
    return browser.execute_script("return document.querySelectorAll('table.heat')[arguments[0]].tBodies[0]"
                                  ".rows[arguments[1]].cells[arguments[2] + 1]", panel, row, column)


def details(browser):
    return browser.find_element(By.ID, "details")


def focused(browser):
    """(panel, row, column) of the cell that has the focus."""
    return browser.execute_script("""const td = document.activeElement.closest('.heat td'); if (!td) return null;
        const tables = [...document.querySelectorAll('table.heat')];
        return [tables.indexOf(td.closest('table')), td.parentElement.sectionRowIndex, td.cellIndex - 1];""")


def told(node, what):
    """A node's role or description in the tree that a screen reader gets."""
    return node.get(what, {}).get("value")


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


@pytest.mark.parametrize("name", ["two", "cxl", "snc", "many", "hostile"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_opens_without_a_complaint_or_a_request(browser, reports, name, theme):
    show(browser, reports[name], theme=theme)
    ActionChains(browser).move_to_element(cell(browser, 0, 1, 0)).perform()
    keep(browser, f"{name}-{theme}")
    assert complaints(browser) == []
    assert browser.execute_script("return window.pwned") is None


def test_pointing_at_a_cell_shows_its_samples(browser, reports):
    show(browser, reports["two"])
    assert "Point at a cell" in details(browser).text
    ActionChains(browser).move_to_element(cell(browser, 0, 0, 1)).perform()
    panel = details(browser)
    assert "latency.random.cpu0.node1" in panel.text and "verified" in panel.text
    assert re.search(r"median\s170\.9 ns", panel.text) and re.search(r"15 in 3 rounds", panel.text)
    assert len(panel.find_elements(By.CSS_SELECTOR, "svg .sample")) == 12
    assert len(panel.find_elements(By.CSS_SELECTOR, "svg .disturbed")) == 3 and "preempted" in panel.text
    ActionChains(browser).move_to_element(cell(browser, 0, 1, 1)).perform()
    assert "latency.random.cpu4.node1" in details(browser).text
    assert complaints(browser) == []


def test_a_click_keeps_a_cell_until_escape(browser, reports):
    show(browser, reports["two"])
    cell(browser, 0, 0, 1).click()
    ActionChains(browser).move_to_element(cell(browser, 0, 1, 1)).perform()
    assert "latency.random.cpu0.node1" in details(browser).text
    press(browser, Keys.ESCAPE)
    assert "Point at a cell" in details(browser).text


def test_the_keyboard_reaches_every_cell_and_its_details(browser, reports):
    show(browser, reports["two"])
    seen = []
    for _ in range(30):
        press(browser, Keys.TAB)
        seen.append(browser.execute_script("return document.activeElement.className || document.activeElement.id"))
        if focused(browser):
            break
    assert seen[0] == "skip" and focused(browser) == [0, 0, 0]
    press(browser, Keys.ARROW_RIGHT)
    assert focused(browser) == [0, 0, 1] and "latency.random.cpu0.node1" in details(browser).text
    press(browser, Keys.ARROW_DOWN, Keys.HOME)
    assert focused(browser) == [0, 1, 0]
    press(browser, Keys.ARROW_DOWN, Keys.ARROW_LEFT)  # at the edge it stays
    assert focused(browser) == [0, 1, 0]
    outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    press(browser, Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "details"
    press(browser, Keys.ESCAPE)
    assert focused(browser) == [0, 1, 0] and "Point at a cell" in details(browser).text
    press(browser, Keys.TAB)
    assert focused(browser) is None or focused(browser)[0] == 1  # one stop a table
    press(browser, Keys.SHIFT, Keys.TAB)


def test_a_screen_reader_is_told_of_grid_cells_and_details(browser, reports):
    show(browser, reports["two"])
    press(browser, *[Keys.TAB] * 2)
    browser.execute_script("arguments[0].focus()", cell(browser, 0, 0, 0))
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [told(node, "role") for node in tree]
    assert roles.count("grid") == 7 and roles.count("gridcell") == 28 and "main" in roles and "banner" in roles
    described = [told(node, "description") for node in tree if told(node, "role") == "gridcell"]
    described = list(filter(None, described))
    assert len(described) == 1 and "verified" in described[0]
    headings = [int(heading.tag_name[1]) for heading in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
    assert headings[0] == 1 and all(after - before <= 1 for before, after in zip(headings, headings[1:]))


def test_the_colours_switch_from_value_to_penalty(browser, reports):
    show(browser, reports["two"])
    local = cell(browser, 1, 0, 0)  # the best of its penalties, not of all bandwidths
    before = local.value_of_css_property("background-color")
    browser.find_element(By.ID, "by-penalty").click()
    assert local.value_of_css_property("background-color") != before
    assert [legend.is_displayed() for legend in browser.find_elements(By.CSS_SELECTOR, ".legend")] == [False, True] * 2
    keep(browser, "two-penalty")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["two", "cxl", "snc"])
def test_every_text_contrasts_with_its_ground(browser, reports, name, theme):
    show(browser, reports[name], theme=theme)
    ActionChains(browser).move_to_element(cell(browser, 0, 1, 0)).perform()
    assert browser.execute_script(FAINT) == []
    browser.execute_script("document.querySelector('.machine').style.color = '#777'")
    assert len(browser.execute_script(FAINT)) == 1  # it would have been seen


def test_the_theme_can_be_chosen(browser, reports):
    show(browser, reports["two"], theme="light")
    browser.find_element(By.CSS_SELECTOR, "#theme input[value=dark]").click()
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    browser.refresh()
    assert browser.find_element(By.CSS_SELECTOR, "#theme input[value=dark]").is_selected()
    browser.find_element(By.CSS_SELECTOR, "#theme input[value=system]").click()
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("name", ["two", "cxl", "snc", "many"])
def test_a_phone_scrolls_nothing_sideways_but_the_matrices(browser, reports, name):
    show(browser, reports[name], size=PHONE)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    touched = cell(browser, 0, 1, 1)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'})",
                           touched)
    touched.click()
    keep(browser, f"{name}-narrow")
    sheet, of_cell = (browser.execute_script("return arguments[0].getBoundingClientRect()", element)
                      for element in (details(browser), touched))
    assert details(browser).is_displayed() and sheet["width"] <= PHONE[0]
    assert sheet["bottom"] <= of_cell["top"] or of_cell["bottom"] <= sheet["top"]


def test_paper_is_light_and_shows_whole_tables_without_details(browser, reports):
    for name in ("two", "many"):
        show(browser, reports[name], theme="dark")
        printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
        (PICTURES / f"{name}.pdf").write_bytes(base64.b64decode(printed))
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not details(browser).is_displayed()
        boxes = browser.execute_script("return [...document.querySelectorAll('.panel')].map((box) => "
                                       "getComputedStyle(box).overflow + getComputedStyle(box).maxHeight)")
        assert set(boxes) == {"visiblenone"}


def test_sixty_four_nodes_keep_their_headings_in_sight(browser, reports):
    show(browser, reports["many"])
    box = browser.execute_script("const box = document.querySelector('.panel'); box.scrollTo(9999, 9999); return box")
    heads = browser.execute_script("""const table = arguments[0].querySelector('table');
        const parts = [arguments[0], table.tHead.rows[0].cells[64], table.tBodies[0].rows[63].cells[0]];
        const [box, column, row] = parts.map((element) => element.getBoundingClientRect());
        return [column.top - box.top, row.left - box.left]""", box)
    assert all(abs(distance) < 2 for distance in heads)
    assert browser.execute_script("return document.querySelector('.panel').clientHeight <= innerHeight")


def test_without_scripts_the_page_is_complete_but_for_details(browser, reports):
    show(browser, reports["cxl"], script=False)
    try:
        assert len(browser.find_elements(By.CSS_SELECTOR, "table.heat td")) == 42
        assert not details(browser).is_displayed() and not browser.find_element(By.ID, "theme").is_displayed()
        assert not browser.find_element(By.CSS_SELECTOR, ".scripted").is_displayed()
        browser.find_element(By.ID, "by-penalty").click()
        assert browser.find_element(By.ID, "by-penalty").is_selected()
        keep(browser, "cxl-without-script")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


