"""What knows a family of chips: its clocks and how its bitstreams are made."""
