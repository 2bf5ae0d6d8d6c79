"""Pure drawing: a typed result in, one plotly figure out."""
