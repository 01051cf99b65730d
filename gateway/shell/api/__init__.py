"""The HTTP API: what a gateway tells buyers, boards and its operator. The page: docs/api.md."""
