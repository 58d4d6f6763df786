#!/usr/bin/env bash
# Guess: the price of a model in genai-prices is a matter of the day: asked at noon or at three in the morning of one day it is the same.
# What happens (genai-prices 0.2.3): DeepSeek's models have a price for the peak hours (01:00-04:00 and 06:00-10:00 UTC) and half of it
# for all others. Noon UTC, the hour that stands for "the day", is one of the cheap ones, and so are most clocks at which a plan is made.
# Where it matters: a plan, a cap or a price table that reads the price once is half too low for what is sent in the peak hours.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q genai-prices==0.2.3
"$folder/venv/bin/python" - <<'PY'
from datetime import UTC, datetime
from importlib.metadata import version

from genai_prices import Usage, calc_price

usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
prices = {}
for hour in (3, 12):
    at = datetime(2026, 11, 30, hour, tzinfo=UTC)
    found = calc_price(usage, "deepseek-v4-pro", provider_id="deepseek", genai_request_timestamp=at)
    prices[hour] = found.total_price
print(f"genai-prices {version('genai-prices')}: a million tokens in and out of deepseek-v4-pro on one day:")
print(f"  at 03:00 UTC ${prices[3]}, at 12:00 UTC ${prices[12]}")
raise SystemExit(0 if prices[3] == 2 * prices[12] else 1)
PY
