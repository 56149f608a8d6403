"""Suites that were trained seed by seed, on several days or machines, put together again.

`transgan compare suite=NAME suite.seeds=[K]` leaves a folder; `rows` keeps what is measured of it as JSON lines, and
`table` makes the tables, claims and curves of all lines of a suite:

    python -m benchmarks.comparisons.rows comparisons/NAME >> benchmarks/comparisons/rows.jsonl
    python -m benchmarks.comparisons.table benchmarks/comparisons/rows.jsonl conf/suite/NAME.yaml [FIGURE.png]

All lines of a suite must be by one protocol. That of `extractor=classifier` has the classifier's weights in it, which
differ in their last digits between kinds of processors: classifiers/ has those of the results, to be copied to
$TRANSGAN_CACHE.
"""
