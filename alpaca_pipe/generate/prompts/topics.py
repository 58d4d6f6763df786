"""What tasks are asked about, so that two prompts seldom ask for the same thing."""

from __future__ import annotations

import random
from functools import lru_cache

TOPICS = tuple(
    """
the Moon, volcanoes, bees, bicycles, bread, rivers, chess, tea, winter, trees, dreams, money, sleep, cats, glass, winds,
ancient Rome, kindness, computers, fish, mountains, soap, trust, maps, birds, coffee, schools, letters, the heart, plastic,
wind power, paper, honesty, potatoes, friendship, salt, time zones, shoes, fractions, gravity, bridges, elections, spiders,
the ocean, cheese, glaciers, gardens, dentists, earthquakes, light bulbs, mirrors, cotton, theatre, taxes, batteries, snakes,
magnets, the alphabet, poetry, hotels, deserts, pencils, whales, insurance, satellites, colours, memory, ships, rice, castles,
running, bones, interest rates, umbrellas, steel, fairy tales, the brain, airports, onions, algebra, butterflies, recycling,
farming, stars, lungs, chocolate, wool, islands, neighbours, printers, planets, lightning, knives, holidays, blood, concrete,
swimming, wolves, museums, probability, ice cream, patents, hurricanes, mushrooms, marriage, telescopes, bacteria, carpets,
olive oil, skiing, rockets, courts of law, hair, bananas, tides, passwords, the printing press, tomatoes, courage, engines,
dogs, sugar, triangles, gold, forests, electricity, football, the kidneys, budgets, frogs, rainbows, pianos, honey, ladders,
sunscreen, ants, wheels, copper, democracy, eggs, robots, seeds, dancing, contracts, elephants, thermometers, patience, owls,
bank accounts, soup, traffic, atoms, moving house, penguins, beans, fire safety, speeches, milk, headaches, clocks, polar bears,
advertising, prime numbers, oxygen, tents, apples, jokes, camels, windows, cement, the immune system, opera, ferries, compost,
statistics, lakes, apologies, helicopters, toothpaste, dinosaurs, tunnels, folk songs, cooking oil, caves, lawns, the equator,
noise, turtles, calendars, first aid, leather, small talk, microscopes, pottery, sharks, public transport, candles, negotiation,
wheat, comets, nurses, keyboards, lemons, refrigerators, the Silk Road, horses, ballet, debts, sand, diplomacy, eyes, garlic
""".replace("\n", " ")
    .strip()
    .split(", ")
)


def topics_from(
    seed: int | str, first: int, count: int, among: tuple[str, ...] = TOPICS
) -> tuple[str, ...]:
    """The topics number `first` to `first + count - 1` of an endless list: all of them shuffled, then shuffled anew ..."""
    return tuple(
        _shuffled(seed, number // len(among), among)[number % len(among)]
        for number in range(first, first + count)
    )


@lru_cache(8)
def _shuffled(seed: int | str, turn: int, among: tuple[str, ...]) -> list[str]:
    return random.Random(f"topics {seed} {turn}").sample(among, len(among))
