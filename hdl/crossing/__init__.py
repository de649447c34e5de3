"""What leads from one clock domain to another: all else in ``sync``, the tensor engine in ``fast``."""
