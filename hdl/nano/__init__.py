"""The machine without DMA, small enough for an iCE40UP5K: the same instruction set and registers, one microcoded engine.

A processor of 16 bits executes instructions one after the other and answers the host; hardware beside it does what would take
it long: rows of a matrix product, products of a requantization.
"""
