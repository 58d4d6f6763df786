"""No key that nothing reads: another value of it changes what a step is, what a plan says, or a behaviour that is named here.

A new key fails by name until its table's identity has it (most do by themselves) or a line of CHANGES or NAMED says what it
changes. Beside that some code must look at it: a key that stands in the identity alone would run a step again for nothing.
"""

from __future__ import annotations

import ast
import asyncio
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from pydantic import BaseModel

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.core.config_table import Table
from alpaca_pipe.curate.pipeline import CurationRules
from alpaca_pipe.generate.forecast.workload import _pace
from alpaca_pipe.generate.style_registry import style_class, style_names
from alpaca_pipe.ledger.budget import Caps
from alpaca_pipe.ledger.machine import detect
from alpaca_pipe.ledger.machine.config import GpuTable, terms
from alpaca_pipe.ledger.manual_entries import cost_by_hand
from alpaca_pipe.recipe.other_names import models_in
from alpaca_pipe.recipe.schema import Recipe, load_recipe, recipe_model
from alpaca_pipe.teachers import factory
from alpaca_pipe.teachers.config import TeacherTable
from alpaca_pipe.weights.new_shape import NewShape
from tests.house.test_layers import FILES, ROOT

NEW = {
    "model": "new",
    "shape": {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4},
}
# The least that a table needs, or needs for a key to mean something.
NEEDS: dict[str, dict[str, Any]] = {
    **{
        f"train.hosted.{name}": {"hosted": {"provider": "together"}}
        for name in ("model", "base_url", "api_key_env", "poll")
    },
    "train.hosted.account": {"hosted": {"provider": "fireworks", "account": "mine"}},
    "teacher": {"model": "gpt-4o-mini"},
    "teacher.local_server": {"model": "smollm2-135m-instruct"},
    "base": {"model": "tiny"},
    "base.revision": {"model": "org/name"},
    **dict.fromkeys(("base.shape", *(f"base.shape.{name}" for name in NewShape.model_fields)), NEW),
    "base.model": {"model": "smollm2-135m-instruct"},
    "texts": {"from": ["notes.md"]},
    "gpu": {"name": "H200"},
    "gpu.granularity": {"per_hour": 2},
    "gpu.watts": {"per_kwh": 0.3},
    "generate": {"count": 5},
    "generate.per_source": {"rows": "rows.jsonl"},
    "grow": {"hidden_size": 96},
    "curate.contamination.ngram": {"contamination": {"sets": ["notes.md"]}},
    "curate.turns": {"from": "rows.jsonl"},
    "curate.split_long.tokenizer": {"split_long": {"tokens": 900}},
    "train.early_stopping_patience": {"eval_strategy": "epoch"},
    "train.load_best_model_at_end": {"eval_strategy": "epoch"},
    "train.distill.revision": {"objective": "distill", "distill": {"teacher": "org/name"}},
    "train.fsdp": {"processes": 2},
    "train.deepspeed": {"processes": 2},
    **{
        f"train.distill.{name}": {"objective": "distill"}
        for name in ("teacher", "top_k", "temperature", "alpha")
    },
    "train.eval_strategy": {"eval_every_usd": 0.25},
    **{
        f"curate.filters.own.{name}": {"filters": {"own": {"file": "mine.py", "function": "one"}}}
        for name in ("file", "function")
    },
    "pairs.teacher": {
        "answers": "teacher",
        "teacher": {"kind": "rehearsed", "model": "another"},
    },
    **{
        f"pairs.judge.{name}": {"judge": {"teacher": {"kind": "rehearsed", "model": "m"}}}
        for name in ("teacher", "max_tokens", "temperature")
    },
    **{
        f"pairs.rule.{name}": {"rule": {"file": "mine.py", "function": "one"}}
        for name in ("file", "function")
    },
    "export.browser": {"gguf": ["q4_0"]},
    "train.from": {"control": "none"},
    **{
        f"evaluate.lm_eval.{name}": {"lm_eval": {"tasks": ["arc_easy"]}}
        for name in ("tasks", "include", "limit", "arguments")
    },
    **{
        f"evaluate.judge.{name}": {"judge": {"teacher": {"kind": "rehearsed", "model": "m"}}}
        for name in ("prompts", "count", "mode", "against", "ratings", "question", "answer_tokens")
        + ("max_tokens", "temperature", "teacher")
    },
}
# Values that no rule could guess: of texts, files and tables.
OTHERS: dict[str, Any] = {
    "teacher.model": "another",
    "curate.same_answer": 2,
    "export.gguf_max_shard_size": "2GB",
    "teacher.local_server.model": "own.gguf",
    "teacher.identity": "somebody",
    "teacher.price": {"in": 3, "out": 4},
    "teacher.terms": "ask the owner",
    "teacher.base_url": "https://elsewhere.example/v1",
    "teacher.api_key_env": "ANOTHER_KEY",
    "teacher.default_headers": {"X-Title": "mine"},
    "teacher.extra_body": {"top_k": 5},
    "teacher.proxy": "http://proxy.example:3128",
    "teacher.renames": {"max_tokens": "max_output_tokens"},
    "teacher.ca_file": "notes.md",
    "teacher.refuses": ["seed"],
    "teacher.window": "12h",
    "teacher.lines": "rows.jsonl",
    "teacher.served": "served.jsonl",
    "base.model": "org/name",
    "base.revision": "0" * 40,
    "base.tokenizer": "tokenizer",
    "gpu.name": "A100-80",
    "gpu.provider": "runpod",
    "gpu.lease_start": "2026-11-21T08:00:00Z",
    "generate.count": 7,
    "generate.seeds": "vet",
    "generate.domain": "law",
    "generate.extend": "rows.jsonl",
    "generate.rows": "rows.jsonl",
    "generate.per_source": {"rows": 3},
    "generate.documents": ["rows.jsonl"],
    "generate.principles": "principles.yaml",
    "generate.prompt": "notes.md",
    **dict.fromkeys(
        [f"on.{event}" for event in ("done", "stopped", "failed", "budget_80")], "echo told"
    ),
    "curate.from": "rows.jsonl",
    "train.from": "tuned",
    "curate.columns": {"instruction": "query"},
    "curate.split": "train",
    "curate.split_long": 900,
    "curate.split_long.tokens": 900,
    "curate.split_long.tokenizer": "notes.md",
    "curate.decisions": "decided.jsonl",
    "curate.contamination": ["notes.md"],
    "curate.contamination.sets": ["rows.jsonl"],
    "curate.filters": "stanford",
    "curate.filters.own": "mine.py:one",
    "curate.filters.own.file": "mine_too.py",
    "curate.filters.own.function": "two",
    "curate.grade": {},
    "curate.grade.teacher": {"kind": "rehearsed", "model": "m"},
    "curate.filters.language.wanted": "da",
    "curate.filters.length.tokenizer": "notes.md",
    "grow.beside": ["stack"],
    "base.shape": NEW["shape"] | {"num_hidden_layers": 3},
    "base.shape.hidden_size": 64,
    "base.shape.num_attention_heads": 2,
    "base.shape.num_key_value_heads": 2,
    "texts.from": ["rows.jsonl"],
    "texts.column": "body",
    "base.shape.num_hidden_layers": 5,
    "evaluate.lm_eval": {"tasks": ["arc_easy"]},
    "evaluate.lm_eval.tasks": ["arc_challenge"],
    "evaluate.lm_eval.include": "tokenizer",
    "evaluate.lm_eval.arguments": ["--num_fewshot", "5"],
    "evaluate.judge": {"teacher": {"kind": "rehearsed", "model": "m"}},
    "evaluate.judge.teacher": {"kind": "rehearsed", "model": "another"},
    "evaluate.foreign": "rows.jsonl",
    "evaluate.judge.prompts": "rows.jsonl",
    "evaluate.judge.question": "notes.md",
    "evaluate.judge.ratings": "rows.jsonl",
    "pairs.from": "rows.jsonl",
    "pairs.answers": "kept",
    "pairs.columns": {"instruction": "query"},
    "pairs.split": "train",
    "pairs.teacher": {"kind": "rehearsed", "model": "m"},
    "pairs.judge": {"teacher": {"kind": "rehearsed", "model": "m"}},
    "pairs.judge.teacher": {"kind": "rehearsed", "model": "another"},
    "pairs.rule": "mine.py:one",
    "pairs.rule.file": "mine_too.py",
    "pairs.rule.function": "two",
    "align.from": "rows.jsonl",
    "align.columns": {"instruction": "query"},
    "align.split": "train",
    "align.reward_model": "tokenizer",
    "align.lora.target_modules": ["q_proj"],
    "align.lora.modules_to_save": ["lm_head"],
    "train.deepspeed": "zero.json",
    "train.distill.teacher": "org/name",
    "train.distill.revision": "0" * 40,
    "train.control": "none",
    "train.hosted": "together",
    "train.hosted.model": "org/name",
    "train.hosted.account": "another",
    "train.hosted.base_url": "https://tuning.example/v1",
    "train.hosted.api_key_env": "ANOTHER_KEY",
    "train.lora.target_modules": ["q_proj"],
    "train.lora.modules_to_save": ["lm_head"],
}


