"""Transformers.js and the WebAssembly of its ONNX Runtime, from npm."""

from __future__ import annotations

from alpaca_pipe.export.browser.npm_package import FetchedPackages, NpmPackage

VERSION = "4.3.2"
_RUNTIME = "1.31.0-dev.20260914-8d85527a0"  # the one that this version of Transformers.js has in it

# Apache-2.0, by Hugging Face; MIT, by Microsoft. Not the build with WebGPU, twice as large: the gate is on the CPU.
PACKAGES = (
    NpmPackage(
        "@huggingface/transformers",
        VERSION,
        "sha512-V3+dqf3iWlRYJ9I9GreM3zGQd0lAXnnoPeddmkOQYWAEE4l/+Fi6p7tx/qVUJlKQgLXGim2W76rTOzz+eC0i7g==",
        {
            "package/dist/transformers.min.js": (
                "transformers.js",
                "8b5a3171f8876bab2b1820a7d65eb87628e3d30bb5ea85b9dd398e76eb34decb",
            ),
            "package/LICENSE": (
                "LICENSE",
                "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
            ),
        },
    ),
    NpmPackage(
        "onnxruntime-web",
        _RUNTIME,
        "sha512-Iy7rtadoBgxS/LLvDr3QW38DB1PNXRnr0GJMcL0TAt7c9qjgVQl83UlGCVyeAnK2InpmW8Uc3PL8XIuqtDeF6g==",
        {
            "package/dist/ort-wasm-simd-threaded.mjs": (
                "runtime.mjs",
                "c57ca56328877353a575e51bbca6f18450027d6c9bf2307a2cb2c41363b4de9f",
            ),
            "package/dist/ort-wasm-simd-threaded.wasm": (
                "runtime.wasm",
                "06ba057753da3847e4c24f02d91ab133455b0817c69a44993a9a53a2146df9e3",
            ),
        },
    ),
)
TRANSFORMERS_JS = FetchedPackages(
    f"transformers-js-{VERSION}", PACKAGES, "run `alpaca-pipe setup onnx` once", megabytes=100
)
