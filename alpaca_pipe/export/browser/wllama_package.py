"""llama.cpp for browsers, from npm."""

from __future__ import annotations

from alpaca_pipe.export.browser.npm_package import FetchedPackages, NpmPackage

VERSION = "3.13.0"

# MIT, by Xuan-Son Nguyen. The second is for browsers without JSPI or 64-bit memories: the first would load it from a CDN.
PACKAGES = (
    NpmPackage(
        "@wllama/wllama",
        VERSION,
        "sha512-ZvoRdQAn+E+18EvQ9qS036gudiI9rbZRBJgG/qNICPPwrA0Y6SMMdbziz/j7K/0WxcbJlhaRraVIYsnEy732NA==",
        {
            "package/esm/index.js": (
                "wllama.js",
                "fffd95c16ca191f31f4303664a05189c43d0cb20c52b67276c04e8857b138b64",
            ),
            "package/esm/wasm/wllama.wasm": (
                "wllama.wasm",
                "79ac5be917b71d50571a4f584436a9f6baf6b6e57719d094ed8bd950e9a65780",
            ),
            "package/LICENCE": (
                "LICENCE",
                "5866e3bd7e3cbd3f7c8bea6efd8a1e7fa7cc8de68c30f428aff7c6584a0fb720",
            ),
        },
    ),
    NpmPackage(
        "@wllama/wllama-compat",
        VERSION,
        "sha512-MSWwyzVXpwkstvIGzOsQ9jlRm8kY5S5J0Gdw4E6M9mXqhgO/5tj+YNfxSoqN1GvsAOwui95JPtwX3hO6VZkbzg==",
        {
            "package/wasm/wllama.js": (
                "compat.js",
                "942062a7495790a317061b27a6bcd2bd3b247e2ddef53a069baf5abb07284758",
            ),
            "package/wasm/wllama.wasm": (
                "compat.wasm",
                "35df8c1e2f7dbd74b8e8b01054fb9f1fbe86cf566945fbf4cef3965855a8b92e",
            ),
        },
    ),
)


WLLAMA = FetchedPackages(
    f"wllama-{VERSION}", PACKAGES, "run `alpaca-pipe setup browser` once", megabytes=60
)
