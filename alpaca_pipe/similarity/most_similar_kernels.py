"""The compiled loops of most_similar.py, which hold a text against all others. Arrays are described in token_arrays.py.

Nearly all rows are short, and the bits of several stand in one machine word, a lane each: one pass over a known text's words
then moves the rows of all lanes (Hyyrö's recurrence, 2004, whose carry ends in the lane's own top bit)."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from alpaca_pipe.similarity.kernels import forget, lcs, learn, room

AT_ONCE = 8  # machine words that are moved together; LLVM makes vectors of them
WIDTHS = (16, 32)  # bits of a lane: a row has fewer words than that


@njit(cache=True)
def f_score(common, known, size):
    """In rouge_score's order of operations, so that ties fall as they do there."""
    if common == 0:
        return 0.0
    precision, recall = common / known, common / size
    return 2 * precision * recall / (precision + recall)


@njit(cache=True)
def f_scores(into):
    """into[known, size, common]: F by the words of both and their LCS."""
    for known in range(into.shape[0]):
        for size in range(into.shape[1]):
            for common in range(min(size, known) + 1):
                into[known, size, common] = f_score(common, known, size)


@njit(cache=True)
def _insert(row, score, rows, scores):
    """Behind all that are at least as like."""
    at = len(scores) - 1
    while at > 0 and scores[at - 1] < score:
        rows[at], scores[at] = rows[at - 1], scores[at - 1]
        at -= 1
    rows[at], scores[at] = row, score


@njit(cache=True)
def _bits_in_lanes(word):
    """Set bits of each 16 bits of a uint64."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word + (word >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)


@njit(cache=True)
def _batch(rows, width, tokens, starts, begin, bits, score_of, nearest, scores, means):
    """Rows of fewer words than `width`, as many as lanes are there at most, each against every row before it."""
    lanes = 64 // width
    count, latest = len(rows), np.int64(0)
    whole = np.zeros(AT_ONCE, np.uint64)
    sizes, totals = np.zeros(count, np.int64), np.zeros(count)
    for place in range(count):
        row, word, lane = rows[place], place // lanes, np.uint64(place % lanes * width)
        sizes[place] = starts[row + 1] - starts[row]
        latest = max(latest, row)
        whole[word] |= ((np.uint64(1) << np.uint64(sizes[place])) - np.uint64(1)) << lane
        for at in range(sizes[place]):
            bits[tokens[starts[row] + at], word] |= np.uint64(1) << (lane + np.uint64(at))
    line, found = np.zeros(AT_ONCE, np.uint64), np.zeros(AT_ONCE, np.uint64)
    for other in range(latest - 1, -1, -1):
        known = starts[other + 1] - starts[other]
        for word in range(AT_ONCE):
            line[word] = whole[word]
        for at in range(starts[other], starts[other + 1]):
            token = tokens[at]
            for word in range(AT_ONCE):
                before = line[word]
                matched = before & bits[token, word]
                line[word] = ((before + matched) | (before - matched)) & whole[word]
        for word in range(AT_ONCE):
            found[word] = _bits_in_lanes(~line[word] & whole[word])
        for place in range(count):
            if other >= rows[place]:
                continue
            shared = found[place // lanes] >> np.uint64(place % lanes * width)
            if width == 32:
                shared += shared >> np.uint64(16)
            score = score_of[known, sizes[place], shared & np.uint64(0xFF)]
            totals[place] += score
            its = scores[rows[place] - begin]
            if score > its[-1]:
                _insert(other, score, nearest[rows[place] - begin], its)
    for place in range(count):
        row = rows[place]
        if row > 0:
            means[row - begin] = totals[place] / row
        for at in range(starts[row], starts[row + 1]):
            bits[tokens[at], :] = 0


@njit(cache=True, parallel=True)
def likest_of_short(
    rows, ends, lanes, width, tokens, starts, begin, words, score_of, nearest, scores, means
):
    """rows: their numbers, those of a batch side by side; ends: (batches + 1,), where each begins. words: how many different
    ones there are; lanes: pieces of work that the cores share."""
    for lane in prange(lanes):
        bits = np.zeros((words, AT_ONCE), np.uint64)
        for batch in range(lane, len(ends) - 1, lanes):
            own = rows[ends[batch] : ends[batch + 1]]
            _batch(own, width, tokens, starts, begin, bits, score_of, nearest, scores, means)


@njit(cache=True, parallel=True)
def likest_of_long(rows, lanes, tokens, starts, begin, words, nearest, scores, means):
    """Rows of any length, one after the other."""
    longest = room(starts)
    blocks = (longest + 63) >> 6
    for lane in prange(lanes):
        slots, line = np.full(words, -1, np.int32), np.zeros(blocks, np.uint64)
        masks = np.zeros((longest, blocks), np.uint64)
        for place in range(lane, len(rows), lanes):
            row, total = rows[place], 0.0
            own = tokens[starts[row] : starts[row + 1]]
            learn(own, slots, masks)
            mine, its = nearest[row - begin], scores[row - begin]
            for other in range(row - 1, -1, -1):
                known = starts[other + 1] - starts[other]
                common = lcs(len(own), tokens, starts[other], starts[other + 1], slots, masks, line)
                score = f_score(common, known, len(own))
                total += score
                if score > its[-1]:
                    _insert(other, score, mine, its)
            if row > 0:
                means[row - begin] = total / row
            forget(own, slots)
