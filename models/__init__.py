"""Judgement: one pure fold for the stream, batch models beside it, and the people who teach both.

Notebooks begin with `models.score.score_table`, `models.backtest.backtest`, `models.recordings.load_recording`
and `models.rul`; the stream with `models.stream`.
"""
