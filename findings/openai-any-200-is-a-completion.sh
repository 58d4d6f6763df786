#!/usr/bin/env bash
# Guess: an answer with status 200 that is no chat completion raises an error (APIResponseValidationError exists for that).
# What happens (openai 3.52.0): a JSON error under 200, as some gateways send it, comes back as a ChatCompletion with `choices`
# None; a number that is a string stays a string; a page of HTML comes back as `str`. No exception.
# Where it matters: `choices[0]` fails far from the cause, and usage that is added up may be text or None. An error that could be
# tried again looks like a fault of the program.
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


bodies = [
    ("application/json", json.dumps({"error": {"code": 529, "message": "overloaded"}})),
    ("application/json", json.dumps({"id": "c", "object": "chat.completion", "usage": {"prompt_tokens": "12"}})),
    ("text/html", "<html>sign in</html>"),
]


def answer(server):
    send(server, *bodies[len(seen) - 1])


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v1")
asked = {"model": "m", "messages": [{"role": "user", "content": "How do I make tea?"}]}
failed, texts, page = (client.chat.completions.create(**asked) for _ in bodies)
print(f"openai {openai.__version__}: {type(failed).__name__} choices={failed.choices} error={failed.error}")
print(f"  usage.prompt_tokens {texts.usage.prompt_tokens!r}, total_tokens {texts.usage.total_tokens}; a page is {type(page).__name__}")
assert failed.choices is None and failed.error["code"] == 529
assert texts.usage.prompt_tokens == "12" and texts.usage.total_tokens is None and isinstance(page, str)
PY
