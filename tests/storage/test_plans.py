"""Every frequent statement is answered by its index, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from storage.engine import create_engine
from storage.migrate import migrate
from storage.plans import Question, explained, fault_of, fill, questions


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


async def test_every_frequent_statement_is_answered_by_its_index_and_reads_no_whole_table(connection):
    faults = {}
    for question in questions():
        plan = await explained(connection, question.statement)
        if fault_of(plan, question):
            faults[question.name] = fault_of(plan, question), plan
    assert faults == {}


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        (["Index Scan using ix_a on t"], None),
        (["Index Scan using ix_b on t"], "NOT ANSWERED BY ix_a"),
        (["Nested Loop", "  ->  Index Scan using ix_a on t", "  ->  Seq Scan on u"], "READS A WHOLE TABLE"),
        (["SEARCH t USING INDEX ix_a", "SCAN u"], "READS A WHOLE TABLE: SCAN u"),
    ],
    ids=["its index", "another index", "a whole table on PostgreSQL", "a whole table on SQLite"],
)
def test_a_plan_is_judged_by_its_index_and_by_what_it_reads(plan, fault):
    found = fault_of(plan, Question("q", text("SELECT 1"), ("ix_a",)))
    assert found == fault or (fault is not None and found.startswith(fault))
