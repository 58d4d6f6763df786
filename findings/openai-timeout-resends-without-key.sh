#!/usr/bin/env bash
# Guess: a request that timed out is sent again under one Idempotency-Key, so that the provider can tell that it is the same one:
# the client makes such a key for every POST (`_idempotency_key`) and says "ensure the idempotency key is reused".
# What happens (openai 3.52.0): it is sent three times in all, and no request carries a key: the header's name is None. The
# caller sees one APITimeoutError.
# Where it matters: a slow answer is generated, and may be billed, three times. Who counts cost by calls should say
# `max_retries=0` and retry with books of his own.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check openai==3.52.0
cd "$dir"
venv/bin/python - <<'PY'
import json, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import openai

seen = []


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        seen.append({name.lower(): value for name, value in self.headers.items()})
        answer(self)

    def log_message(self, *_):
        pass


def send(server, kind, text):
    server.send_response(200)
    server.send_header("content-type", kind)
    server.send_header("content-length", str(len(text)))
    server.end_headers()
    server.wfile.write(text.encode())


late = threading.Event()


def answer(server):
    late.wait(20)


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v1")
asked = {"model": "m", "messages": [{"role": "user", "content": "How do I make tea?"}]}
try:
    client.chat.completions.create(**asked, timeout=0.5)
    raise SystemExit("no timeout")
except openai.APITimeoutError as error:
    named = type(error).__name__
late.set()
keys = [{name for name in headers if "idempotency" in name} for headers in seen]
tries = [headers.get("x-stainless-retry-count") for headers in seen]
print(f"openai {openai.__version__}: one {named}, requests sent {tries}, headers with a key {keys}")
assert tries == ["0", "1", "2"] and keys == [set()] * 3
PY
