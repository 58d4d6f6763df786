"""What a request can rest on besides seeds: passages of documents, rows that exist."""
