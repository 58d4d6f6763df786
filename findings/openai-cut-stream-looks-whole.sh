#!/usr/bin/env bash
# Guess: a stream that ends before `data: [DONE]` and before any `finish_reason` raises an error.
# What happens (openai 3.52.0): where the connection is closed properly (a proxy or a server that restarts), the loop simply
# ends. The helper `chat.completions.stream` too gives a final completion, with the cut text and `finish_reason` None.
# Where it matters: half answers are kept as whole ones, unless one checks `finish_reason` oneself.
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


def answer(server):
    piece = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    pieces = [
        piece | {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        for text in ("Boil the ", "water, then")
    ]
    send(server, "text/event-stream", "".join(f"data: {json.dumps(one)}\n\n" for one in pieces))


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v1")
asked = {"model": "m", "messages": [{"role": "user", "content": "How do I make tea?"}]}
text = "".join(one.choices[0].delta.content for one in client.chat.completions.create(**asked, stream=True))
with client.chat.completions.stream(**asked) as stream:
    final = stream.get_final_completion().choices[0]
print(f"openai {openai.__version__}: no error; text {text!r}, final {final.message.content!r}, finish {final.finish_reason}")
assert text == final.message.content == "Boil the water, then" and final.finish_reason is None
PY