def machine(table: GpuTable) -> Any:
    """On a machine that has the GPU which the table names: minutes of another are booked otherwise."""
    here = (detect.DetectedGpu("NVIDIA H200", "GPU-0", 700.0),)
    with patch.object(detect, "gpus", return_value=here):
        return terms(table, date(2026, 12, 1), on_gpu=True)


def by_hand(table: GpuTable) -> Any:
    return [cost_by_hand(sort, Decimal(7), table) for sort in ("human", "storage", "egress")]


def served_with(table: TeacherTable) -> Any:
    """How a server of our own is started."""
    with (
        patch("alpaca_pipe.teachers.local.llama_server.local_server") as llama,
        patch("alpaca_pipe.teachers.scripted.scripted_teacher.rehearsed_server") as script,
        patch("alpaca_pipe.weights.gguf.open_gguf"),
    ):
        table.own_server(Path("log"))
        return [started.call_args.kwargs for started in (llama, script) if started.called]


def asked_with(table: TeacherTable) -> Any:
    """How many attempts a request has, and how long each may take."""

    async def connect() -> None:
        journal = MagicMock()
        whose = {"recipe": "r", "run": "1", "stage": "generate", "log": Path("log")}
        async with factory.connect(table, journal=journal, caps=Caps(), **whose):  # type: ignore[arg-type]
            pass

    parts = ("Metered", "HttpConnection", "http_client", "BatchJobs", "key_from", "Living")
    with patch.multiple(factory, **{name: MagicMock() for name in parts}):
        factory.http_client.return_value.__aenter__ = _nothing  # type: ignore[attr-defined]
        factory.http_client.return_value.__aexit__ = _nothing  # type: ignore[attr-defined]
        factory.BatchJobs.return_value.open.return_value = []  # type: ignore[attr-defined]
        asyncio.run(connect())
        timeout = factory.HttpConnection.call_args.args[4]  # type: ignore[attr-defined]
        return factory.Metered.call_args.kwargs["attempts"], timeout  # type: ignore[attr-defined]


