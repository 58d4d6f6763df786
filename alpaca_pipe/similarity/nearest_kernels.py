"""The compiled loops of text_table.py: the nearest text, by the words that two must share (prefix filter: Chaudhuri et al.,
2006; with places, PPJoin: Xiao et al., 2008), by fingerprints (bitmap filter: Sandes et al., 2020), and by LCS."""

from __future__ import annotations

import numpy as np
from numba import njit

from alpaca_pipe.similarity.kernels import ones


@njit(cache=True)
def _flip(word, again, into, at):
    """One bit of 256 for (word, how many of it stood in the text before)."""
    key = np.uint64(word) + np.uint64(again) * np.uint64(0x2545F4914F6CDD1D)
    bit = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(56)
    into[at + (bit >> np.uint64(6))] ^= np.uint64(1) << (bit & np.uint64(63))


@njit(cache=True)
def fingerprints(tokens, starts, begin, end, seen, prints):
    """Of the rows in [begin, end): two bags differ in at least as many words as their prints in bits. seen: 0 for each
    word, before and after."""
    for row in range(begin, end):
        prints[4 * row : 4 * row + 4] = 0
        for at in range(starts[row], starts[row + 1]):
            _flip(tokens[at], seen[tokens[at]], prints, np.uint64(4 * row))
            seen[tokens[at]] += 1
        for at in range(starts[row], starts[row + 1]):
            seen[tokens[at]] = 0


@njit(cache=True)
def _key(length, row):
    """A posting's first number, up to its last 8 bits."""
    return np.uint64(length) << np.uint64(40) | np.uint64(row) << np.uint64(8)


@njit(cache=True)
def _length(key):
    return np.int64(key >> np.uint64(40))


@njit(cache=True)
def _row(key):
    return np.int64(key >> np.uint64(8) & np.uint64(0xFFFFFFFF))


@njit(cache=True)
def _by_length(starts, rows):
    """The rows, short ones first."""
    longest = 0
    for row in range(rows):
        longest = max(longest, starts[row + 1] - starts[row])
    places = np.zeros(longest + 2, np.int64)
    for row in range(rows):
        places[starts[row + 1] - starts[row] + 1] += 1
    places = np.cumsum(places)
    order = np.empty(rows, np.int64)
    for row in range(rows):
        length = starts[row + 1] - starts[row]
        order[places[length]] = row
        places[length] += 1
    return order


@njit(cache=True)
def postings(tokens, starts, rows, words, prints):
    """For each word the rows that hold it, by length and then by number, three numbers each: the length, the row and how
    many rarer words the row has (24, 32 and 8 bits; 255 is also more), and the row's print; and where each word's begin.
    shapes (3 n,), (words + 1,)"""
    last = np.full(words, -1, np.int64)  # the last row in which a word was met
    offsets = np.zeros(words + 1, np.int64)
    for row in range(rows):
        for at in range(starts[row], starts[row + 1]):
            if last[tokens[at]] != row:
                last[tokens[at]] = row
                offsets[tokens[at] + 1] += 1
    offsets = np.cumsum(offsets)
    out, free = np.empty(3 * offsets[words], np.uint64), offsets[:words].copy()
    last[:] = -1
    for row in _by_length(starts, rows):
        key = _key(starts[row + 1] - starts[row], row)
        for at in range(starts[row], starts[row + 1]):
            word = tokens[at]
            to = 3 * free[word]
            if last[word] != row:
                last[word] = row
                out[to] = key + np.uint64(1)
                out[to + 1] = prints[4 * row] ^ prints[4 * row + 2]
                out[to + 2] = prints[4 * row + 1] ^ prints[4 * row + 3]
                free[word] += 1
            elif out[to - 3] & np.uint64(255) < np.uint64(255):
                out[to - 3] += np.uint64(1)
    _count_rarer(rows, out, offsets)
    return out, offsets


@njit(cache=True)
def _count_rarer(rows, postings, offsets):
    """The last 8 bits of a posting, from how often the word stands in the row to how many rarer words do."""
    before = np.zeros(rows, np.int64)
    for word in np.argsort(offsets[1:] - offsets[:-1], kind="mergesort"):
        for at in range(3 * offsets[word], 3 * offsets[word + 1], 3):
            row = _row(postings[at])
            times = np.int64(postings[at] & np.uint64(255))
            postings[at] += np.uint64(min(before[row], 255)) - np.uint64(times)
            before[row] += times


@njit(cache=True)
def add_latest(starts, row, prints, latest, at):
    """Row's posting, but for the rarer words."""
    latest[3 * at] = _key(starts[row + 1] - starts[row], row)
    latest[3 * at + 1] = prints[4 * row] ^ prints[4 * row + 2]
    latest[3 * at + 2] = prints[4 * row + 1] ^ prints[4 * row + 3]


@njit(cache=True)
def _learn(text, blocks, slots, masks, mine, different, times):
    """The places of each word of the text as bits, its print, its different words and how often each of them stands."""
    count = 0
    for at in range(len(text)):
        word = text[at]
        slot = slots[word]
        if slot == 0:
            different[count] = word
            count += 1
            slot = slots[word] = count
        _flip(word, times[slot - 1], mine, np.uint64(0))
        times[slot - 1] += 1
        masks[slot * blocks + (at >> 6)] |= np.uint64(1) << np.uint64(at & 63)
    return count


