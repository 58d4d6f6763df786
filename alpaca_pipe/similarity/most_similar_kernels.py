"""The compiled loops of most_similar.py, which hold a text against all others. Arrays are described in token_arrays.py."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from alpaca_pipe.similarity.kernels import ones, room

_LANES = 64  # pieces of work that the cores share


@njit(cache=True)
def _lcs(size, tokens, begin, end, bits, line):
    """Longest common subsequence of the row whose places are in `bits` and another, 64 places at once (Hyyrö, 2004)."""
    blocks = (size + 63) >> 6
    line[:blocks] = ~np.uint64(0)
    for at in range(begin, end):
        carry = np.uint64(0)
        for block in range(blocks):
            before = line[block]
            matched = before & bits[tokens[at], block]
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
def _lcs_of_few(size, tokens, begin, end, bits):
    """The same where the row has at most 63 words: nearly all have."""
    line = ~np.uint64(0)
    for at in range(begin, end):
        matched = line & bits[tokens[at], 0]
        line = (line + matched) | (line - matched)
    return np.int64(ones(~line & ((np.uint64(1) << np.uint64(size)) - np.uint64(1))))


@njit(cache=True)
def _scores(size, into):
    """F by LCS and by words of the other, in rouge_score's order of operations, so that ties fall as they do there."""
    for common in range(1, min(size, len(into) - 1) + 1):
        for known in range(common, into.shape[1]):
            precision, recall = common / known, common / size
            into[common, known] = 2 * precision * recall / (precision + recall)


@njit(cache=True)
def _insert(row, score, rows, scores):
    """Behind all that are at least as like."""
    at = len(scores) - 1
    while at > 0 and scores[at - 1] < score:
        rows[at], scores[at] = rows[at - 1], scores[at - 1]
        at -= 1
    rows[at], scores[at] = row, score


@njit(cache=True, parallel=True)
def likest(tokens, starts, begin, words, nearest, scores, means):
    """Of each row from `begin` on, against every row before it: the likest, and the mean F. words: how many different ones
    there are."""
    longest = room(starts)
    blocks = (longest + 63) >> 6
    for lane in prange(_LANES):
        bits, line = np.zeros((words, blocks), np.uint64), np.zeros(blocks, np.uint64)
        score_of = np.zeros((longest + 1, longest + 1))
        for row in range(begin + lane, len(starts) - 1, _LANES):
            size, total = starts[row + 1] - starts[row], 0.0
            for at in range(size):
                bits[tokens[starts[row] + at], at >> 6] |= np.uint64(1) << np.uint64(at & 63)
            _scores(size, score_of)
            mine, its = nearest[row - begin], scores[row - begin]
            for other in range(row - 1, -1, -1):
                known = starts[other + 1] - starts[other]
                common = (
                    _lcs_of_few(size, tokens, starts[other], starts[other + 1], bits)
                    if size < 64
                    else _lcs(size, tokens, starts[other], starts[other + 1], bits, line)
                )
                score = score_of[common, known]
                total += score
                if score > its[-1]:
                    _insert(other, score, mine, its)
            if row > 0:
                means[row - begin] = total / row
            for at in range(size):
                bits[tokens[starts[row] + at], :] = 0