async def _nothing(*_: Any) -> None:
    return None


def factory_drops(table: TeacherTable) -> Any:
    parts = ("HttpConnection", "http_client", "key_from")

    async def wire() -> None:
        async with factory._open_wire(table, Path("log")):
            pass

    with patch.multiple(factory, **{name: MagicMock() for name in parts}):
        factory.http_client.return_value.__aenter__ = _nothing  # type: ignore[attr-defined]
        factory.http_client.return_value.__aexit__ = _nothing  # type: ignore[attr-defined]
        asyncio.run(wire())
        return factory.HttpConnection.call_args.args[7]  # type: ignore[attr-defined]


# What a key changes that is in no identity: knobs, and what is told apart elsewhere.
CHANGES: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("teacher.default_headers", "teacher.proxy", "teacher.ca_file"),
        lambda table: table.http_options,
    ),
    **dict.fromkeys(("teacher.max_attempts", "teacher.timeout"), asked_with),
    **dict.fromkeys(
        ("teacher.concurrency", "teacher.requests_per_minute", "teacher.tokens_per_minute"), _pace
    ),
    **dict.fromkeys(
        ("teacher.port", "teacher.threads", "teacher.delay", "teacher.served"), served_with
    ),
    **dict.fromkeys(
        ("teacher.window", "teacher.poll", "teacher.most_requests", "teacher.most_bytes"),
        lambda table: table.batch_rules,
    ),
    "teacher.api_key_env": lambda table: table.key_variable,
    "teacher.renames": lambda table: table.renamed_fields,
    "teacher.reported_cost": lambda table: table.bills_dollars,
    "teacher.price": lambda table: table.priced().per_million,
    "teacher.terms": lambda table: table.brings(),
    "teacher.batch": lambda table: table.mode,
    "teacher.on_unsupported": factory_drops,
    **dict.fromkeys(("budget.total", "budget.api", "budget.gpu"), lambda table: table.caps()),
    **dict.fromkeys(
        [
            "gpu.name",
            "gpu.count",
            "gpu.provider",
            "gpu.per_hour",
            "gpu.granularity",
            "gpu.lease_start",
            "gpu.watts",
            "gpu.pue",
            "gpu.kg_per_kwh",
            "gpu.per_kwh",
        ],
        machine,
    ),
    **dict.fromkeys(
        ("gpu.human_per_hour", "gpu.storage_per_gb_month", "gpu.egress_per_gb"), by_hand
    ),
    **dict.fromkeys(
        [f"on.{event}" for event in ("done", "stopped", "failed", "budget_80")],
        lambda table: [table.of(event) for event in ("done", "stopped", "failed", "budget_80")],
    ),
    "curate.engine": lambda table: CurationRules.of(table).engine,
    "curate.decisions": lambda table: table.decisions,
    "train.hosted.base_url": lambda table: table.hosted.address,
    "train.hosted.api_key_env": lambda table: table.hosted.key_variable,
    "train.hosted.poll": lambda table: table.hosted.poll,
    "train.save_steps": lambda table: table.hyper(0),
    "align.save_steps": lambda table: table.hyper(0, True),
    "train.save_total_limit": lambda table: table.hyper(0),
    "train.resume_from_checkpoint": lambda table: table.resume_from_checkpoint,
    "train.report_to": lambda table: table.trackers,
    "train.gradient_checkpointing": lambda table: table.gradient_checkpointing,
}
# Where only a whole run shows it: the test that does.
NAMED: dict[str, str] = {
    "budget.go_on": "generate/test_forecast.py:test_a_run_past_its_means_stops_at_the_pilot_and_goes_on_when_told",
    "generate.pilot": "generate/test_forecast.py:test_the_pilot_changes_nothing_that_is_made",
    "gpu.grace": "recipe/test_rent.py:gpu.grace=1",
    "train.hosted.provider": "proving/test_hosted_tuning.py:PROVIDERS",
    "evaluate.batch_tokens": "models/test_scoring.py:batch_tokens",
}


