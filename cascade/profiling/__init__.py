"""Skill profiling: samples -> a critic's findings -> clusters -> the capability matrix, as a versioned file."""
