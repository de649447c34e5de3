"""What leads from one clock domain to another: control and DMA in ``sync``, the compute part in ``fast``."""
