"""The claims, in the order of a model's life: pre-training, teaching, tuning, serving. Each as it was said, with its source.

Figures that a paper gives are written here; everything computed from them goes through models/, ledger/ and the stages'
own estimates. A source that we could not find again is named as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from alpaca_pipe.ledger.machine.energy import LLAMA_PUE, US_GRID, carbon_kg, energy_kwh
from alpaca_pipe.ledger.pricing.gpu_rates import GpuRate, gpus, rate_of
from alpaca_pipe.ledger.pricing.token_prices import price_of
from alpaca_pipe.models.architecture import LLAMA_7B, Architecture, shape_named
from alpaca_pipe.models.fit import GB, GIB, file_bytes, gpu_hours, memory, training_flops
from alpaca_pipe.models.speed import reached
from alpaca_pipe.planner.claim import Claim, compared
from alpaca_pipe.planner.pretraining import pretraining
from alpaca_pipe.planner.scaling_law import REPLICATION
from alpaca_pipe.planner.serving import Traffic, by_api, desktop, rented
from alpaca_pipe.recipe.stage import Estimate

LLAMA = "LLaMA, arXiv:2302.13971"
ALPACA = "Stanford Alpaca, crfm.stanford.edu/2023/03/13/alpaca.html"
HALEY = "P. Haley, GPT under $100,000?, haleyai.com"
WILLISON = "S. Willison, Could you train a ChatGPT-beating model for $85,000, simonwillison.net"
VICUNA = "Vicuna, lmsys.org/blog/2023-03-30-vicuna"
UNKNOWN = "often repeated; its first source was not found"

_TABLE_15 = (  # name, GPU-hours, MWh and tonnes as printed
    ("OPT-175B", 809_472, 356, 137),
    ("BLOOM-175B", 1_082_880, 475, 183),
    ("LLaMA-7B", 82_432, 36, 14),
    ("LLaMA-13B", 135_168, 59, 23),
    ("LLaMA-33B", 530_432, 233, 90),
    ("LLaMA-65B", 1_022_362, 449, 173),
)
_HOURS = {name: hours for name, hours, _, _ in _TABLE_15}
_ROWS, _TOKENS = 52_002, 6_611_565  # of the released data, and its tokens with LLaMA's tokenizer
_TUNING_HOURS = 8 * 3  # 8 A100 for 3 hours


def claims(day: date) -> tuple[Claim, ...]:
    """All of them; prices of GPUs are the book's lowest on that day."""
    a100, h200 = rate_of("A100-80", day), rate_of("H200", day)
    return (
        *_energy(),
        *_llama(a100),
        *_smaller_llamas(a100),
        *_longer(),
        *_earlier(),
        *_teaching(),
        *_tuning(a100, h200),
        *_using(),
        *_serving(day),
    )


def _energy() -> Iterator[Claim]:
    watts = gpus()["A100-80"].watts
    for name, hours, mwh, tonnes in _TABLE_15:
        kwh = energy_kwh(hours, watts, LLAMA_PUE.value)
        kg = carbon_kg(kwh, US_GRID.value)
        agrees = abs(kwh / 1000 - mwh) < 1.5 and round(kg / 1000) == tonnes
        yield Claim(
            f"table 15: {name}",
            f"{mwh} MWh, {tonnes} t CO2e",
            f"{LLAMA}, table 15",
            "2023-02",
            f"{hours:,} h x {watts} W x {LLAMA_PUE.value} = {kwh / 1000:,.2f} MWh; x {US_GRID.value} kg/kWh",
            f"{kwh / 1000:,.2f} MWh, {kg / 1000:,.1f} t",
            "holds" if agrees else "does not hold",
        )
    taken = 2048 * 5 * 30 * 24
    drawn = energy_kwh(taken, watts, LLAMA_PUE.value) / 1000
    months = 2_638_000 / (watts / 1000 * LLAMA_PUE.value) / 2048 / 30 / 24
    yield Claim(
        "2048 GPUs for 5 months",
        "2,048 A100 for approximately 5 months: 2,638 MWh",
        f"{LLAMA}, section 6",
        "2023-02",
        f"2,048 x 5 x 30 x 24 = {taken:,} h x {watts} W x {LLAMA_PUE.value} = {drawn:,.0f} MWh",
        f"{drawn:,.0f} MWh; 2,638 MWh are {months:.1f} months; the four models make {_share(taken)} of the hours",
        *compared(2638, drawn),
    )


