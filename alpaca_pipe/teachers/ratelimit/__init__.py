"""How fast a teacher is asked: limits of requests and tokens, headers, back-off, circuit breaker."""
