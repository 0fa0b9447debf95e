"""People, rights and keys: the only data that all three services share (``shared_*``)."""
