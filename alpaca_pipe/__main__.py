"""`python -m alpaca_pipe` is `alpaca-pipe`."""

from alpaca_pipe.cli import main

main()
