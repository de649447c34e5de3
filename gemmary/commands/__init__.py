"""The commands that come with the host side, each registered by a function of the contract in gemmary.cli."""
