"""The load generator behind `penstock bench`: plans, processes that ask, figures, thresholds, comparisons and reports.

Layer: below `cli`; needs `wire` and `domain` only, and no server. `run.run` is the way in. The extra `bench` brings what
it needs beyond the server's own packages.
"""
