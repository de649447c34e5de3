"""From a board's design to its bitstream: tools, steps, reports."""
