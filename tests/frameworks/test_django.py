"""docs/frameworks/django.md: commands and views of a Django site."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from support.pages import command, write_files
from support.programs import Program, outputs

pytestmark = pytest.mark.timeout(180)  # interpreters start slowly on a busy machine


PAGE = "frameworks/django.md"

_ASK = """
import os, sys, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
import django
django.setup()
from django.conf import settings
settings.ALLOWED_HOSTS = ["testserver"]
from django.test import RequestFactory
from reports.leases import manager
from reports.views import rebuild

def ask(address):
    response = rebuild(RequestFactory().get("/rebuild", REMOTE_ADDR=address))
    print(response.status_code, response.content.decode())

assert manager() is manager()
ask("10.0.0.1")
with manager().claimer("site").hold("rebuild", "10.0.0.1", 30):
    ask("10.0.0.1")
ask("10.0.0.1")
child = os.fork()
if child == 0:
    ask("10.0.0.3")    # it opens a manager of its own
    sys.stdout.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A new site, and in it what the page says."""
    start = (sys.executable, "-m", "django", "startproject", "mysite", ".")
    with Program(*start, cwd=tmp_path) as program:
        assert outputs([program]) == [[]]
    names = write_files(PAGE, tmp_path)
    assert "reports/views.py" in names
    return tmp_path


def manage(site: Path, name: str) -> Program:
    python, *words = command(PAGE, f"python manage.py {name}")
    assert python == "python"
    return Program(sys.executable, *words, cwd=site)


def test_of_commands_that_start_together_one_does_the_work(site: Path) -> None:
    programs = [manage(site, "nightly_report") for _ in range(3)]
    with programs[0], programs[1], programs[2]:
        said = sorted(outputs(programs))
    other = ["another machine has written it"]
    assert said == [other, other, ["the report is written"]]


def test_one_leads_and_when_it_dies_another_does(site: Path) -> None:
    with manage(site, "dispatch") as first:
        assert first.line("leading, term") == "1"
        with manage(site, "dispatch") as second:
            first.kill(signal.SIGKILL)
            assert second.line("leading, term") == "2"
            second.kill(signal.SIGTERM)
            assert second.status() == 0
            assert second.said[-1] == "not leading any more"


def test_views_share_a_manager_which_each_process_has_of_its_own(site: Path) -> None:
    with Program(
        sys.executable, "-W", "ignore::DeprecationWarning", "-c", _ASK, cwd=site
    ) as program:
        [said] = outputs([program])
    built, being_built = "200 the index is built anew", "409 it is being built already"
    assert said == [built, being_built, built, built]
