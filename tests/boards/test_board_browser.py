"""The page of a board in headless Chromium: it loads, sorts, filters, shows what a link names, and says
nothing on the console. Skipped, with the reason, where Chromium or its driver is not installed."""

from __future__ import annotations

import shutil

import board_fakes as fakes
import page_fakes
import pytest

from mfbench.boards import tables
from mfbench.boards.publish import publish
from mfbench.boards.web.page import board_page
from mfbench.registry import Registry
from mfbench.store import Store

OOD, STEPS = "ood_auroc-swiss_roll", "step_consistency-swiss_roll"
MOST_MS = 200
"""Milliseconds that a sort of ten thousand rows may take."""


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium with its console kept, or a skip that says what is missing."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is missing (mfbench[browser])")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium or chromedriver is not installed (Debian: chromium, chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    opened.set_script_timeout(120)
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    with Store(fakes.quick(folder / "store.sqlite")) as store:
        publish(store, Registry(), folder / "out", html=True)
    return (folder / "out/quick/index.html").as_uri()


@pytest.fixture
def page(browser, address):
    """The page, freshly loaded on a desktop's screen; afterwards the console must be empty."""
    size(browser, 1360, 900)
    browser.get("about:blank")
    browser.get(address)
    yield browser
    assert browser.get_log("browser") == []


def size(browser, width, height):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def labels(browser, slug):
    """Names of the rows of a table that are shown, from the top."""
    script = """
        const rows = document.getElementById(arguments[0]).querySelectorAll("tbody th.method");
        return [...rows].map((each) => each.textContent);
    """
    return browser.execute_script(script, slug)


def wait(browser, condition):
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 120, poll_frequency=0.1).until(lambda _: condition())


def element(browser, selector):
    return browser.find_element("css selector", selector)


def sort_by(browser, slug, key):
    """As by keyboard: the heading's button is focused and Enter pressed."""
    selector = f'[id="{slug}"] th[data-key="{key}"] .dt-column-order'
    element(browser, selector).send_keys("\ue007")


def sorted_by(browser, slug, key):
    """The numbers by which the rows that are shown are sorted, from the top."""
    script = """
        const table = document.getElementById(arguments[0]).querySelector("table.grid");
        const names = [...table.querySelectorAll("thead th")].map((each) => each.dataset.key);
        const place = names.indexOf(arguments[1]);
        return [...table.tBodies[0].rows].map((row) => row.cells[place].dataset.order);
    """
    return [float(order.split()[1]) for order in browser.execute_script(script, slug, key)]


def test_sorting_by_keyboard_keeps_yardsticks_apart(page):
    before = labels(page, OOD)
    sort_by(page, OOD, "auroc")  # higher is better: the best first
    wait(page, lambda: element(page, f'[id="{OOD}"] th[data-key=auroc]').get_attribute("aria-sort"))
    best_first = labels(page, OOD)
    sort_by(page, OOD, "auroc")
    wait(page, lambda: labels(page, OOD) != best_first)
    worst_first = labels(page, OOD)
    assert best_first[:5] == ["oracle_bayes", "oracle_density", "hanging| <b>x</b>", "kde", "gmm"]
    assert worst_first[:5] == ["oracle_density", "oracle_bayes", "diffusion_markov", "gmm", "kde"]
    assert best_first[-1] == worst_first[-1] == "untrained"
    assert set(worst_first[-3:-1]) == {"shapeless", "images_only"}  # no value: last, either way
    sort_by(page, OOD, "auroc")
    wait(page, lambda: labels(page, OOD) == before)


def test_yardsticks_are_sorted_among_the_methods_on_request(page):
    sort_by(page, OOD, "auroc")
    sort_by(page, OOD, "auroc")
    wait(page, lambda: labels(page, OOD)[2] == "diffusion_markov")
    element(page, f'[id="{OOD}"] .apart').click()
    wait(page, lambda: labels(page, OOD)[0] == "untrained")
    assert labels(page, OOD)[:6] == [
        *("untrained", "diffusion_markov", "gmm", "kde", "oracle_density", "oracle_bayes")
    ]


