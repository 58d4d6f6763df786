"""What a provider of tuning is asked, each call once: the paths and words of Together's API (SDK 3.1.1) and of Fireworks'
(SDK 1.2.30). Its errors are explained as a teacher's are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, Literal, Protocol
from urllib.parse import quote

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.fast_dataclass import dataclass
from alpaca_pipe.core.outside_numbers import exact_json
from alpaca_pipe.train.hosted_config import HostedTuning

State = Literal["running", "done", "failed"]
_ENDED: Mapping[str, State] = {
    "completed": "done",
    "error": "failed",
    "cancelled": "failed",
    "JOB_STATE_COMPLETED": "done",
    "JOB_STATE_FAILED": "failed",
    "JOB_STATE_CANCELLED": "failed",
    "JOB_STATE_EXPIRED": "failed",
}


class Passing(Exception):
    """A call that may go better later: a full queue, a broken connection. `sent`: whether it may have been done."""

    def __init__(self, what: str, sent: bool) -> None:
        super().__init__(what)
        self.sent = sent


@dataclass(frozen=True)
class Tuning:
    """What is asked for. name: ours, of at most 40 letters, by which the job is found again."""

    name: str
    model: str
    epochs: int
    method: Literal["lora", "full"]
    rank: int
    learning_rate: float


@dataclass(frozen=True)
class Quote:
    """What a provider says before it begins. dollars: None where it does not say."""

    dollars: Decimal | None = None
    refused: str = ""


@dataclass(frozen=True)
class HostedJob:
    """A job as its provider shows it. tokens, dollars: None where it does not say."""

    id: str
    state: State
    word: str
    model: str = ""
    tokens: int | None = None
    dollars: Decimal | None = None
    why: str = ""


class TuningProvider(Protocol):
    """Each call may raise Passing or UserError."""

    def upload(self, name: str, rows: bytes) -> str:
        """The provider's name for the rows; the same rows again are the same file."""

    def quote(self, file: str, wanted: Tuning) -> Quote: ...

    def create(self, file: str, wanted: Tuning) -> HostedJob: ...

    def find(self, name: str) -> HostedJob | None:
        """The job of that name, if there is one."""

    def look(self, job: str) -> HostedJob: ...

    def cancel(self, job: str) -> None: ...


