"""Judgement: one pure fold for the stream, batch models beside it, and the people who teach both.

Notebooks begin with `models.score`, `models.backtest`, `models.recordings` and `models.rul`; the stream with
`models.stream`.
"""