def test_rows_are_filtered_by_text_and_by_parameter(page):
    element(page, f'[id="{STEPS}"] input[type=search]').send_keys("rk4")
    wait(page, lambda: labels(page, STEPS) == ["rk4"] * 5)
    select = element(page, f'[id="{STEPS}"] select')
    select.send_keys("2")
    select.find_element("css selector", "option:nth-child(3)").click()
    wait(page, lambda: labels(page, STEPS) == ["rk4"])
    assert element(page, f'[id="{STEPS}"] .count').text == "1 of 15 rows"


def test_a_link_shows_its_cell_even_in_a_hidden_column_and_a_filtered_row(page):
    row = page.execute_script("return document.querySelector(`[id='${arguments[0]}'] tr.ranked`).id", STEPS)
    element(page, f'[id="{STEPS}"] input[type=search]').send_keys("ddpm")
    wait(page, lambda: set(labels(page, STEPS)) == {"ddpm"})
    anchor = f"{row}.energy_distance"
    assert page.execute_script("return document.getElementById(arguments[0])", anchor) is None
    page.execute_script("location.hash = arguments[0]", anchor)
    wait(page, lambda: page.execute_script("return document.querySelector('.hit')?.id") == anchor)
    assert len(labels(page, STEPS)) == 15
    box = element(page, ".hit").rect
    assert box["height"] > 0
    top = "return document.querySelector('.hit').getBoundingClientRect().top"
    wait(page, lambda: 0 < page.execute_script(top) < 900)


def test_a_row_tells_of_itself_and_the_panel_closes_by_keyboard(page):
    link = element(page, f'[id="{OOD}"] tr:nth-child(3) th a')
    link.send_keys("\ue007")
    panel = wait(page, lambda: element(page, "dialog[open]"))
    text = panel.text
    for said in ("kde", "rank 1–2", "0.858", "24,000", "within 3 seeds", "mfbench show", "bandwidth"):
        assert said in text
    assert page.current_url.endswith(link.get_attribute("href").partition("#")[2])
    element(page, "dialog .close").send_keys("\ue00c")
    wait(page, lambda: not page.find_elements("css selector", "dialog[open]"))


def test_columns_are_chosen_and_hostile_names_stay_names(page):
    assert not page.find_elements("css selector", f'[id="{OOD}"] td[id$=".fpr_at_95_tpr"]')
    element(page, f'[id="{OOD}"] .chooser summary').click()
    element(page, f'[id="{OOD}"] .chooser input[value=fpr_at_95_tpr]').click()
    wait(page, lambda: page.find_elements("css selector", f'[id="{OOD}"] td[id$=".fpr_at_95_tpr"]'))
    assert "hanging| <b>x</b>" in labels(page, OOD)
    assert page.execute_script("return document.querySelectorAll('b').length") == page.execute_script(
        "return document.querySelectorAll('.constants b').length"
    )


def test_a_phone_has_the_score_on_its_screen_and_nothing_beside_it(page, address):
    size(page, 390, 844)
    page.get("about:blank")
    page.get(address)
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    score = element(page, f'[id="{OOD}"] th[data-key=auroc]').rect
    assert score["x"] + score["width"] <= 390


def test_the_theme_is_chosen(page):
    button = element(page, "button.theme")
    colours = set()
    for _ in range(3):
        button.click()
        script = (
            "return [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]"
        )
        colours.add(tuple(page.execute_script(script)))
    assert {name for name, _ in colours} == {"automatic", "light", "dark"}
    assert len({colour for _, colour in colours}) == 2


def test_the_index_leads_to_the_board(page, address):
    page.get(address.replace("quick/index.html", "index.html"))
    element(page, ".card tbody a").click()
    wait(page, lambda: page.current_url == f"{address}#{OOD}")


