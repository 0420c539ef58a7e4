"""A fleet's report.html in a real browser: sorted, filtered, pointed at, and walked by keyboard."""

import base64
import re

import pytest
from test_in_a_browser import (DESKTOP, FAINT, HOSTILE, PHONE, PICTURES, ROOT, browser, complaints, details, keep, press,
                               pytestmark, show, told)

import made_up_fleet  # of tests/plot, which test_in_a_browser has put on the path
from conftest import machine
from test_merge import add_host

from numa_report.page import fleet
from numa_sweep import host_rows, merge

if not pytestmark.args[0]:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

__all__ = ["browser", "ROOT"]
FRAME = [204, 0, 0]  # around cells that are apart
YELLOW = [254, 232, 56]  # the farthest, cividis' last colour


@pytest.fixture(scope="module")
def fleets(tmp_path_factory):
    """{name: path of report.html} of made-up fleets; `hostile` has names that try to be more, `many` small pictures."""
    folder, found = tmp_path_factory.mktemp("fleets"), {}
    made_up_fleet.write(folder / "ten", 10, 2, ("latency", "bandwidth"), "node{}")
    made_up_fleet.write(folder / "many", 220, 2, ("latency",))
    for number in range(3):
        add_host(folder / "hostile", HOSTILE.replace("/", "") + str(number), machine([0], [0, 1], ("latency",)),
                 cpu_model=HOSTILE)
    host_rows.write(str(folder / "hostile"), [host_rows.row(HOSTILE, status="unreachable", reason=HOSTILE)])
    merge.merge(str(folder / "hostile"))
    for name in ("ten", "many", "hostile"):
        fleet.write(str(folder / name))
        found[name] = folder / name / "report.html"
    return found


def click(browser, element):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def tile(browser, host):
    return next(found for found in browser.find_elements(By.CSS_SELECTOR, ".tile") if found.text.endswith(host))


