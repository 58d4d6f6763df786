"""Writing a GGUF beside the least that it could take: to read the checkpoint's bytes, and to write as many as the file has.

python -m tests.bench.gguf [FOLDER]      # a checkpoint's folder; the embedded model's if not said

A B A B, processor seconds of this process with those of the kernel, so that what else runs here counts little.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from alpaca_pipe.core.screen import echo
from alpaca_pipe.export.gguf.write_gguf import Conversation, write_gguf

ROUNDS = 2
_CHUNK = 1 << 22


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def bytes_only(folder: Path, target: Path, size: int) -> None:
    """Reads the weights, and writes `size` bytes of them."""
    left = size
    with target.open("wb") as out:
        for file in sorted(folder.glob("*.safetensors")):
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    out.write(chunk[: max(left, 0)])
                    left -= len(chunk)


def main(folder: Path) -> None:
    how = Conversation("{{ messages[0]['content'] }}", [2], None, None, False)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
        out, plain = Path(scratch) / "model.gguf", Path(scratch) / "bytes"
        for quantization in ("f16", "q8_0", "q4_0"):
            write_gguf(folder, out, quantization, how, "bench")  # warms the file cache
            size, ours, least = out.stat().st_size, [], []
            for _ in range(ROUNDS):
                ours.append(seconds(lambda q=quantization: write_gguf(folder, out, q, how, "b")))
                least.append(seconds(lambda n=size: bytes_only(folder, plain, n)))
            ratios = sorted(a / b for a, b in zip(ours, least, strict=True))
            echo(
                f"{quantization}: {size / 1e6:.0f} MB, {min(ours):.2f} s of processor; reading and writing the bytes "
                f"{min(least):.2f} s; ratio {ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )


if __name__ == "__main__":
    from alpaca_pipe.weights.checkpoint import exported_path
    from alpaca_pipe.weights.known import SMOLLM2

    main(Path(sys.argv[1]) if len(sys.argv) > 1 else exported_path(SMOLLM2.name))
