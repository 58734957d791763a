"""Makes the pictures in ``docs/images`` anew: ``python docs/screenshots.py`` (Chromium needed)."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from werkzeug.serving import make_server

from lease_actors import Manager, SqlStore, SystemClock
from lease_actors.cli.top_view import Screen, Snapshot, draw
from lease_actors.web import LeasesApp

IMAGES = Path(__file__).parent / "images"


def fill(manager: Manager) -> None:
    """Some leases as they may be in practice."""
    jobs, revoker = manager.claimer("jobs"), manager.revoker("jobs")
    tick = threading.Event()
    for worker in ("web-1/4711", "web-2/3907", "web-1/4711", "web-3/2210", "web-2/3907"):
        jobs.claim("nightly-report", worker, 60)
        tick.wait(0.3 + len(worker) % 3 / 3)
        revoker.revoke("nightly-report", worker)
    for lease, holder, seconds in (
        ("nightly-report", "web-3/2210", 60),
        ("invoices", "web-1/4711", 900),
        ("mail-queue", "web-2/3907", 45),
        ("search-index", "web-2/3907", 3600),
    ):
        jobs.claim(lease, holder, seconds)
    manager.claimer("scheduler", "europe").claim("leader", "cron-1/88", 30)
    manager.claimer("scheduler", "asia").claim("leader", "cron-7/91", 30)
    manager.pinner("jobs").pin("search-index", "upgrade-42")
    for waiter in ("web-1/4711", "web-2/3907"):
        jobs.claim_future("nightly-report", waiter, 60)
    jobs.claim("settled", "me", 1)  # behind the others in the line: they are in the queue now
    revoker.revoke("settled", "me")


def draw_top(manager: Manager) -> None:
    """``top`` in 80 columns, as rich writes it to SVG."""
    console = Console(record=True, width=80, height=14, file=StringIO(), color_system="truecolor")
    views = manager.overview().leases("jobs")
    snapshot = Snapshot(views=views, age=timedelta(seconds=7))
    console.print(draw(Screen(), snapshot, "postgresql database 'db/leases'", 80, 14))
    picture = console.export_svg(title="lease-actors top --namespace jobs")
    # Its fonts would be fetched from elsewhere; any of the reader's own will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (IMAGES / "top.svg").write_text(picture.replace("Fira Code", "monospace"), encoding="utf-8")


@contextmanager
def serving(manager: Manager) -> Iterator[str]:
    app = LeasesApp(manager, token="an-open-secret", title="leases of db/leases")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def shoot(address: str) -> None:
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    browser = webdriver.Chrome(options, webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        for scheme in ("light", "dark"):
            for name, width, height in (("page", 1100, 560), ("phone", 390, 780)):
                picture(browser, address, scheme, name, width, height)
    finally:
        browser.quit()


def picture(
    browser: webdriver.Chrome, address: str, scheme: str, name: str, width: int, height: int
) -> None:
    media: dict[str, Any] = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(address)
    tick = threading.Event()
    while not browser.find_elements(By.CSS_SELECTOR, "#leases tbody tr"):
        tick.wait(0.1)
    tick.wait(0.5)
    browser.save_screenshot(str(IMAGES / f"{name}-{scheme}.png"))
    if name == "page":
        buttons = browser.find_elements(By.CSS_SELECTOR, "#leases .name button")
        next(b for b in buttons if b.text == "nightly-report").send_keys(Keys.ENTER)
        while not browser.find_elements(By.CSS_SELECTOR, "#detail .past tr"):
            tick.wait(0.1)
        tick.wait(0.3)
        browser.save_screenshot(str(IMAGES / f"lease-{scheme}.png"))


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/leases.db"
        store = SqlStore(url, create_schema=True)
        store.open(SystemClock())
        store.set_history(10**12)
        store.close()
        with Manager.open(url) as manager:
            fill(manager)
            draw_top(manager)
            with serving(manager) as address:
                shoot(address)


if __name__ == "__main__":
    main()