def point_at(browser, host, row, column):
    """At a cell of a two-node host's matrix."""
    canvas = tile(browser, host).find_element(By.TAG_NAME, "canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    ActionChains(browser).move_to_element_with_offset(canvas, *(16 * (2 * place - 1) for place in (column, row))).perform()


def pixels(browser, host):
    """[red, green, blue] of each pixel of a host's picture."""
    canvas = tile(browser, host).find_element(By.TAG_NAME, "canvas")
    flat = browser.execute_script("const {width, height} = arguments[0]; return [...arguments[0].getContext('2d')"
                                  ".getImageData(0, 0, width, height).data]", canvas)
    return [flat[at:at + 3] for at in range(0, len(flat), 4)]


def names(browser):
    return [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#hosts tbody th")]


def focused_host(browser):
    return browser.execute_script("return document.activeElement.classList.contains('tile') ? "
                                  "document.activeElement.textContent : null")


def choose(browser, name, value):
    click(browser, browser.find_element(By.CSS_SELECTOR, f".controls input[name={name}][value='{value}']"))


@pytest.mark.parametrize("name", ["ten", "many", "hostile"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_opens_without_a_complaint_or_a_request(browser, fleets, name, theme):
    show(browser, fleets[name], theme=theme)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".tile canvas")) == {"ten": 9, "many": 219, "hostile": 3}[name]
    keep(browser, f"fleet-{name}-{theme}")
    assert complaints(browser) == []
    assert browser.execute_script("return window.pwned") is None


def test_a_click_on_a_heading_sorts_the_ranking(browser, fleets):
    show(browser, fleets["ten"])
    ranked = names(browser)
    headings = browser.find_elements(By.CSS_SELECTOR, "#hosts thead th")
    latency = next(heading for heading in headings if "local latency" in heading.text)
    click(browser, latency.find_element(By.TAG_NAME, "button"))
    assert latency.get_attribute("aria-sort") == "descending" and names(browser)[0] == "node9"
    assert names(browser)[-1] == "node6"  # it has no figure
    latency.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert latency.get_attribute("aria-sort") == "ascending" and names(browser)[0] == "node8"
    assert names(browser)[-1] == "node6"
    click(browser, headings[1].find_element(By.TAG_NAME, "button"))
    assert names(browser) == [f"node{number}" for number in range(10)] and latency.get_attribute("aria-sort") is None
    click(browser, headings[0].find_element(By.TAG_NAME, "button"))
    assert names(browser) == ranked


def test_the_filter_leaves_rows_and_matrices(browser, fleets):
    show(browser, fleets["ten"])
    find = browser.find_element(By.ID, "find")
    find.send_keys("odd 9000")
    seen = {row for row in names(browser) if row}
    assert seen == {"node3", "node5", "node7", "node8"}
    assert browser.find_element(By.ID, "found").text == "4 of 10 hosts"
    assert {found.text[2:] for found in browser.find_elements(By.CSS_SELECTOR, ".tile") if found.is_displayed()} == seen
    find.clear()
    find.send_keys("nothing like it")
    assert browser.find_element(By.ID, "found").text == "0 of 10 hosts"
    assert not any(group.is_displayed() for group in browser.find_elements(By.CSS_SELECTOR, ".group"))


def test_pointing_at_a_cell_shows_it_beside_the_fleets(browser, fleets):
    show(browser, fleets["ten"])
    point_at(browser, "node7", 0, 1)
    said = details(browser).text
    assert "node7" in said and "CPU node 0 (CPU 0), memory node 1" in said and "latency.random.cpu0.node1" in said
    assert re.search(r"value\s21[0-9]\S* ns", said) and re.search(r"fleet's median\s1[67][0-9]\S* ns", said)
    assert re.search(r"difference\s\+2[0-9]\.[0-9] %", said) and re.search(r"robust z\s\+[0-9.]+: apart", said)
    point_at(browser, "node1", 0, 0)
    assert "node1" in details(browser).text and ": apart" not in details(browser).text
    point_at(browser, "node3", 1, 1)
    assert "this host has no such cell" in details(browser).text
    point_at(browser, "node4", 1, 0)
    assert "not measured" in details(browser).text and "failed" in details(browser).text
    point_at(browser, "node9", 0, 0)
    assert "it takes 3 hosts with the same CPU" in details(browser).text
    assert complaints(browser) == []


def test_only_cells_that_are_apart_have_a_frame(browser, fleets):
    show(browser, fleets["ten"])
    framed = {f"node{number}": pixels(browser, f"node{number}").count(FRAME) for number in range(10) if number != 6}
    assert {host for host, count in framed.items() if count} == {"node5", "node7", "node8"}
    assert framed["node5"] < framed["node7"] == framed["node8"]  # of a column, and of all


def test_quantity_and_colours_can_be_chosen(browser, fleets):
    show(browser, fleets["ten"])
    legends = ("return [...document.querySelectorAll('[data-legend]')].filter((part) => !part.hidden)"
               ".map((part) => part.textContent.trim().split('\\n')[0])")
    before = pixels(browser, "node1")
    assert browser.execute_script(legends) == ["ns, lower is better"]
    choose(browser, "panel", "1")
    assert browser.execute_script(legends) == ["GB/s, higher is better"]
    choose(browser, "panel", "0")
    assert pixels(browser, "node1") == before
    choose(browser, "by", "distance")
    assert "robust standard deviations" in browser.execute_script(legends)[0]
    plain, odd = pixels(browser, "node1"), pixels(browser, "node7")
    assert plain != before and odd.count(YELLOW) > 500 and plain.count(YELLOW) == 0
    keep(browser, "fleet-ten-distance")
    choose(browser, "order", "name")
    shown = [found.text[-5:] for found in browser.find_elements(By.CSS_SELECTOR, ".tile")]
    assert shown == [f"node{number}" for number in (0, 1, 2, 3, 4, 5, 7, 8, 9)]


def test_the_keyboard_walks_hosts_and_cells(browser, fleets):
    show(browser, fleets["ten"])
    order = [found.text for found in browser.find_elements(By.CSS_SELECTOR, ".tile")]
    choose(browser, "order", "rank")
    press(browser, Keys.TAB)
    assert focused_host(browser) == order[0]
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert focused_host(browser) == order[2] and order[2][2:] in details(browser).text
    press(browser, Keys.END)
    assert focused_host(browser) == order[-1]
    press(browser, Keys.ARROW_UP)  # to the group above
    assert focused_host(browser) in order[:-1]
    press(browser, Keys.HOME, Keys.ARROW_LEFT)  # at the end it stays
    assert focused_host(browser) == order[0]
    browser.execute_script("arguments[0].focus()", tile(browser, "node7"))
    place = details(browser).find_element(By.CSS_SELECTOR, ".cell-name").text
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_UP,
                                                         Keys.ARROW_UP).key_up(Keys.SHIFT).perform()
    assert details(browser).find_element(By.CSS_SELECTOR, ".cell-name").text == "CPU node 0 (CPU 0), memory node 0", place
    aloud = browser.find_element(By.CSS_SELECTOR, ".aloud").get_attribute("textContent")
    assert aloud.startswith("node7; CPU node 0 (CPU 0), memory node 0; value ") and "fleet's median" in aloud
    press(browser, Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "details"
    press(browser, Keys.TAB, Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("href").endswith("/hosts/node7/report.html")
    press(browser, Keys.ESCAPE)
    assert focused_host(browser).endswith("node7") and "Point at a host" in details(browser).text


def test_a_host_leads_to_its_own_page_and_back(browser, fleets):
    show(browser, fleets["ten"])
    click(browser, browser.find_element(By.LINK_TEXT, "node7"))
    assert browser.find_element(By.TAG_NAME, "h1").text == "node7" and browser.current_url.endswith("/hosts/node7/report.html")
    click(browser, browser.find_element(By.LINK_TEXT, "ten"))
    assert browser.find_element(By.TAG_NAME, "h1").text == "ten" and complaints(browser) == []


def test_a_screen_reader_is_told_of_hosts_and_sorting(browser, fleets):
    show(browser, fleets["ten"])
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {told(node, "role"): [] for node in tree}
    for node in tree:
        named[told(node, "role")].append(told(node, "name") or "")
    assert any(name.startswith("node7, odd, 28 of 28 cells apart") for name in named["button"])
    assert sum(name.startswith("node") for name in named["button"]) == 9
    assert "Made-up CPU 9000" in named["group"] and "searchbox" in named and "status" in named
    assert "host" in named["columnheader"] and "node7" in named["rowheader"]
    headings = [int(heading.tag_name[1]) for heading in browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3")]
    assert headings[0] == 1 and all(after - before <= 1 for before, after in zip(headings, headings[1:]))


def test_without_script_the_ranking_is_whole(browser, fleets):
    show(browser, fleets["ten"], script=False)
    assert names(browser)[:2] == ["node6", "node4"] and len(names(browser)) == 10
    assert "Drawing them takes JavaScript" in browser.find_element(By.ID, "main").text
    assert not browser.find_element(By.CSS_SELECTOR, ".controls").is_displayed()
    assert not browser.find_element(By.ID, "find").is_displayed()
    show(browser, fleets["ten"])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_contrasts_with_its_ground(browser, fleets, theme):
    show(browser, fleets["ten"], theme=theme)
    point_at(browser, "node7", 0, 1)
    assert browser.execute_script(FAINT) == []


@pytest.mark.parametrize("name", ["ten", "hostile"])
def test_a_phone_scrolls_nothing_sideways_but_tables(browser, fleets, name):
    show(browser, fleets[name], size=PHONE)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
    touched = browser.find_elements(By.CSS_SELECTOR, ".tile")[1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", touched)
    touched.click()
    keep(browser, f"fleet-{name}-narrow")
    sheet, of_tile = (browser.execute_script("return arguments[0].getBoundingClientRect()", element)
                      for element in (details(browser), touched))
    assert details(browser).is_displayed() and sheet["width"] <= PHONE[0]
    assert sheet["bottom"] <= of_tile["top"] or of_tile["bottom"] <= sheet["top"]


def test_paper_has_the_whole_ranking_and_every_matrix(browser, fleets):
    show(browser, fleets["ten"], size=DESKTOP, theme="dark")
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    (PICTURES / "fleet-ten.pdf").write_bytes(base64.b64decode(printed))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not details(browser).is_displayed() and not browser.find_element(By.ID, "find").is_displayed()
    assert browser.execute_script("return getComputedStyle(document.querySelector('.ranks')).maxHeight") == "none"
    assert all(found.is_displayed() for found in browser.find_elements(By.CSS_SELECTOR, ".tile canvas"))
