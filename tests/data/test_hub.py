"""The hub, as far as a machine without it can tell: what is refused before anything is sent, and what is sent to whom."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import write_atomic
from alpaca_pipe.data.cards import dataset_card
from alpaca_pipe.data.hub import push_to_hub
from alpaca_pipe.data.push_preview import preview
from alpaca_pipe.data.source_kinds import HubId

TEACHER = "gpt-4.1-nano"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    write_atomic(
        folder / "README.md", dataset_card({"rows": 1}, {"generated": 1}, TEACHER, ("json",))
    )
    write_atomic(folder / "alpaca_data.json", "[]")
    return folder


class Hub(ThreadingHTTPServer):
    """Knows which datasets there are, takes down what is asked of it, and accepts no file."""

    def __init__(self, datasets: dict[str, bool]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.datasets, self.asked = datasets, list[tuple[str, str, str]]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *said: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(("GET", self.path, ""))
        name = "/".join(self.path.split("?")[0].split("/")[3:5])
        if name in self.server.datasets:
            self._answer(
                200, {"id": name, "private": self.server.datasets[name], "tags": [], "siblings": []}
            )
        else:
            self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append(("POST", self.path, body))
        if self.path == "/api/repos/create":
            self._answer(200, {"url": f"{self.server.url}/datasets/me/rows", "name": "me/rows"})
        else:
            self._answer(403, {"error": "not today"})

    def _answer(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub({"me/public": False, "me/private": True})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


ROWS = (
    b'{"instruction": "When did it land?", "input": null, "output": "1969-07-20"}\n'
    b'{"instruction": "Say seven.", "input": "loud", "output": 7}\n'
)
FILES: dict[str, dict[str, bytes]] = {
    "me/rows": {"README.md": b"# rows", "data/train.jsonl": ROWS, "data/test.jsonl": ROWS[:76]},
    "me/empty": {"README.md": b"# empty", "train.jsonl": b""},
}
SHA = "a" * 40


class FilesOnTheHub(BaseHTTPRequestHandler):
    """As much of the hub as `datasets` asks before it fetches the files of a dataset."""

    def log_message(self, *said: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "datasets":
            name, file = "/".join(parts[1:3]), "/".join(parts[5:])
            content = FILES.get(name, {}).get(file)
            code = "EntryNotFound" if name in FILES else "RepoNotFound"
            if content is None:
                return self._say(404, b"", {"X-Error-Code": code})
            tag = hashlib.sha1(content + file.encode()).hexdigest()
            return self._say(200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": SHA})
        files = FILES.get("/".join(parts[2:4]))
        if files is None:
            return self._say(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if parts[4:5] == ["tree"]:
            below = "/".join(parts[6:])
            found = [_entry("file", name) for name in files if name.startswith(below)]
            folders = {name.split("/")[0] for name in files if "/" in name} if not below else set()
            return self._json([*found, *(_entry("directory", one) for one in folders)])
        return self._json(
            {
                "id": "/".join(parts[2:4]),
                "sha": SHA,
                "tags": [],
                "siblings": [{"rfilename": name} for name in files],
            }
        )

    do_HEAD = do_GET

    def _json(self, value: object) -> None:
        self._say(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _say(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _entry(kind: str, path: str) -> dict[str, object]:
    return {"type": kind, "path": path, "size": 9, "oid": "b" * 40}


READ = """
import sys
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.data.reading import read
from alpaca_pipe.data.source_kinds import HubId
for name in sys.argv[1:]:
    try:
        print([(one.instruction, one.input, one.output, one.origin.source) for one in read(HubId.of(name))])
    except UserError as error:
        print(error)
