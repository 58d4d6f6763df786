"""Together's and Fireworks' APIs for tuning, under /tuning/v1, with their own books and bad days: what a job cost, and who asked twice.

POST /admin/tuning sets what goes wrong: {"faults": [...], "looks": how often a job is still running, "ends": its last word}.
Faults, each met by the next call that it is about: upload_500, upload_reset, create_reset (nothing is made), create_lost (it is made,
and nobody is told), look_500, look_reset.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

_TOKENS_A_BYTE = 0.25
_A_MILLION = 0.5  # dollars
_KEY = "Bearer a-key-of-a-test"


class TuningOffice:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.jobs: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.looks, self.ends, self.quotes, self.uploads = 2, "", True, 0

    def routes(self) -> list[web.RouteDef]:
        base, account = "/tuning/v1", "/tuning/v1/accounts/{account}"
        jobs = f"{account}/supervisedFineTuningJobs"
        return [
            web.post("/admin/tuning", self.set),
            web.get("/admin/tuning", self.told),
            web.post(f"{base}/files", self.file),
            web.put("/tuning/signed/{file}", self.put),
            web.post(f"{base}/files/{{file}}/preprocess", self.preprocess),
            web.post(f"{base}/fine-tunes/estimate-price", self.estimate),
            web.post(f"{base}/fine-tunes", self.create),
            web.get(f"{base}/fine-tunes", self.list),
            web.get(f"{base}/fine-tunes/{{job}}", self.look),
            web.post(f"{account}/datasets", self.dataset),
            web.get(f"{account}/datasets/{{file}}", self.dataset_state),
            web.post(f"{account}/datasets/{{file}}:upload", self.dataset_upload),
            web.post(jobs, self.create_there),
            web.get(f"{jobs}/{{job}}", self.look_there),
        ]

    async def set(self, http: web.Request) -> web.Response:
        said = await http.json()
        if said.get("keep"):  # its jobs end now
            for job in self.jobs:
                job["left"] = 0
        else:
            self.files, self.jobs, self.uploads = {}, [], 0
        self.faults = list(said.get("faults", ()))
        self.looks, self.ends = said.get("looks", 2), said.get("ends", "")
        self.quotes = said.get("quotes", True)
        return web.json_response({})

    async def told(self, http: web.Request) -> web.Response:
        return web.json_response({"jobs": self.jobs, "uploads": self.uploads, "left": self.faults})

    def _meets(self, http: web.Request, about: str) -> web.Response | None:
        """A wrong key, or a fault of this call."""
        if http.headers.get("Authorization") != _KEY:
            error = {
                "error": {"message": "Invalid API key provided", "type": "invalid_request_error"}
            }
            return web.json_response(error, status=401)
        fault = next((one for one in self.faults if one.startswith(about)), "")
        if fault in ("", "create_lost"):
            return None
        self.faults.remove(fault)
        if fault.endswith("reset"):
            assert http.transport is not None
            http.transport.abort()
        return web.json_response({"error": {"message": "it broke"}}, status=500)

    def _lost(self, http: web.Request) -> None:
        if "create_lost" in self.faults:
            self.faults.remove("create_lost")
            assert http.transport is not None
            http.transport.abort()

    def _make(self, file: str, name: str, model: str, epochs: int, **more: Any) -> dict[str, Any]:
        size = len(self.files[file])
        dollars = round(size * _TOKENS_A_BYTE) * epochs * _A_MILLION / 1e6
        job = {"name": name, "model": model, "file": file, "epochs": epochs, "dollars": dollars}
        job |= {"left": self.looks, "tokens": round(size * _TOKENS_A_BYTE), **more}
        self.jobs.append(job)
        return job

    # ---- Together's

    async def file(self, http: web.Request) -> web.Response:
        if bad := self._meets(http, "upload"):
            return bad
        form = await http.post()
        assert form["purpose"] == "fine-tune" and form["file_type"] == "jsonl"
        file = f"file-{str(form['checksum'])[:12]}"
        if file in self.files:
            return web.json_response({"file_id": file}, status=409)
        place = str(http.url.origin()) + f"/tuning/signed/{file}"
        return web.Response(status=302, headers={"Location": place, "X-Together-File-Id": file})

    async def put(self, http: web.Request) -> web.Response:
        if "Authorization" in http.headers:  # a signed address is somebody else's
            return web.Response(status=400)
        self.files[http.match_info["file"]] = await http.read()
        self.uploads += 1
        return web.Response()

    async def preprocess(self, http: web.Request) -> web.Response:
        return web.json_response({"id": http.match_info["file"], "object": "file"})

    async def estimate(self, http: web.Request) -> web.Response:
        said = await http.json()
        if not self.quotes:
            reason = "train_file_not_validated"
            return web.json_response({"estimation_available": False, "unavailable_reason": reason})
        size = len(self.files[said["training_file"]])
        dollars = round(size * _TOKENS_A_BYTE) * said["n_epochs"] * _A_MILLION / 1e6
        return web.json_response(
            {
                "estimation_available": True,
                "allowed_to_proceed": True,
                "estimated_total_price": dollars,
            }
        )

    async def create(self, http: web.Request) -> web.Response:
        if bad := self._meets(http, "create"):
            return bad
        said = await http.json()
        job = self._make(said["training_file"], said["suffix"], said["model"], said["n_epochs"])
        self._lost(http)
        return web.json_response(self._as_together(job))

    async def list(self, http: web.Request) -> web.Response:
        return web.json_response({"data": [self._as_together(job) for job in self.jobs]})

    async def look(self, http: web.Request) -> web.Response:
        if bad := self._meets(http, "look"):
            return bad
        job = next(job for job in self.jobs if f"ft-{job['name']}" == http.match_info["job"])
        job["left"] -= 1
        return web.json_response(self._as_together(job))

    def _as_together(self, job: dict[str, Any]) -> dict[str, Any]:
        ended = job["left"] <= 0
        return {
            "id": f"ft-{job['name']}",
            "status": (self.ends or "completed") if ended else "running",
            "model_output_name": f"me/{job['model']}-{job['name']}",
            "token_count": job["tokens"] if ended else None,
        }

    # ---- Fireworks'

    async def dataset(self, http: web.Request) -> web.Response:
        if bad := self._meets(http, "upload"):
            return bad
        said = await http.json()
        if said["datasetId"] in self.files:
            return web.json_response({"error": {"message": "already exists"}}, status=409)
        self.files[said["datasetId"]] = b""
        return web.json_response({"name": said["datasetId"], "state": "UPLOADING"})

    async def dataset_state(self, http: web.Request) -> web.Response:
        ready = bool(self.files.get(http.match_info["file"]))
        return web.json_response({"state": "READY" if ready else "UPLOADING"})

    async def dataset_upload(self, http: web.Request) -> web.Response:
        form = await http.post()
        sent: Any = form["file"]
        self.files[http.match_info["file"]] = sent.file.read()
        self.uploads += 1
        return web.json_response({})

    async def create_there(self, http: web.Request) -> web.Response:
        if bad := self._meets(http, "create"):
            return bad
        said, name = await http.json(), http.query["supervisedFineTuningJobId"]
        if any(job["name"] == name for job in self.jobs):
            return web.json_response({"error": {"message": "already exists"}}, status=409)
        file = said["dataset"].rpartition("/")[2]
        job = self._make(file, name, said["baseModel"], said["epochs"], tuned=said["outputModel"])
        self._lost(http)
        return web.json_response(self._as_fireworks(job))

    async def look_there(self, http: web.Request) -> web.Response:
        if bad := self._meets(http, "look"):
            return bad
        job = next((job for job in self.jobs if job["name"] == http.match_info["job"]), None)
        if job is None:
            return web.json_response({"error": {"message": "no such job"}}, status=404)
        job["left"] -= 1
        return web.json_response(self._as_fireworks(job))

    def _as_fireworks(self, job: dict[str, Any]) -> dict[str, Any]:
        nanos = round(job["dollars"] * 1e9)
        word = (self.ends or "JOB_STATE_COMPLETED") if job["left"] <= 0 else "JOB_STATE_RUNNING"
        return {
            "name": f"accounts/me/supervisedFineTuningJobs/{job['name']}",
            "state": word,
            "outputModel": job["tuned"],
            "estimatedCost": {
                "currencyCode": "USD",
                "units": str(nanos // 10**9),
                "nanos": nanos % 10**9,
            },
        }


def rows_of(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.splitlines()]