def _share(hours: int) -> str:
    return f"{sum(taken for name, taken in _HOURS.items() if name.startswith('LLaMA')) / hours:.0%}"


def _llama(a100: GpuRate) -> Iterator[Claim]:
    shape, tokens = _shape("llama-65b"), 1.4e12
    hours = gpu_hours(tokens, 380)
    days = hours / 2048 / 24
    reached_share = training_flops(shape.multiplied, tokens) / (
        _HOURS["LLaMA-65B"] * 3600 * gpus()["A100-80"].bf16_tflops * 1e12
    )
    yield Claim(
        "65B in 21 days",
        "1.4T tokens at 380 tokens/s/GPU on 2,048 A100: about 21 days",
        f"{LLAMA}, section 2.4",
        "2023-02",
        f"1.4e12 / 380 / 3600 = {hours:,.0f} h; / 2,048 / 24 = {days:.1f} days",
        f"{days:.1f} days; {reached_share:.0%} of the A100's datasheet",
        *compared(21, days),
    )
    price, where = _hourly(a100)
    yield Claim(
        "65B under $1,000,000",
        "1 million GPU-hours can be had for less than $1,000,000",
        HALEY,
        "2023-04-23",
        f"{hours:,.0f} h x {where}",
        f"${hours * price:,.0f}; $1,000,000 would need ${1e6 / hours:.2f} an hour",
        *(
            ("holds", "")
            if hours * price < 1e6
            else ("off", f"by a factor of {hours * price / 1e6:.3g}")
        ),
    )
    yield Claim(
        "10^24 operations",
        "a state-of-the-art model takes a million-trillion-trillion (10^24) operations",
        HALEY,
        "2023-04-23",
        "10^6 x 10^12 x 10^12 = 10^30; 6 x parameters x tokens of LLaMA-65B = "
        f"{training_flops(shape.multiplied, tokens):.2e}",
        "10^24 is a trillion trillions; the number is right, its name is not",
        "does not hold",
        "the words are off by a factor of a million",
    )


def _hourly(gpu: GpuRate) -> tuple[float, str]:
    """Dollars, and who says so."""
    price = float(gpu.per_hour)
    return price, f"${price:.2f} ({gpu.provider}, checked {gpu.checked})"


def _smaller_llamas(a100: GpuRate) -> Iterator[Claim]:
    price, where = _hourly(a100)
    thirteen = _HOURS["LLaMA-13B"]
    share = thirteen / _HOURS["LLaMA-65B"]
    yield Claim(
        "13B for 20 % of 65B",
        "a 13B model takes 20 % of what 65B takes",
        UNKNOWN,
        "2023",
        f"{thirteen:,} h / {_HOURS['LLaMA-65B']:,} h",
        f"{share:.1%}; 20 % is the ratio of parameters, and 13B saw 1.0T tokens in place of 1.4T",
        *compared(0.20, share),
    )
    yield Claim(
        "13B under $100,000",
        "a GPT for less than $100,000",
        HALEY,
        "2023-04-23",
        f"{thirteen:,} h x {where}",
        f"${thirteen * price:,.0f}; $100,000 would need ${1e5 / thirteen:.2f} an hour",
        *(
            ("holds", "")
            if thirteen * price < 1e5
            else ("off", f"by a factor of {thirteen * price / 1e5:.3g}")
        ),
    )
    seven = _HOURS["LLaMA-7B"]
    yield Claim(
        "7B and its tuning for $85,000",
        "82,432 GPU-hours at about $1, and $600 of Alpaca",
        WILLISON,
        "2023-03-17",
        f"{seven:,} h x $1 + $600 = ${seven + 600:,}",
        f"${seven + 600:,}; at {where} an hour ${seven * price + 600:,.0f}",
        *compared(85_000, seven + 600),
    )