"""


def test_what_would_be_sent_is_shown_and_no_network_is_asked(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    (published / ".hidden").write_text("stays")
    lines = list(preview(published, "me/rows"))
    said = "\n".join(lines)
    card = (published / "README.md").read_text(encoding="utf-8")
    size = (published / "README.md").stat().st_size + 2
    assert lines[0] == f"me/rows: a private dataset of 2 files, {size:,} bytes; nothing is sent"
    assert lines[1].split() == [f"{size - 2:,}", "README.md"]
    assert lines[2].split() == ["2", "alpaca_data.json"]
    assert f"(--accept {TEACHER})" in said and said.endswith(card.rstrip())
    assert "--accept" not in "\n".join(preview(published, "me/rows", accepted=[TEACHER]))
    with pytest.raises(UserError, match="write owner/name"):
        list(preview(published, "rows"))
    (published / "README.md").unlink()
    with pytest.raises(UserError, match="there is no card"):
        list(preview(published, "me/rows"))


def test_an_id_gives_the_rows_that_its_files_give(tmp_path: Path) -> None:
    """Dates and numbers stay as they are written; what is wrong is said of the file, not of the network."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), FilesOnTheHub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        names = (
            "hub:me/rows",
            "hub:me/rows:test",
            "hub:me/rows:dev",
            "hub:me/empty",
            "hub:me/none",
        )
        done = subprocess.run(
            [sys.executable, "-c", READ, *names],
            text=True,
            capture_output=True,
            check=True,
            env=os.environ
            | {
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "HF_HOME": str(tmp_path),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_OFFLINE": "0",
            },
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    rows, test, missing, empty, none = done.stdout.splitlines()
    assert rows == str(
        [
            ("When did it land?", "", "1969-07-20", "hub:me/rows#1"),
            ("Say seven.", "loud", "7", "hub:me/rows#2"),
        ]
    )
    assert test == str([("When did it land?", "", "1969-07-20", "hub:me/rows:test#1")])
    assert (
        "it has no split 'dev'; it has train, test - name one of them: hub:me/rows:train" in missing
    )
    assert empty.startswith("hub:me/empty: train.jsonl: the file is empty - ")
    assert none.startswith("hub:me/none: the hub has no such dataset, or not for you")


def test_nothing_is_sent_before_the_terms_are_accepted(published: Path, hub: Hub) -> None:
    for accepted in ((), ("another-model",)):
        with pytest.raises(
            UserError,
            match="terms of those who wrote the rows were not accepted .gpt-4.1-nano: OpenAI: .*compete",
        ):
            push_to_hub(published, "me/rows", accepted=accepted, endpoint=hub.url, token="t")
    (published / "README.md").unlink()
    with pytest.raises(UserError, match="there is no card"):
        push_to_hub(published, "me/rows", accepted=[TEACHER], endpoint=hub.url, token="t")
    with pytest.raises(UserError, match="not the name of a dataset"):
        push_to_hub(published, "rows", accepted=[TEACHER], endpoint=hub.url, token="t")
    assert hub.asked == []


def test_a_new_dataset_is_private_unless_said_otherwise(published: Path, hub: Hub) -> None:
    for private in (True, False):
        hub.asked.clear()
        with pytest.raises(UserError, match="me/rows: not sent: "):
            push_to_hub(
                published,
                "me/rows",
                accepted=[TEACHER],
                private=private,
                endpoint=hub.url,
                token="t",
            )
        [create] = [
            json.loads(body) for verb, path, body in hub.asked if path == "/api/repos/create"
        ]
        assert (
            create["type"] == "dataset"
            and create.get("private", create.get("visibility") == "private") is private
        )


def test_a_public_dataset_is_not_taken_for_a_private_one(published: Path, hub: Hub) -> None:
    with pytest.raises(UserError, match="me/public: this dataset is public already"):
        push_to_hub(published, "me/public", accepted=[TEACHER], endpoint=hub.url, token="t")
    assert [verb for verb, _, _ in hub.asked] == ["GET"]
    with pytest.raises(UserError, match="not sent"):
        push_to_hub(published, "me/private", accepted=[TEACHER], endpoint=hub.url, token="t")
    assert not [path for _, path, _ in hub.asked if path == "/api/repos/create"]


def test_where_no_hub_is(published: Path) -> None:
    with pytest.raises(
        UserError, match="me/rows: not sent: .* - look at the network and at HF_TOKEN"
    ):
        push_to_hub(
            published, "me/rows", accepted=[TEACHER], endpoint="http://127.0.0.1:9", token="t"
        )


@pytest.mark.parametrize(
    "text, parts",
    [
        ("hub:tatsu-lab/alpaca", ("tatsu-lab/alpaca", None, "train")),
        ("hub:a/b@main", ("a/b", "main", "train")),
        ("hub:a/b@refs/pr/1:test", ("a/b", "refs/pr/1", "test")),
        ("hub:a/b:test", ("a/b", None, "test")),
    ],
)
def test_ids(text: str, parts: tuple[str, str | None, str]) -> None:
    assert HubId.of(text).parts() == parts


@pytest.mark.parametrize("text", ["hub:", "hub:alpaca", "hub:a/b/c", "hub:a b/c", "hub:a/b@"])
def test_no_ids(text: str) -> None:
    with pytest.raises(ValueError, match="write hub:owner/name"):
        HubId.of(text)


def test_a_hub_id_without_a_network_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "from alpaca_pipe.core.errors import UserError\nfrom alpaca_pipe.data.hub import HubId\n"
        "from alpaca_pipe.data.reading import read\n"
        "try:\n    list(read(HubId.of('hub:tatsu-lab/alpaca')))\nexcept UserError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        text=True,
        capture_output=True,
        check=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )
    assert done.stdout.count("\n") == 1 and done.stdout.startswith(
        "hub:tatsu-lab/alpaca: cannot be fetched: "
    )
    assert "name the folder in place of the id" in done.stdout


