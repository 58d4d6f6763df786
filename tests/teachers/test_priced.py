"""Whose price a teacher's is: of an endpoint its host's, of a rehearsal one on paper."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.config import TeacherTable


def teacher(**fields: Any) -> TeacherTable:
    return TeacherTable.model_validate({"kind": "openai_chat", "model": "gpt-4o-mini"} | fields)


def test_an_endpoint_is_priced_at_its_own_host() -> None:
    assert teacher().priced().provider == "openai"
    assert teacher(base_url="https://api.openai.com:443/v1").priced().provider == "openai"
    router = teacher(base_url="https://openrouter.ai/api/v1", model="openai/gpt-4o-mini").priced()
    assert (router.provider, router.free) == ("openrouter", False)
    google = teacher(
        base_url="https://generativelanguage.googleapis.com/v1beta/openai", model="gemini-2.5-flash"
    ).priced()
    assert google.per_million["visible_out"] == Decimal("2.5")


def test_a_known_name_at_another_host_is_no_known_price() -> None:
    with pytest.raises(
        UserError, match=r"'gpt-4o-mini' at 127\.0\.0\.1; it is known at api\.openai\.com"
    ):
        teacher(base_url="http://127.0.0.1:8000/v1").priced()
    pinned = teacher(base_url="http://127.0.0.1:8000/v1", price={"in": 0.15, "out": 0.6}).priced()
    assert (pinned.provider, pinned.per_million["uncached_in"]) == ("127.0.0.1", Decimal("0.15"))


def test_a_batch_is_asked_for_by_its_mode() -> None:
    assert teacher().priced("batch").per_million["visible_out"] == Decimal("0.3")


def test_a_rehearsal_costs_on_paper_what_somebody_asks() -> None:
    assert teacher(kind="rehearsed").priced().provider == "openai"
    assert teacher(kind="rehearsed", model="deepseek-v4-flash").priced().provider == "deepseek"
    with pytest.raises(UserError, match="no price is known for the model 'nobody-knows'"):
        teacher(kind="rehearsed", model="nobody-knows").priced()


def test_a_free_variant_is_no_price() -> None:
    with pytest.raises(UserError, match="no price is known"):
        teacher(
            base_url="https://openrouter.ai/api/v1", model="meta-llama/llama-3.3-70b-instruct:free"
        ).priced()
