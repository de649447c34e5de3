"""The hardware, in Amaranth; derives from the specification in `gemmary`."""
