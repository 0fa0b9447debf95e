"""Ready mappings, each with a folder of what its sender sends; see docs/add-a-sender.md."""