@dataclass(frozen=True)
class Key:
    """One key of a recipe. path: of tables, the last one its own; field: its name in the code; kind: of its teacher."""

    path: tuple[str, ...]
    table: type[BaseModel]
    field: str
    kind: str = ""

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def told(self, told: Mapping[str, Any], default: Any = None) -> Any:
        """What is told of this key, of that of its kind before that of all kinds."""
        own = ".".join((self.path[0], self.kind, *self.path[1:]))
        return told.get(own, told.get(self.name, default))

    def declared_by(self) -> type:
        return next(
            one for one in self.table.__mro__ if self.field in vars(one).get("__annotations__", {})
        )


def every_key() -> Iterator[Key]:
    """Each field once, where it is declared; of teachers those of an endpoint first. A table within a table is its keys."""
    tables = {**CATALOG.tables, **{stage.kind: stage.config for stage in CATALOG.stages}}
    seen = set()
    for name, table in tables.items():
        kinds = {one.__module__.rpartition(".")[2]: one for one in table.variants()}
        for kind in sorted(kinds, key=lambda kind: kind != "openai_chat") or [""]:
            for key in keys_of(kinds.get(kind, table), (name,), kind):
                mark = (key.path, key.declared_by() if kind else None)
                whole = isinstance(key.table.model_fields[key.field].default, Table)
                if key.path[-1] != "kind" and not whole and mark not in seen:
                    seen.add(mark)
                    yield key


def keys_of(table: type[BaseModel], path: tuple[str, ...], kind: str = "") -> Iterator[Key]:
    for field, info in table.model_fields.items():
        key = (*path, info.alias or field)
        yield Key(key, table, field, kind)
        for inner in models_in(info.annotation):
            if inner is not TeacherTable and key[-1] != "price":
                yield from keys_of(inner, key, kind)