def test_a_model_goes_as_a_model_once_the_terms_of_its_rows_are_accepted(
    published: Path, tmp_path: Path, hub: Hub
) -> None:
    """The card that is sent says base, recipe, cost and what the gate found; the stand-in takes no file, and that is one sentence."""
    from alpaca_pipe.core.files import write_json
    from alpaca_pipe.data.cards import model_card
    from alpaca_pipe.export.model_folder import gather

    step = tmp_path / "export-1"
    card = model_card("org/base", "LoRA", "### Instruction:", [("rows", "3")], [("same", "100%")])
    write_atomic(step / "merged" / "README.md", card)
    write_atomic(step / "merged" / "model.safetensors", "weights")
    write_atomic(step / "gguf" / "model-f16.gguf", "GGUF")
    write_atomic(step / "merged" / "config.json", "python's")
    for name in ("config.json", "tokenizer_config.json", "onnx/model.onnx", "onnx/model.onnx_data"):
        write_atomic(step / "onnx" / "model" / name, "with what JavaScript reads")
    gate = {"file": "model-f16.gguf", "sha256": "ab" * 32, "prompts": 50, "positions": 600}
    gate |= {"differing": 0, "kl": 1e-5, "kl_limit": 0.001}
    graph = {"positions": 640, "differing": 0, "largest": 3e-5, "limit": 0.01}
    write_json(
        step / "done.json",
        {
            "files": {},
            "finished": "2026-11-30",
            "seconds": 1.0,
            "machine": {},
            "summary": {"gguf": [gate], "onnx": graph},
        },
    )
    folder = tmp_path / "model"
    gather(step, folder, [("recipe", "vet, sha256 0123"), ("cost", "$1.23")])
    said = (folder / "README.md").read_text()
    assert {one.name for one in folder.iterdir()} == {
        "README.md",
        "model.safetensors",
        "model-f16.gguf",
        "config.json",
        "tokenizer_config.json",
        "onnx",
    }
    assert {one.name for one in (folder / "onnx").iterdir()} == {"model.onnx", "model.onnx_data"}
    assert (folder / "config.json").read_text() == "with what JavaScript reads"
    assert "| onnx/model.onnx | 100.0% of 640 greedy tokens of ONNX Runtime" in said
    assert said.startswith("---\n") and "base_model: org/base" in said
    assert "| recipe | vet, sha256 0123 |" in said and "| cost | $1.23 |" in said
    assert "the ids of 50 prompts equal; 100.0% of 600 greedy tokens equal" in said
    assert said.index("## How it was made") < said.index("## Licence")
    how = {"endpoint": hub.url, "kind": "model", "rows_card": published / "README.md"}
    with pytest.raises(UserError, match="terms of those who wrote the rows were not accepted"):
        push_to_hub(folder, "me/new", **how)  # type: ignore[arg-type]
    assert not hub.asked, "nothing is sent before all is checked"
    with pytest.raises(UserError, match="not sent"):
        push_to_hub(folder, "me/new", accepted=[TEACHER], token="hf_x", **how)  # type: ignore[arg-type]
    made = next(body for way, path, body in hub.asked if path == "/api/repos/create")
    assert json.loads(made)["visibility"] == "private" and "dataset" not in made
    assert not any("/api/datasets/" in path for _, path, _ in hub.asked)
    with pytest.raises(UserError, match="this model is public already"):
        push_to_hub(folder, "me/public", accepted=[TEACHER], token="hf_x", **how)  # type: ignore[arg-type]


def test_without_a_model_one_sentence(tmp_path: Path) -> None:
    from alpaca_pipe.export.model_folder import gather

    with pytest.raises(UserError, match="no model was exported"):
        gather(tmp_path, tmp_path / "model", [])