def _longer() -> Iterator[Claim]:
    """By `plan pretrain`."""
    first = pretraining(model="llama-13b", tokens=1e12, gpu="A100-80", per_hour=1.0)
    more = pretraining(model="llama-13b", tokens=1.4e12, seen=1e12, gpu="A100-80", per_hour=1.0)
    whole = pretraining(model="llama-13b", tokens=1.4e12, gpu="A100-80", per_hour=1.0)
    low, before, _ = first.loss()
    after = more.loss()[1]
    holds = more.dollars.p50 < 0.5 * whole.dollars.p50
    yield Claim(
        "train longer, then swap the model",
        "a model in use can be trained on, and be replaced by what it becomes",
        UNKNOWN,
        "2023",
        f"13B from 1.0T to 1.4T tokens: {more.hours.p50:,.0f} A100-hours beside {whole.hours.p50:,.0f} for all of them; Chinchilla's fit "
        f"(arXiv:2404.10102): {before:.3f} to {after:.3f} nats",
        f"{more.hours.p50 / whole.hours.p50:.0%} of the hours for {before - after:.3f} nats, while the fit itself is unsure by "
        f"{before - low:.2f}",
        "holds" if holds else "does not hold",
        "" if holds else "going on costs as much as beginning again",
    )
    fit = REPLICATION.loss(first.active, first.tokens)
    yield Claim(
        "13B after 1.0T tokens",
        "6 x parameters x tokens say what LLaMA-13B took",
        f"{LLAMA}, table 15",
        "2023-02",
        f"{first.flops:.3g} operations at 0.30 to 0.52 of an A100's datasheet; printed: {_HOURS['LLaMA-13B']:,} h",
        f"{first.hours.p50:,.0f} h ({first.hours.p10:,.0f} to {first.hours.p90:,.0f}); Chinchilla's fit: {fit:.3f} nats of its own texts",
        *(
            ("holds", "")
            if first.hours.p10 <= _HOURS["LLaMA-13B"] <= first.hours.p90
            else compared(_HOURS["LLaMA-13B"], first.hours.p50)
        ),
    )


def _serving(day: date) -> Iterator[Claim]:
    """By `plan serving`."""
    traffic, size = Traffic(), _shape("llama-2-13b").parameters
    paid, price = by_api(traffic, "gpt-6-luna", day)
    own, lent = desktop(size, 4.5, "RTX4090", traffic), rented(size, 4.5, "L4", day)
    yield Claim(
        "one's own GPU is cheaper than an API",
        "a model on a desktop of one's own answers for the price of electricity",
        UNKNOWN,
        "2023",
        f"1,000 conversations a day of 4 turns, {traffic.tokens_in / 1e6:.2f}M tokens in, {traffic.tokens_out / 1e6:.2f}M out; 13B at 4.5 bits: "
        f"{own.parts}; gpt-6-luna at {price}",
        f"${own.a_day:.2f} a day on the desktop, ${lent.a_day:.2f} on a rented L4, ${paid:.2f} by the API",
        "holds" if own.a_day < paid else "does not hold",
        ""
        if own.a_day < paid
        else f"from {traffic.conversations * own.a_day / paid:,.0f} conversations a day on it does",
    )


def _earlier() -> Iterator[Claim]:
    flops = training_flops(174.6e9, 300e9)
    hours = flops / 28e12 / 3600
    yield Claim(
        "GPT-3 in 3.55 million GPU-hours",
        "GPT-3 took 3.55 million GPU-hours",
        UNKNOWN,
        "2023",
        f"6 x 174.6e9 x 300e9 = {flops:.3g} operations / 28 TFLOPS (a V100 as Lambda assumed it, 2020) / 3600",
        f"{hours / 1e6:.2f} million V100-hours = {hours / 8760:,.0f} years; 3.55 million would be 355 years of 10,000 hours",
        *compared(3.55e6, hours),
    )
    yield Claim(
        "a 5,000-fold fall",
        "the cost of such a model fell 5,000-fold, to Alpaca's $600",
        UNKNOWN,
        "2023",
        f"$4.6M (GPT-3, Lambda 2020) / $600 = {4.6e6 / 600:,.0f}; / (7B's {_HOURS['LLaMA-7B']:,} h x $1 + $600) = "
        f"{4.6e6 / (_HOURS['LLaMA-7B'] + 600):.0f}",
        "about 55-fold, like compared with like",
        "does not hold",
        "it compares pre-training with the tuning of a model that Meta had paid for",
    )
    yield Claim(
        "LiGO saves 44.7 % and 40.7 %",
        "growing BERT from a smaller one saves 44.7 % of operations, 40.7 % of time",
        "LiGO, ICLR 2023, vita-group.github.io/LiGO",
        "2023-03",
        f"(1 - 0.447) / (1 - 0.407) = {0.553 / 0.593:.2f}",
        "the two figures agree if its operations run 7 % slower",
        "not checkable here",
        "it takes the training runs; `ligo-small` makes them in small",
    )