KEYS = list(every_key())
each_key = pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.kind} {key.name}".strip())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "notes.md").write_text("A bridge carries a train.")
    (folder / "rows.jsonl").write_text('{"instruction": "Name a river.", "output": "The Rhine."}\n')
    (folder / "decided.jsonl").write_text('{"id": "e1-a", "verdict": "keep"}\n')
    (folder / "zero.json").write_text('{"zero_optimization": {"stage": 2}}')
    (folder / "principles.yaml").write_text("- Be kind.\n")
    (folder / "mine.py").write_text("def one(row): ...\n\ndef two(row): ...\n")
    (folder / "mine_too.py").write_text("def one(row): return 'no'\n")
    (folder / "own.gguf").write_bytes(b"GGUF")
    (folder / "tokenizer").mkdir()
    (folder / "tuned").mkdir()
    (folder / "tuned" / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    return folder


def needed(key: Key) -> dict[str, Any]:
    """The table that holds the key, without it."""
    top = key.path[0]
    table = {**NEEDS.get(top, {}), **NEEDS.get(f"{top}.{key.kind}", {}), **NEEDS.get(key.name, {})}
    if key.kind:
        table["kind"] = key.kind
    if top == "generate":
        having = [one for one in style_names() if key.path[1] in style_class(one).keys]
        style = having[0] if having else "alpaca"
        table |= {"style": style} | {one: ["notes.md"] for one in style_class(style).needs}
    return table


def put(table: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The table with a value at `table.key...`."""
    top = copy.deepcopy(table)
    inside = top
    for part in path[1:-1]:
        inside = inside.setdefault(part, {})
    inside[path[-1]] = value
    return top


def read(top: str, table: dict[str, Any], home: Path) -> Table:
    file = home / "r.yaml"
    file.write_text(json.dumps({top: table}))
    recipe = load_recipe(str(file), CATALOG, runs=home / "runs", complete=False)
    found: Table = (recipe.tables | recipe.stages)[top]  # type: ignore[operator]
    return found


def forms(field: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a value may be, alternatives within alternatives too."""
    yield field
    for one in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        yield from forms(one)


def another(key: Key) -> Any:
    """A value that is not the default: told, or by the type of the key."""
    if (value := key.told(OTHERS)) is not None:
        return value
    schema = key.table.model_json_schema(by_alias=True)
    tables = [one for one in (schema, *schema.get("anyOf", ())) if "properties" in one]
    field = tables[0]["properties"][key.path[-1]]
    default = key.table.model_fields[key.field].get_default(call_default_factory=True)
    for one in forms(field):
        if "enum" in one:
            return next(value for value in one["enum"] if value != default)
        if one.get("type") == "boolean":
            return not default
        if one.get("type") in ("integer", "number"):
            low = one.get("minimum", one.get("exclusiveMinimum", 0))
            usual = float(default or 0)
            high = one.get("maximum", one.get("exclusiveMaximum", max(low, usual) + 3))
            step = 1 if one["type"] == "integer" else (high - low) / 8
            return next(low + step * n for n in range(1, 9) if low + step * n != usual)
        if one.get("type") == "array" and "enum" in one.get("items", {}):
            return one["items"]["enum"][-1:]
    pytest.fail(f"{key.name}: no rule makes another value of it: add one to OTHERS")


@each_key
def test_another_value_changes_something(key: Key, home: Path) -> None:
    if name := key.told(NAMED):
        file, _, words = name.partition(":")
        assert words in (ROOT / "tests" / file).read_text(encoding="utf-8"), name
        return
    top, needs = key.path[0], needed(key)
    before = read(top, needs, home)
    after = read(top, put(needs, key.path, another(key)), home)
    changes = key.told(CHANGES)
    if changes is None:
        assert before.identity() != after.identity(), (
            f"{key.name} is in no identity: say in CHANGES what it changes, or remove it"
        )
    else:
        assert changes(before) != changes(after), f"{key.name} changes nothing of that"


@cache
def attributes() -> set[str]:
    """Every name that is read off something in the code, and every one that is asked for by `getattr`."""
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
                found.update(arg.value for arg in node.args if isinstance(arg, ast.Constant))
    return found


@each_key
def test_some_code_looks_at_it(key: Key) -> None:
    """A filter's settings are handed to its function as they are, and its function names them."""
    if key.path[:2] == ("curate", "filters"):
        return
    assert key.field in attributes(), f"no code reads .{key.field} of {key.table.__name__}"


def test_the_keys_of_the_recipe_itself(home: Path) -> None:
    (home / "below.yaml").write_text("generate: {count: 7}\n")

    def loaded(**keys: Any) -> Recipe:
        (home / "own.yaml").write_text(json.dumps({"generate": {"count": 5}, **keys}))
        return load_recipe(str(home / "own.yaml"), CATALOG, complete=False)

    plain = loaded()
    assert loaded(name="other").name != plain.name
    assert loaded(seed=1).everything()["seed"] != plain.everything()["seed"]
    assert loaded(use="commercial").use != plain.use
    assert loaded(extends="below.yaml").files != plain.files
    assert loaded(sweep={"seeds": [1]}).sweep != plain.sweep
    known = (
        set(recipe_model(CATALOG).model_fields)
        - {*CATALOG.tables}
        - {stage.kind for stage in CATALOG.stages}
    )
    assert known == {
        "recipe_version",
        "extends",
        "name",
        "seed",
        "use",
        "sweep",
    }  # the first: test_schema.py


def test_what_is_told_is_told_of_keys_that_there_are() -> None:
    names = {key.name for key in KEYS} | {
        ".".join((key.path[0], key.kind, *key.path[1:])) for key in KEYS
    }
    assert {*OTHERS, *CHANGES, *NAMED} <= names
