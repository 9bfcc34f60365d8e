"""Exchange of networks with other libraries."""
