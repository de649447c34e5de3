"""Models in: every front end makes a model of the graph level (gemmary.compiler.ir), each behind an extra of its own."""