def _teaching() -> Iterator[Claim]:
    davinci = price_of("text-davinci-003", date(2023, 3, 1)).per_million["visible_out"]
    tokens = 500 / float(davinci) * 1e6
    told = _generated(_ROWS)
    dollars = told.api.times(1e-9)
    yield Claim(
        "Alpaca's data under $500",
        "52K rows from text-davinci-003 for less than $500",
        ALPACA,
        "2023-03-13",
        f"$500 / ${davinci} per million = {tokens / 1e6:.0f}M tokens = {tokens / _ROWS:.0f} for each kept row",
        f"as `plan` has it: ${dollars.p50:,.0f} (${dollars.p10:,.0f} to ${dollars.p90:,.0f} in 8 cases of 10)",
        *(
            ("holds", "")
            if dollars.p50 < 500
            else ("off", f"by a factor of {dollars.p50 / 500:.2g}")
        ),
    )
    turbo = 500 / 2 * 1e6 / _ROWS
    yield Claim(
        "who taught Alpaca",
        "text-davinci-003, of the GPT-3.5 series; not ChatGPT, nor GPT-4",
        f"{ALPACA}; github.com/tatsu-lab/stanford_alpaca, generate_instruction.py",
        "2023-03-13",
        f"$500 at ChatGPT's $2 per million would be {turbo:,.0f} tokens for each kept row; at ${davinci}, {tokens / _ROWS:.0f}",
        "its price fits text-davinci-003; ChatGPT's would have been a tenth",
        "holds",
    )
    many = _generated(1000 * _ROWS)
    cost = many.api.times(1e-9)
    yield Claim(
        "52 million prompts for $600,000",
        "a thousand times the rows for a thousand times $600",
        UNKNOWN,
        "2023",
        "1,000 x $600 assumes that row 52,000,000 is as easily new as row 1",
        f"as `plan` has it: "
        f"{many.says.partition('; ')[2] or many.says}; ${cost.p50:,.0f} (${cost.p10:,.0f} to ${cost.p90:,.0f}) spent until then",
        "does not hold",
        "yield falls as the pool grows, and this is a thousand times beyond any data",
    )


def _tuning(a100: GpuRate, h200: GpuRate) -> Iterator[Claim]:
    kwh = energy_kwh(_TUNING_HOURS, gpus()["A100-80"].watts, LLAMA_PUE.value)
    own = reached(gpus()["A100-80"], training_flops(LLAMA_7B.multiplied, 3 * _TOKENS), 0).times(
        1 / 3600
    )
    cost = _TUNING_HOURS * float(a100.per_hour)
    yield Claim(
        "Alpaca's tuning under $100",
        "3 hours on 8 A100 80GB, less than $100",
        ALPACA,
        "2023-03-13",
        f"{_TUNING_HOURS} h: at most ${100 / _TUNING_HOURS:.2f} an hour; {kwh:.2f} kWh, {carbon_kg(kwh, US_GRID.value):.2f} kg CO2e",
        f"${cost:.0f} at ${a100.per_hour} ({a100.provider}); by operations {own.p50:.1f} GPU-hours ({own.p10:.1f} to "
        f"{own.p90:.1f}); others measured 5.3",
        *(("holds", "") if cost < 100 else ("off", f"by a factor of {cost / 100:.2g}")),
    )
    vicuna = 8 * 24
    yield Claim(
        "Vicuna-13B for $300",
        "one day on 8 A100, about $300 on spot machines",
        VICUNA,
        "2023-03-30",
        f"8 x 24 = {vicuna} h: ${300 / vicuna:.2f} an hour",
        f"${vicuna * float(a100.per_hour):,.0f} at ${a100.per_hour} ({a100.provider})",
        *compared(300, vicuna * float(a100.per_hour), within=1.25),
    )
    yield Claim(
        "Vicuna within 10 %",
        "more than 90 % of ChatGPT's quality",
        VICUNA,
        "2023-03-30",
        "the sum of GPT-4's grades on 80 questions, over ChatGPT's",
        "the authors call it fun and non-scientific",
        "not checkable here",
        "neither judge nor rivals can be asked any more as they were",
    )
    yield _seventy(h200)


