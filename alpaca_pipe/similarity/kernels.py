"""The compiled loops of join.py. Arrays are described in token_arrays.py; a likeness is num / den, `strict` asks for more than it."""

from __future__ import annotations

import numpy as np
from numba import njit, prange, types
from numba.extending import intrinsic

_LANES = 64  # pieces of work that the cores share
_ROWS_AT_ONCE = 4096  # at least: rows that are held against all rows before them in one go


@intrinsic
def ones(typing, bits):
    """Set bits of a uint64, by the processor's own instruction."""
    return types.uint64(types.uint64), lambda context, builder, signature, args: builder.ctpop(
        args[0]
    )


@njit(cache=True)
def need(total, num, den, strict):
    """The least LCS that is near, for two texts of `total` words."""
    least = num * total // (2 * den) + 1 if strict else -(-num * total // (2 * den))
    return max(least, 1)


@njit(cache=True)
def occurrences(tokens, starts, words):
    """A number for (word, how many of it stood in the row before)."""
    out = np.empty(len(tokens), np.int64)
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            before = 0
            for other in range(starts[row], at):
                before += tokens[other] == tokens[at]
            out[at] = tokens[at] + np.int64(before) * words
    return out


@njit(cache=True, parallel=True)
def sort_rows(ranks, starts):
    for row in prange(len(starts) - 1):
        ranks[starts[row] : starts[row + 1]].sort()


@njit(cache=True, parallel=True)
def fingerprints(ranks, starts):
    """128 bits a row: each word flips one. Two bags differ in at least as many words as their prints in bits."""
    prints = np.zeros((len(starts) - 1, 2), np.uint64)
    for row in prange(len(starts) - 1):
        _print(ranks[starts[row] : starts[row + 1]], prints[row])
    return prints


