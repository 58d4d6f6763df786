"""What several processes of one tune agree on. With one process each of these is itself."""

from __future__ import annotations


def together() -> bool:
    import torch

    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())


def place_and_count() -> tuple[int, int]:
    """Which of the processes this is, from 0, and how many there are."""
    if not together():
        return 0, 1
    import torch

    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def as_the_first_says(number: int) -> int:
    """The first process's number, in all processes."""
    if not together():
        return number
    import torch

    said = torch.tensor(int(number), device=_where())
    torch.distributed.broadcast(said, 0)
    return int(said)


def summed(*numbers: float) -> list[float]:
    """Each number, summed over all processes."""
    if not together():
        return list(numbers)
    import torch

    total = torch.tensor(numbers, dtype=torch.float64, device=_where())
    torch.distributed.all_reduce(total)
    return [float(one) for one in total]


def largest(number: int) -> int:
    """The largest of the processes' numbers, in all of them."""
    if not together():
        return number
    import torch

    said = torch.tensor(number, device=_where())
    torch.distributed.all_reduce(said, torch.distributed.ReduceOp.MAX)
    return int(said)


def wait_for_all() -> None:
    if together():
        import torch

        torch.distributed.barrier()


def _where() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
