"""How long programs take, without running them."""