class ProviderCalls:
    """One HTTP client for a block. key: sent as Bearer."""

    def __init__(self, hosted: HostedTuning, key: str) -> None:
        import httpx2

        self.address, self._key = hosted.address, key
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(60.0, connect=10.0),
            headers={"Authorization": f"Bearer {key}"},
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def json(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        said = exact_json(self.call(method, self.address + path, **sent).content or b"{}")
        return said if isinstance(said, dict) else {"data": said}

    def call(
        self, method: str, url: str, *, also: tuple[int, ...] = (), ours: bool = True, **sent: Any
    ) -> Any:
        """also: answers that are no errors here. ours: the key goes along."""
        import httpx2

        from alpaca_pipe.teachers.base import Failure
        from alpaca_pipe.teachers.openai.error_mapping import Refused, answered

        try:
            ask = self._client.request if ours else httpx2.request
            answer = ask(method, url, **sent)
        except httpx2.ConnectError as error:
            raise Passing(
                f"{self.address} cannot be reached ({type(error).__name__})", False
            ) from None
        except httpx2.HTTPError as error:
            raise Passing(
                f"the connection to {self.address} broke ({type(error).__name__})", True
            ) from None
        if answer.status_code < 300 or answer.status_code in also:
            return answer
        found = answered(
            answer.status_code, answer.headers, answer.content, self.address, "", self._key, {}
        )
        if isinstance(found, Failure) and found.retry:
            raise Passing(found.what, found.sent == "unknown")
        if isinstance(found, Refused):
            raise UserError(
                f"{self.address} refuses it: {found.reason}", "fix what it names, and run again"
            )
        raise found if isinstance(found, UserError) else UserError(str(found), "run again later")


class Together:
    """Files by a signed address, then fine-tunes; found again by the suffix of the tuned model's name."""

    def __init__(self, calls: ProviderCalls) -> None:
        self._calls = calls

    def upload(self, name: str, rows: bytes) -> str:
        about = {
            "purpose": "fine-tune",
            "file_name": name,
            "file_type": "jsonl",
            "checksum": hashlib.sha256(rows).hexdigest(),
        }
        form = {field: (None, value) for field, value in about.items()}
        answer = self._calls.call(
            "POST", f"{self._calls.address}/files", files=form, also=(302, 409)
        )
        if answer.status_code == 409:  # these rows are there already
            return str(exact_json(answer.content)["file_id"])
        file, place = answer.headers.get("X-Together-File-Id"), answer.headers.get("Location")
        if not file or not place:
            raise Passing(f"{self._calls.address} named no place to send the rows to", True)
        if not place.startswith("https://") and self._calls.address.startswith("https://"):
            raise UserError(
                f"{self._calls.address} wants the rows sent unprotected", "write to its support"
            )
        self._calls.call("PUT", place, content=rows, ours=False)
        self._calls.json("POST", f"/files/{quote(file, safe='')}/preprocess")
        return str(file)

    def quote(self, file: str, wanted: Tuning) -> Quote:
        said = self._calls.json(
            "POST", "/fine-tunes/estimate-price", json=self._asked(file, wanted)
        )
        if said.get("estimation_available") is False:
            reason = str(said.get("unavailable_reason"))
            if reason.endswith("invalid"):
                return Quote(refused=f"it cannot read the rows ({reason})")
            return Quote()
        if said.get("allowed_to_proceed") is False:
            return Quote(refused="the account's limit does not allow a job of this price")
        dollars = said.get("estimated_total_price")
        return Quote(Decimal(str(dollars)) if dollars is not None else None)

    def create(self, file: str, wanted: Tuning) -> HostedJob:
        body = self._asked(file, wanted) | {
            "suffix": wanted.name,
            "learning_rate": wanted.learning_rate,
        }
        return _of_together(self._calls.json("POST", "/fine-tunes", json=body))

    def find(self, name: str) -> HostedJob | None:
        said = self._calls.json("GET", "/fine-tunes")
        for row in said.get("data") or ():
            if isinstance(row, dict) and name in str(
                row.get("model_output_name") or row.get("suffix")
            ):
                return _of_together(row)
        return None

    def look(self, job: str) -> HostedJob:
        return _of_together(self._calls.json("GET", f"/fine-tunes/{quote(job, safe='')}"))

    def cancel(self, job: str) -> None:
        self._calls.json("POST", f"/fine-tunes/{quote(job, safe='')}/cancel")

    def _asked(self, file: str, wanted: Tuning) -> dict[str, Any]:
        kind: dict[str, Any] = {"type": "Full"}
        if wanted.method == "lora":
            kind = {
                "type": "Lora",
                "lora_r": wanted.rank,
                "lora_alpha": 2 * wanted.rank,
                "lora_trainable_modules": "all-linear",
            }
        return {
            "training_file": file,
            "model": wanted.model,
            "n_epochs": wanted.epochs,
            "training_type": kind,
            "training_method": {"method": "sft", "train_on_inputs": False},
        }


def _of_together(said: Mapping[str, Any]) -> HostedJob:
    word = str(said.get("status"))
    tokens = said.get("token_count")
    return HostedJob(
        str(said.get("id")),
        _ENDED.get(word, "running"),
        word,
        str(said.get("model_output_name") or ""),
        int(tokens) if tokens else None,
    )


class Fireworks:
    """Datasets and supervisedFineTuningJobs of an account, both under names of ours: made twice they are one."""

    def __init__(self, calls: ProviderCalls, account: str) -> None:
        self._calls, self._place = calls, f"/accounts/{quote(account, safe='')}"
        self._account = account

    def upload(self, name: str, rows: bytes) -> str:
        dataset = name.removesuffix(".jsonl")
        place = f"{self._place}/datasets"
        made = self._calls.call(
            "POST",
            f"{self._calls.address}{place}",
            json={
                "datasetId": dataset,
                "dataset": {"userUploaded": {}, "exampleCount": str(rows.count(b"\n"))},
            },
            also=(409,),
        )
        if made.status_code == 409 and self._is_ready(dataset):
            return dataset
        self._calls.call(
            "POST",
            f"{self._calls.address}{place}/{quote(dataset, safe='')}:upload",
            files={"file": (name, rows, "application/jsonl")},
        )
        return dataset

    def _is_ready(self, dataset: str) -> bool:
        said = self._calls.json("GET", f"{self._place}/datasets/{quote(dataset, safe='')}")
        return said.get("state") == "READY"

    def quote(self, file: str, wanted: Tuning) -> Quote:
        return Quote()  # it says what a job costs once it is made

    def create(self, file: str, wanted: Tuning) -> HostedJob:
        body = {
            "dataset": f"accounts/{self._account}/datasets/{file}",
            "baseModel": wanted.model,
            "epochs": wanted.epochs,
            "learningRate": wanted.learning_rate,
            "displayName": wanted.name,
            "outputModel": f"accounts/{self._account}/models/{wanted.name}",
        } | ({"loraRank": wanted.rank} if wanted.method == "lora" else {})
        answer = self._calls.call(
            "POST",
            f"{self._calls.address}{self._place}/supervisedFineTuningJobs",
            params={"supervisedFineTuningJobId": wanted.name},
            json=body,
            also=(409,),
        )
        return (
            self.look(wanted.name)
            if answer.status_code == 409
            else _of_fireworks(exact_json(answer.content))
        )

    def find(self, name: str) -> HostedJob | None:
        place = (
            f"{self._calls.address}{self._place}/supervisedFineTuningJobs/{quote(name, safe='')}"
        )
        answer = self._calls.call("GET", place, also=(404,))
        return None if answer.status_code == 404 else _of_fireworks(exact_json(answer.content))

    def look(self, job: str) -> HostedJob:
        return _of_fireworks(
            self._calls.json("GET", f"{self._place}/supervisedFineTuningJobs/{quote(job, safe='')}")
        )

    def cancel(self, job: str) -> None:
        path = f"{self._place}/supervisedFineTuningJobs/{quote(job, safe='')}:cancel"
        self._calls.json("POST", path, json={})


def _of_fireworks(said: Mapping[str, Any]) -> HostedJob:
    word, cost, status = str(said.get("state")), said.get("estimatedCost"), said.get("status")
    dollars = None
    if isinstance(cost, Mapping) and cost.get("currencyCode", "USD") == "USD":
        dollars = (
            Decimal(str(cost.get("units") or 0)) + Decimal(str(cost.get("nanos") or 0)) / 10**9
        )
    return HostedJob(
        str(said.get("name", "")).rpartition("/")[2],
        _ENDED.get(word, "running"),
        word,
        str(said.get("outputModel") or ""),
        None,
        dollars,
        str(status.get("message") or "") if isinstance(status, Mapping) else "",
    )


class Opened(AbstractContextManager[TuningProvider]):
    """The provider of a recipe, open until the block ends."""

    def __init__(self, hosted: HostedTuning, key: str) -> None:
        self._calls = ProviderCalls(hosted, key)
        self._provider: TuningProvider = (
            Together(self._calls)
            if hosted.provider == "together"
            else Fireworks(self._calls, hosted.account or "")
        )

    def __enter__(self) -> TuningProvider:
        return self._provider

    def __exit__(self, *error: object) -> None:
        self._calls.close()