@njit(cache=True)
def _lcs(size, blocks, tokens, begin, end, slots, masks, line):
    """Longest common subsequence of the learned text and another, 64 places at once (Hyyrö, 2004)."""
    if size < 64:
        one = ~np.uint64(0)
        for at in range(begin, end):
            matched = one & masks[slots[tokens[at]]]
            one = (one + matched) | (one - matched)
        return np.int64(ones(~one & ((np.uint64(1) << np.uint64(size)) - np.uint64(1))))
    line[:] = ~np.uint64(0)
    for at in range(begin, end):
        mask = slots[tokens[at]] * blocks
        if mask == 0:
            continue
        carry = np.uint64(0)
        for block in range(blocks):
            before = line[block]
            matched = before & masks[mask + block]
            first = before + matched
            both = first + carry
            carry = np.uint64(1) if first < before or both < first else np.uint64(0)
            line[block] = both | (before - matched)
    common = np.int64(0)
    for block in range(blocks):
        rest = size - 64 * block
        whole = ~np.uint64(0) if rest >= 64 else (np.uint64(1) << np.uint64(rest)) - np.uint64(1)
        common += np.int64(ones(~line[block] & whole))
    return common


@njit(cache=True)
def _apart(mine, prints, row):
    """Bits in which two whole prints differ."""
    at = np.uint64(4 * row)
    return np.int64(
        ones(mine[0] ^ prints[at])
        + ones(mine[1] ^ prints[at + np.uint64(1)])
        + ones(mine[2] ^ prints[at + np.uint64(2)])
        + ones(mine[3] ^ prints[at + np.uint64(3)])
    )


@njit(cache=True)
def _first(postings, low, high, length):
    """The first posting in [low, high) of a row that is not shorter."""
    while low < high:
        middle = (low + high) >> 1
        if _length(postings[3 * middle]) < length:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def _rare_first(different, times, offsets):
    """The places of the words that have rows, as postings() ordered words; how many words of the text those are."""
    keys, known = np.zeros(len(different), np.int64), 0
    for at in range(len(different)):
        word = different[at]
        if word < len(offsets) - 1 and offsets[word + 1] > offsets[word]:
            keys[at] = (offsets[word + 1] - offsets[word]) << 32 | word
            known += times[at]
    order = np.argsort(keys)
    return order[np.searchsorted(keys[order], 1) :], known


@njit(cache=True)
def search(
    text,
    num,
    den,
    but,
    tokens,
    starts,
    prints,
    postings,
    offsets,
    latest,
    slots,
    marks,
    best,
    out,
):
    """The nearest of the rows to a text (word numbers), the first of several, into `best`: row or -1, LCS, words of both.
    num > 0: instead, every row whose LCS / words of both is num / den: how many into best[0], and (LCS, words of both) into
    `out`, as far as that goes. latest: rows that stand in no postings, as those are written. but: a row that does not count.

    Words are taken from rare to common, as long as those not taken yet could make up what is needed; the rows of a word
    from the text's own length on, for a near one is about as long: first the longer ones, then the shorter ones."""
    size, blocks = len(text), (len(text) + 63) >> 6
    masks, line = np.zeros((size + 1) * blocks, np.uint64), np.zeros(blocks, np.uint64)
    mine, different = np.zeros(4, np.uint64), np.empty(size, np.int64)
    times = np.zeros(size, np.int64)
    count = _learn(text, blocks, slots, masks, mine, different, times)
    order, rest = _rare_first(different[:count], times, offsets)
    one, two = mine[0] ^ mine[2], mine[1] ^ mine[3]
    best[3] += 1
    mark, every, found = best[3], num > 0, 0
    marks[but : but + 1] = mark
    bar = 1 << 40 if every else -1
    for source in range(len(order) + 1):
        filed = source < len(order)
        if filed:
            word, shelf = different[order[source]], postings
            low, high = offsets[word], offsets[word + 1]
            middle = _first(postings, low, high, size)
        else:
            shelf, low, middle, high, rest = latest, 0, 0, len(latest) // 3, size
        for step in (1, -1):
            place = middle if step > 0 else middle - 1
            while low <= place < high:
                at = np.uint64(3 * place)
                place += step
                key = shelf[at]
                length = _length(key)
                total = size + length
                far = np.int64(
                    ones(one ^ shelf[at + np.uint64(1)]) + ones(two ^ shelf[at + np.uint64(2)])
                )
                could = min(rest, length - np.int64(key & np.uint64(255)), (total - far) >> 1)
                if could * den < num * total:
                    if filed and min(rest, length) * den < num * total:
                        if step > 0 or length <= rest:
                            break
                        place = _first(postings, low, place + 1, rest * den // num - size + 1) - 1
                    continue
                row = _row(key)
                if (could * den == num * total and row > bar) or marks[row] == mark:
                    continue
                if ((total - _apart(mine, prints, row)) >> 1) * den < num * total:
                    continue
                marks[row] = mark
                common = _lcs(
                    size, blocks, tokens, starts[row], starts[row + 1], slots, masks, line
                )
                ahead = common * den - num * total
                if every:
                    if ahead == 0:
                        if found < len(out):
                            out[found, 0], out[found, 1] = common, total
                        found += 1
                elif ahead > 0 or (ahead == 0 and row < bar):
                    num, den, bar = common, total, row
        if filed:
            rest -= times[order[source]]
    for word in text:
        slots[word] = 0
    best[0], best[1], best[2] = found if every else bar, num, den