def _seventy(h200: GpuRate) -> Claim:
    """The same 52K rows, three times over, all weights: how many GPUs hold it, and what their hours cost."""
    shape, gpu, price = _shape("llama-2-70b"), gpus()["H200"], float(h200.per_hour)
    held = memory(shape, "full", 8 * 512)
    least = int(-(-held.total // (gpu.memory_gib * GIB)))
    hours = reached(gpu, training_flops(shape.multiplied, 3 * _TOKENS), 0).times(1 / 3600)
    cost, a_token = (
        hours.times(price),
        training_flops(shape.multiplied, 1) / (gpu.bf16_tflops * 1e12 * 0.32) / 3600 * price,
    )
    return Claim(
        "tuning a 70B for $10,000 to $50,000",
        "tuning a 70B model costs $10,000 to $50,000",
        UNKNOWN,
        "2024",
        f"6 x {shape.multiplied / 1e9:.1f}e9 x 3 x {_TOKENS:,} tokens on H200 at ${price:.2f} ({h200.provider}); "
        f"{held.total / GB:,.0f} GB: at least {least} of them",
        f"Alpaca's rows, full tuning: {hours.p50:.0f} GPU-hours, ${cost.p50:,.0f} (${cost.p10:,.0f} to ${cost.p90:,.0f}), without "
        f"the start of {least} GPUs",
        "does not hold",
        f"for 52K rows; it does for {1e4 / a_token / 1e9:.0f} to {5e4 / a_token / 1e9:.0f} billion trained tokens",
    )


def _using() -> Iterator[Claim]:
    size = LLAMA_7B.parameters
    old, new = file_bytes(size, 5.0), file_bytes(size, 4.5)
    yield Claim(
        "the 3.9 GB file",
        "LLaMA-7B in 4 bits is a file of 3.9 GB",
        "llama.cpp's first format, as often quoted",
        "2023-03",
        f"{size / 1e9:.3f}e9 weights x 5.0 bits (4 and a scale of 32 for 32 weights) / 8 = {old / GB:.2f} GB",
        f"{old / GIB:.2f} GiB then; Q4_0 of today has 4.5 bits: {new / GB:.2f} GB",
        *compared(3.9, old / GIB, within=1.01),
    )
    day = 3617 * 8 * 24
    yield Claim(
        "ChatGPT costs $700,000 a day",
        "3,617 servers of 8 A100, $694,444 a day",
        "D. Patel, SemiAnalysis, The Inference Cost Of Search Disruption",
        "2023-02-09",
        f"3,617 x 8 x 24 = {day:,} GPU-hours x $1",
        f"${day:,}, for an outsider's count of servers",
        *compared(700_000, day),
    )


def _shape(name: str) -> Architecture:
    shape = shape_named(name)
    assert shape is not None
    return shape


def _generated(count: int) -> Estimate:
    """What `plan` says of so many rows from Alpaca's teacher at its price of then."""
    from alpaca_pipe.generate.config import GenerateConfig
    from alpaca_pipe.generate.stage import STAGE
    from alpaca_pipe.recipe.stage import EstimateInputs
    from alpaca_pipe.teachers.config import TeacherTable

    teacher = TeacherTable.model_validate(
        {
            "kind": "openai_chat",
            "model": "text-davinci-003",
            "base_url": "https://api.openai.com.2023/v1",  # nobody is asked, and today's ends do not hold
            "price": {"in": 20, "out": 20},
        }
    )
    return STAGE.estimate(
        GenerateConfig(style="alpaca", count=count),
        {"teacher": teacher, "seed": 42},
        EstimateInputs(),
    )
