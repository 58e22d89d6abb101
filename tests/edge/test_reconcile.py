"""What clients were told, SQL, Prometheus and the FOCUS file name one sum: two workers, all kinds of traffic."""

from __future__ import annotations

import sys

import pytest
import yaml
from edge_server import config
from test_workers import ROOT, Workers

sys.path.insert(0, str(ROOT / "scripts"))

from reconcile import Books, books, differences, drive, export, settle

STREAMED = {"chat, streamed", "responses, streamed"}
KINDS = {"chat", "completions", "responses", "embeddings", "refused", "repeated", *STREAMED}
SECONDS = 8


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """(books, clients, the database) after some seconds of traffic."""
    folder = tmp_path_factory.mktemp("reconcile")
    database, file, focus = (folder / name for name in ("gearbox.db", "gearbox.yaml", "focus.csv"))
    file.write_text(yaml.safe_dump({**config(), "store": {"url": f"sqlite+aiosqlite:///{database}"}}))
    workers = Workers(database, 2, drain_s=2)
    try:
        clients = drive(workers.url, SECONDS, 4)
        settle(workers.url)
        export(file, focus)
        yield books(workers.url, database, focus, clients), clients, database
    finally:
        workers.end()


def test_all_books_name_one_sum(settled):
    found, clients, database = settled
    assert differences(clients, database) == []
    assert found.agree, str(found)


def test_the_traffic_was_mixed_and_some_of_its_cost_came_late(settled):
    found, clients, _ = settled
    assert {kind for client in clients for kind in client.told.kinds} == KINDS
    assert found.told > 0
    assert found.late > 0


@pytest.mark.parametrize("place", ["told", "late", "sql", "prometheus", "focus"])
def test_a_nano_dollar_too_many_is_noticed(place):
    right = {"told": 5, "late": 2, "sql": 7, "prometheus": 7, "focus": 7, "requests": 1}
    assert Books(**right).agree
    assert not Books(**{**right, place: right[place] + 1}).agree