@njit(cache=True)
def _print(ranks, into):
    for rank in ranks:
        if rank >= 0:
            bit = (np.uint64(rank) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(57)
            into[bit >> np.uint64(6)] ^= np.uint64(1) << (bit & np.uint64(63))


@njit(cache=True)
def prefixes(starts, first, num, den, strict):
    """How many of its rarest words make a row findable: size - need + 1 for the shortest text that can be near it. None
    of a row that repeats another."""
    ends = np.zeros(len(starts) - 1, np.int32)
    for row in range(len(ends)):
        size = starts[row + 1] - starts[row]
        if first[row] != row:
            continue
        for other in range(1, size + 1):
            least = need(size + other, num, den, strict)
            if least <= other:
                ends[row] = size - least + 1
                break
    return ends


@njit(cache=True)
def postings(ranks, starts, ends):
    """(word, length of the row, row, place in its order from rare to common) of each findable word."""
    count = ends.sum()
    word, length = np.empty(count, np.int32), np.empty(count, np.int32)
    row_, place = np.empty(count, np.int32), np.empty(count, np.int32)
    at = 0
    for row in range(len(ends)):
        for step in range(ends[row]):
            word[at], length[at] = ranks[starts[row] + step], starts[row + 1] - starts[row]
            row_[at], place[at] = row, step
            at += 1
    return word, length, row_, place


@njit(cache=True)
def learn(words, slots, masks):
    """For each known word of a text the bits of the places where it stands."""
    different = 0
    for at in range(len(words)):
        if words[at] < 0:
            continue
        slot = slots[words[at]]
        if slot < 0:
            slot = slots[words[at]] = different
            masks[slot, :] = 0
            different += 1
        masks[slot, at >> 6] |= np.uint64(1) << np.uint64(at & 63)


@njit(cache=True)
def forget(words, slots):
    for word in words:
        if word >= 0:
            slots[word] = -1


@njit(cache=True)
def lcs(size, tokens, begin, end, slots, masks, line):
    """Longest common subsequence of the learned row and another, 64 places at once."""
    blocks = (size + 63) >> 6
    for block in range(blocks):
        line[block] = ~np.uint64(0)
    for at in range(begin, end):
        slot = slots[tokens[at]]
        if slot < 0:
            continue
        carry = np.uint64(0)
        for block in range(blocks):
            before = line[block]
            matched = before & masks[slot, block]
            first = before + matched
            both = first + carry
            carry = np.uint64(1) if first < before or both < first else np.uint64(0)
            line[block] = both | (before - matched)
    common = 0
    for block in range(blocks):
        rest = size - 64 * block
        whole = ~np.uint64(0) if rest >= 64 else (np.uint64(1) << np.uint64(rest)) - np.uint64(1)
        common += int(ones(~line[block] & whole))
    return common


@njit(cache=True)
def _until(rows, low, high, limit):
    """The first place of rows[low:high], which rises, that is not below the limit."""
    while low < high:
        middle = (low + high) >> 1
        if rows[middle] < limit:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def _meet(
    words,
    rare,
    one,
    two,
    row,
    low,
    high,
    kept,
    tokens,
    starts,
    ranks,
    rows,
    places,
    row_prints,
    shelves,
    lengths,
    of_word,
    num,
    den,
    strict,
    slots,
    masks,
    line,
    also,
    also_starts,
    also_line,
    best,
    out,
):
    """Holds a text (its words, the same from rare to common, its print) against the findable rows in [low, high) that
    are kept. Puts (row, LCS, words of both) of the nearest into `best`, where a better one is found; writes every near
    one to `out`, where there is room, as of `row`. also, also_starts: a second text of each row, that must be near too;
    what counts is then the lesser F; of no length where there is none. Answers how many were near."""
    size, known, near = len(words), False, 0
    for place in range(size):
        if rare[place] < 0:
            continue
        for shelf in range(of_word[rare[place]], of_word[rare[place] + 1]):
            total = size + lengths[shelf]
            least = need(total, num, den, strict)
            if least > min(size, lengths[shelf]) or place > size - least:
                continue
            at = (
                shelves[shelf]
                if low == 0
                else _until(rows, shelves[shelf], shelves[shelf + 1], low)
            )
            latest, apart = lengths[shelf] - least, np.uint64(total - 2 * least)
            while at < shelves[shelf + 1] and rows[at] < high:
                if (
                    places[at] <= latest
                    and ones(one ^ row_prints[at, 0]) + ones(two ^ row_prints[at, 1]) <= apart
                    and kept[rows[at]]
                ):
                    if not known:
                        learn(words, slots, masks)
                        known = True
                    other = rows[at]
                    common = lcs(size, tokens, starts[other], starts[other + 1], slots, masks, line)
                    if common >= least and _first_shared(
                        rare, place, ranks[starts[other] : starts[other] + places[at]]
                    ):
                        words_of_both = total
                        if len(also_starts) > 0:
                            shared, both = _common_also(row, other, also, also_starts, also_line)
                            if shared < need(both, num, den, strict):
                                at += 1
                                continue
                            if shared * total < common * both:
                                common, words_of_both = shared, both
                        if near < len(out):
                            out[near, 0], out[near, 1], out[near, 2], out[near, 3] = (
                                row,
                                other,
                                common,
                                words_of_both,
                            )
                        near += 1
                        ahead = common * best[2] - best[1] * words_of_both
                        if best[0] < 0 or ahead > 0 or (ahead == 0 and other < best[0]):
                            best[0], best[1], best[2] = other, common, words_of_both
                at += 1
    if known:
        forget(words, slots)
    return near


@njit(cache=True)
def _common_also(row, other, also, also_starts, line):
    """(LCS, words of both) of the second texts of two rows. line: room for the longest one and one more."""
    begin, end = also_starts[row], also_starts[row + 1]
    low, high = also_starts[other], also_starts[other + 1]
    size = end - begin
    if size == high - low and np.array_equal(also[begin:end], also[low:high]):
        return size, 2 * size
    line[: size + 1] = 0
    for at in range(low, high):
        before = 0
        for place in range(size):
            above = line[place + 1]
            if also[begin + place] == also[at]:
                line[place + 1] = before + 1
            elif line[place] > above:
                line[place + 1] = line[place]
            before = above
    return line[size], size + high - low


@njit(cache=True)
def _first_shared(rare, place, others):
    """Whether no rarer word is shared: so that a pair counts once."""
    here = there = 0
    while here < place and there < len(others):
        if rare[here] == others[there]:
            return False
        if rare[here] < others[there]:
            here += 1
        else:
            there += 1
    return True


@njit(cache=True)
def room(starts):
    """The longest row."""
    longest = 1
    for row in range(len(starts) - 1):
        longest = max(longest, starts[row + 1] - starts[row])
    return longest


@njit(cache=True, parallel=True)
def greedy(
    given,
    first,
    tokens,
    starts,
    ranks,
    prints,
    rows,
    places,
    row_prints,
    shelves,
    lengths,
    of_word,
    num,
    den,
    strict,
    also,
    also_starts,
    nearest,
    common,
    total,
):
    """Judges the rows from `given` on; those before are kept. also, also_starts: see `_meet`."""
    count, vocabulary, longest = len(starts) - 1, tokens.max() + 1, room(starts)
    kept = np.ones(count, np.bool_)
    touched = np.zeros(count, np.bool_)  # near a row of its own block, kept or not
    at_once = max(_ROWS_AT_ONCE, count // 64)
    none = np.zeros((0, 4), np.int32)
    for low in range(given, count, at_once):
        high = min(count, low + at_once)
        for lane in prange(_LANES):
            slots, masks = (
                np.full(vocabulary, -1, np.int32),
                np.zeros((longest, (longest + 63) >> 6), np.uint64),
            )
            line = np.zeros((longest + 63) >> 6, np.uint64)
            also_line = np.zeros(room(also_starts) + 1, np.int64)
            best, other = np.zeros(3, np.int64), np.zeros(3, np.int64)
            for row in range(low + lane, high, _LANES):
                best[0], best[1], best[2] = -1, 0, 1
                words, rare = (
                    tokens[starts[row] : starts[row + 1]],
                    ranks[starts[row] : starts[row + 1]],
                )
                _meet(
                    words,
                    rare,
                    prints[row, 0],
                    prints[row, 1],
                    row,
                    0,
                    low,
                    kept,
                    tokens,
                    starts,
                    ranks,
                    rows,
                    places,
                    row_prints,
                    shelves,
                    lengths,
                    of_word,
                    num,
                    den,
                    strict,
                    slots,
                    masks,
                    line,
                    also,
                    also_starts,
                    also_line,
                    best,
                    none,
                )
                nearest[row], common[row], total[row] = best[0], best[1], best[2]
                other[0] = -1
                touched[row] = (
                    first[row] != row
                    or _meet(
                        words,
                        rare,
                        prints[row, 0],
                        prints[row, 1],
                        row,
                        low,
                        row,
                        kept,
                        tokens,
                        starts,
                        ranks,
                        rows,
                        places,
                        row_prints,
                        shelves,
                        lengths,
                        of_word,
                        num,
                        den,
                        strict,
                        slots,
                        masks,
                        line,
                        also,
                        also_starts,
                        also_line,
                        other,
                        none,
                    )
                    > 0
                )
        slots, masks = (
            np.full(vocabulary, -1, np.int32),
            np.zeros((longest, (longest + 63) >> 6), np.uint64),
        )
        line, best = np.zeros((longest + 63) >> 6, np.uint64), np.zeros(3, np.int64)
        also_line = np.zeros(room(also_starts) + 1, np.int64)
        for row in range(low, high):
            if touched[row]:
                best[0], best[1], best[2] = nearest[row], common[row], max(total[row], 1)
                words, rare = (
                    tokens[starts[row] : starts[row + 1]],
                    ranks[starts[row] : starts[row + 1]],
                )
                _meet(
                    words,
                    rare,
                    prints[row, 0],
                    prints[row, 1],
                    row,
                    low,
                    row,
                    kept,
                    tokens,
                    starts,
                    ranks,
                    rows,
                    places,
                    row_prints,
                    shelves,
                    lengths,
                    of_word,
                    num,
                    den,
                    strict,
                    slots,
                    masks,
                    line,
                    also,
                    also_starts,
                    also_line,
                    best,
                    none,
                )
                nearest[row], common[row], total[row] = best[0], best[1], best[2]
            kept[row] = nearest[row] < 0
            if kept[row]:
                total[row] = 0


@njit(cache=True, parallel=True)
def count(
    tokens,
    starts,
    ranks,
    prints,
    rows,
    places,
    row_prints,
    shelves,
    lengths,
    of_word,
    num,
    den,
    strict,
    counts,
):
    vocabulary, longest = tokens.max() + 1, room(starts)
    kept = np.ones(len(starts) - 1, np.bool_)
    no_words, no_rows = np.zeros(0, np.int32), np.zeros(0, np.int64)
    none = np.zeros((0, 4), np.int32)
    for lane in prange(_LANES):
        slots, masks = (
            np.full(vocabulary, -1, np.int32),
            np.zeros((longest, (longest + 63) >> 6), np.uint64),
        )
        line, best = np.zeros((longest + 63) >> 6, np.uint64), np.zeros(3, np.int64)
        for row in range(lane, len(starts) - 1, _LANES):
            best[0] = -1
            words, rare = (
                tokens[starts[row] : starts[row + 1]],
                ranks[starts[row] : starts[row + 1]],
            )
            counts[row] = _meet(
                words,
                rare,
                prints[row, 0],
                prints[row, 1],
                row,
                0,
                row,
                kept,
                tokens,
                starts,
                ranks,
                rows,
                places,
                row_prints,
                shelves,
                lengths,
                of_word,
                num,
                den,
                strict,
                slots,
                masks,
                line,
                no_words,
                no_rows,
                no_rows,
                best,
                none,
            )


@njit(cache=True, parallel=True)
def emit(
    tokens,
    starts,
    ranks,
    prints,
    rows,
    places,
    row_prints,
    shelves,
    lengths,
    of_word,
    num,
    den,
    strict,
    offsets,
    found,
):
    vocabulary, longest = tokens.max() + 1, room(starts)
    kept = np.ones(len(starts) - 1, np.bool_)
    no_words, no_rows = np.zeros(0, np.int32), np.zeros(0, np.int64)
    for lane in prange(_LANES):
        slots, masks = (
            np.full(vocabulary, -1, np.int32),
            np.zeros((longest, (longest + 63) >> 6), np.uint64),
        )
        line, best = np.zeros((longest + 63) >> 6, np.uint64), np.zeros(3, np.int64)
        for row in range(lane, len(starts) - 1, _LANES):
            best[0] = -1
            words, rare = (
                tokens[starts[row] : starts[row + 1]],
                ranks[starts[row] : starts[row + 1]],
            )
            _meet(
                words,
                rare,
                prints[row, 0],
                prints[row, 1],
                row,
                0,
                row,
                kept,
                tokens,
                starts,
                ranks,
                rows,
                places,
                row_prints,
                shelves,
                lengths,
                of_word,
                num,
                den,
                strict,
                slots,
                masks,
                line,
                no_words,
                no_rows,
                no_rows,
                best,
                found[offsets[row] : offsets[row + 1]],
            )
