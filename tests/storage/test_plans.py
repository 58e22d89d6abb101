"""Every frequent statement is answered by its index, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from storage.engine import create_engine
from storage.migrate import migrate
from storage.plans import explained, fill, questions


@pytest.fixture
async def connection(sql_url):
    engine = create_engine(sql_url)
    await migrate(engine)
    async with engine.connect() as opened:
        await fill(opened, 5_000, embedding_bytes=16)
        if engine.dialect.name == "postgresql":
            await opened.execute(text("ANALYZE"))
            # so few rows are read fastest without an index; what is asked here is whether there is one
            for way in ("seqscan", "bitmapscan"):
                await opened.execute(text(f"SET LOCAL enable_{way} = off"))
        yield opened
        await opened.rollback()
    await engine.dispose()


async def test_every_frequent_statement_is_answered_by_its_index(connection):
    unanswered = {}
    for question in questions():
        plan = await explained(connection, question.statement)
        if not any(index in line for line in plan for index in question.indexes):
            unanswered[question.name] = plan
    assert unanswered == {}


async def test_no_frequent_statement_reads_a_whole_table(connection):
    scans = {}
    for question in questions():
        plan = await explained(connection, question.statement)
        whole = [line for line in plan if "Seq Scan" in line or (line.startswith("SCAN") and "INDEX" not in line)]
        if whole:
            scans[question.name] = plan
    assert scans == {}
