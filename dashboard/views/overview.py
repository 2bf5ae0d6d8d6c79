"""What is live and how it is; this week."""

from dashboard import panels

panels.header("Overview")