def test_a_damaged_link_is_no_error(page, address):
    for hash in ("%E0%A4%A", f"{OOD}.%"):
        page.execute_script("location.hash = arguments[0]", hash)
    page.get("about:blank")
    page.get(f"{address}#%E0%A4%A")
    assert not page.find_elements("css selector", ".hit")
    assert len(labels(page, OOD)) > 5


def test_the_link_of_a_row_stands_apart_from_what_is_above_it(page):
    element(page, f'[id="{OOD}"] tr:nth-child(3) th a').send_keys("\ue007")
    wait(page, lambda: page.find_elements("css selector", "dialog[open]"))
    gap = """
        const link = document.querySelector("dialog .permalink");
        link.parentElement.insertBefore(link.parentElement.querySelector(".scroller"), link);
        return link.getBoundingClientRect().top - link.previousSibling.getBoundingClientRect().bottom;
    """
    assert page.execute_script(gap) >= 12


def test_a_figure_is_never_above_its_own_size(page):
    """Of 40 and of 4000 pixels, in a column of some hundreds."""
    script = """
        const [width, done] = arguments;
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [width, 10];
        const image = document.createElement("img");
        const figure = document.createElement("figure");
        figure.append(image);
        const figures = document.createElement("div");
        figures.className = "figures";
        figures.append(figure);
        document.querySelector("section.board").append(figures);
        image.onload = () => done([image.getBoundingClientRect().width, figure.clientWidth]);
        image.src = canvas.toDataURL();
    """
    assert page.execute_async_script(script, 40)[0] == 40
    shown, column = page.execute_async_script(script, 4000)
    assert 300 < shown <= column < 1000


def test_paper_has_every_row_and_what_is_folded(browser, tmp_path):
    found = page_fakes.many_rows(3)
    path = tmp_path / "index.html"
    path.write_bytes(board_page(found, tables.build(found)))
    browser.get(path.as_uri())
    shown = """
        const rows = document.querySelectorAll("table.grid tbody tr").length;
        const open = document.querySelectorAll("details[open]").length;
        return [rows, open, document.querySelector(".dt-paging .current")?.textContent];
    """
    turn = "document.querySelector('.dt-paging button[data-dt-idx=\"1\"]').click()"
    browser.execute_script(turn)
    before = browser.execute_script(shown)
    assert before == [100, 0, "2"]
    browser.execute_script(
        f"addEventListener('beforeprint', () => {{ window.printed = (() => {{ {shown} }})(); }})"
    )
    browser.print_page()
    rows, unfolded, _ = browser.execute_script("return window.printed")
    assert (rows, unfolded) == (300, len(browser.find_elements("css selector", "details:not(.chooser)")))
    assert unfolded > 0
    wait(browser, lambda: browser.execute_script(shown) == before)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert element(browser, ".count").is_displayed()
    assert not element(browser, ".search").is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_ten_thousand_rows_are_sorted_at_once(browser, tmp_path):
    """Time of the page's main thread: what else the machine does is not the page's."""
    found = page_fakes.many_rows()
    path = tmp_path / "index.html"
    path.write_bytes(board_page(found, tables.build(found)))
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.get(path.as_uri())
    slug = element(browser, "section.board").get_attribute("id")
    assert "10,000 rows" in element(browser, ".count").text
    element(
        browser, "input.apart"
    ).click()  # else the thousand ceilings fill the first page however it is sorted
    for key in ("distance", "NFE", "ms"):
        before = busy(browser)
        sort_by(browser, slug, key)
        lowest = sorted_by(browser, slug, key)
        sort_by(browser, slug, key)
        highest = sorted_by(browser, slug, key)
        assert 1000 * (busy(browser) - before) / 2 < MOST_MS
        assert lowest == sorted(lowest)
        assert highest == sorted(highest, reverse=True)
        assert lowest[-1] < highest[-1]
    assert browser.get_log("browser") == []


def busy(browser):
    """Seconds of processor time that the page's main thread has used."""
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")
