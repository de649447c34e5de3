"""A board's design simulated in process, with a host at its UART pins."""
