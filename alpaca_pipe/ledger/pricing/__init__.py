"""What a token, a GPU hour and a hosted tune cost: dated rows with their sources."""
