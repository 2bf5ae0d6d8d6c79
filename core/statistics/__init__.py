"""PURE numerics shared by evaluation and monitoring: intervals, resampling, multiple testing, binning."""
