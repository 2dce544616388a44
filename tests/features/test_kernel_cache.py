"""Kernels on disk go when any source that they may have inlined changes."""

from __future__ import annotations

from pathlib import Path

from features.kernel_cache import forget_stale


def test_kernels_stay_until_a_source_in_any_of_the_folders_changes(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    cache = own / "below" / "__pycache__"
    for folder in (cache, other):
        folder.mkdir(parents=True)
    (own / "caller.py").write_text("one", "utf-8")
    (other / "callee.py").write_text("two", "utf-8")
    index, code, python = (cache / name for name in ("a.py311.nbi", "a.py311.1.nbc", "a.cpython-311.pyc"))

    def compiled() -> None:
        for path in (index, code, python):
            path.touch()

    compiled()
    assert forget_stale(own, other)  # nobody knows what these were made of
    assert not index.exists()
    assert not code.exists()
    assert python.exists()
    compiled()
    assert not forget_stale(own, other)
    assert index.exists()
    (other / "callee.py").write_text("three", "utf-8")
    assert forget_stale(own, other)
    assert not index.exists()
    compiled()
    (own / "new.py").write_text("", "utf-8")
    assert forget_stale(own, other)


def test_a_folder_that_cannot_hold_the_mark_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").write_text("a file in its place", "utf-8")
    assert not forget_stale(tmp_path)
