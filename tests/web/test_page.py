"""The page in a real browser: what an operator sees, and can do."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support.servers import missing
from werkzeug.serving import make_server

from lease_actors import Manager
from lease_actors.web import LeasesApp

TOKEN = "an-open-secret"
EVIL = "<img/src=x/onerror=document.title='evil'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing("the page is tested in Chromium: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # It leaves folders behind where it is told to put what is temporary.
    environment = {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("chromium"))}
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver, env=environment))
    yield chrome
    chrome.quit()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager.open(f"sqlite:///{tmp_path / 'leases.db'}") as manager:
        yield manager


@pytest.fixture
def page(browser: webdriver.Chrome, manager: Manager) -> Iterator[Page]:
    app = LeasesApp(manager, token=TOKEN, title="leases of a test")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    browser.get(f"http://127.0.0.1:{server.port}/")
    yield Page(browser)
    browser.get("about:blank")
    server.shutdown()
    server.server_close()
    thread.join(10)


class Page:
    """What is seen, and done."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser

    def one(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)"
        found: list[str] = self.browser.execute_script(script, selector)
        return found

    def value(self, selector: str) -> Any:
        return self.browser.execute_script(
            "return document.querySelector(arguments[0]).value", selector
        )

    def click(self, selector: str) -> None:
        """Click on it. The page draws itself anew once a second: what was found may be gone."""

        def clicked() -> bool:
            try:
                self.one(selector).click()
            except StaleElementReferenceException:
                return False
            return True

        self.until(clicked)

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait until it is seen."""
        tick = threading.Event()
        for _ in range(1200):
            if condition():
                return
            tick.wait(0.025)
        raise AssertionError(f"not seen: {self.texts('body')}, {self.browser.get_log('browser')}")

    def open(self, lease: str) -> None:
        self.until(lambda: lease in self.texts("#leases .name button"))
        # By the keyboard: the page keeps the focus when it draws itself anew.
        script = """for (const button of document.querySelectorAll("#leases .name button"))
            if (button.innerText === arguments[0]) button.focus();"""
        self.browser.execute_script(script, lease)
        webdriver.ActionChains(self.browser).send_keys(Keys.ENTER).perform()
        self.until(lambda: self.texts("#detail h2") == [lease] and self.texts("#told dl"))

    def errors(self) -> list[Any]:
        return [e for e in self.browser.get_log("browser") if e["level"] == "SEVERE"]


def test_the_leases_appear_and_change_by_themselves(page: Page, manager: Manager) -> None:
    page.until(lambda: page.texts("#none") == ["No leases."])
    claimer = manager.claimer("jobs")
    claimer.claim("nightly", "worker-1", 60)
    page.until(lambda: page.texts("#leases tbody td:nth-child(2)") == ["worker-1"])
    manager.revoker("jobs").revoke("nightly", "worker-1")
    claimer.claim("nightly", "worker-2", 60)
    page.until(lambda: page.texts("#leases tbody td:nth-child(2)") == ["worker-2"])
    assert page.texts("#leases tbody td:nth-child(3)") == ["2"]
    assert page.value("#leases progress") > 0.5
    assert page.texts("#summary") == ["1 held, 0 waiting"]
    assert page.errors() == []


def test_filter_and_sort(page: Page, manager: Manager) -> None:
    for lease, holder, seconds in (("a", "x", 900), ("b", "y", 60), ("c", "y", 300)):
        manager.claimer("jobs").claim(lease, holder, seconds)
    page.until(lambda: page.texts("#leases .name button") == ["a", "b", "c"])
    page.click("[data-sort=left]")
    assert page.texts("#leases .name button") == ["b", "c", "a"]
    page.click("[data-sort=left]")
    assert page.texts("#leases .name button") == ["a", "c", "b"]
    page.one("#filter").send_keys("y")
    assert page.texts("#leases .name button") == ["c", "b"]


def test_names_are_text_whatever_they_say(page: Page, manager: Manager) -> None:
    manager.claimer("jobs").claim(EVIL, EVIL, 60)
    manager.pinner("jobs").pin(EVIL, EVIL)
    page.open(EVIL)
    assert page.texts("#leases tbody td:nth-child(2)") == [EVIL]
    assert page.browser.find_elements(By.TAG_NAME, "img") == []
    assert page.browser.title == "leases of a test"
    assert page.errors() == []


def test_one_lease_with_queue_and_history(page: Page, manager: Manager, tmp_path: Path) -> None:
    from lease_actors import SqlStore, SystemClock

    store = SqlStore(f"sqlite:///{tmp_path / 'leases.db'}")
    store.open(SystemClock())
    store.set_history(10**12)
    store.close()
    claimer = manager.claimer("jobs")
    claimer.claim("nightly", "worker-1", 60)
    manager.revoker("jobs").revoke("nightly", "worker-1")
    claimer.claim("nightly", "worker-2", 60)
    with claimer.claim_future("nightly", "worker-3", 60):
        page.open("nightly")
        page.until(lambda: page.texts("#detail ol li"))
        assert page.texts("#detail ol li")[0].startswith("worker-3 ")
        assert page.texts("#detail .past td:nth-child(2)") == ["worker-2", "worker-1"]
        assert "revoked" in page.texts("#detail .past td:nth-child(4)")[1]
        assert len(page.browser.find_elements(By.CSS_SELECTOR, ".timeline rect")) == 2
    assert page.errors() == []


def test_who_has_the_token_pins_and_revokes(page: Page, manager: Manager) -> None:
    manager.claimer("jobs").claim("nightly", "worker-1", 60)
    page.until(lambda: page.texts("#leases .name button") == ["nightly"])
    page.one("#token").send_keys("not-the-token")
    page.open("nightly")
    page.one("#entity").send_keys("upgrade")
    page.click("#pin")
    page.until(lambda: page.texts("#refusal") == ["that is not the token"])
    page.click("#detail .close")
    page.one("#token").clear()
    page.one("#token").send_keys(TOKEN)
    page.open("nightly")
    page.one("#entity").send_keys("upgrade")
    page.click("#pin")
    page.until(lambda: "Unpin upgrade" in page.texts("#detail .actions button"))
    assert manager.pinner("jobs").pinned() == {"nightly": ["upgrade"]}
    manager.pinner("jobs").unpin("nightly", "upgrade")
    page.until(lambda: page.texts("#revoke") == ["Revoke"])
    page.click("#revoke")
    page.browser.switch_to.alert.accept()
    page.until(lambda: manager.reader("jobs").leases() == {})


def test_a_database_that_fails_is_said(page: Page, manager: Manager) -> None:
    page.until(lambda: page.texts("#none") == ["No leases."])
    manager.kill()
    page.until(lambda: any("stopp" in text for text in page.texts("#error")))
    page.until(lambda: "old" in page.one("#pulse").get_dom_attribute("class"))


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_the_screen(page: Page, manager: Manager, width: int) -> None:
    claimer = manager.claimer("a-namespace-with-a-rather-long-name")
    claimer.claim("a-lease-" + "with-a-name-" * 9, "a-holder-" + "of-some-length-" * 5, 60)
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        page.until(lambda: page.texts("#leases .name"))
        wide = "return document.documentElement.scrollWidth"
        assert page.browser.execute_script(wide) <= width
        page.open("a-lease-" + "with-a-name-" * 9)
        assert page.browser.execute_script(wide) <= width
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
