"""The page of a benchmark."""


def bench_page(report: dict) -> str:
    return "<!doctype html>\n<title>Gemmary bench</title>\n"
